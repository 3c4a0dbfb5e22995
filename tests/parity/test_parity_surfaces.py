# SPDX-License-Identifier: BSD-3-Clause
"""Models of surfaces beside nilearn's, on effects of twenty subjects on fsaverage5."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.datasets import load_fsaverage
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.reporting import get_clusters_table as nilearn_table
from nilearn.surface import SurfaceImage

from groupglm import SecondLevelModel, get_clusters_table
from reference.data import data_dir

SIDES = ("left", "right")
OUTPUTS = ("effect_size", "effect_variance", "stat", "z_score", "p_value")


@pytest.fixture(scope="module")
def images() -> list[Any]:
    folder = data_dir("surfaces/fsaverage5")
    mesh = load_fsaverage("fsaverage5")["pial"]
    left, right = (sorted(map(str, folder.glob(f"*hemi-{side}_*"))) for side in "LR")
    assert len(left) == len(right) == 20
    return [
        SurfaceImage(mesh, {"left": one, "right": other})
        for one, other in zip(left, right, strict=True)
    ]


@pytest.mark.filterwarnings("ignore::groupglm.errors.ZeroValuesWarning")
def test_maps_are_those_of_nilearn(images: list[Any]) -> None:
    rng = np.random.default_rng(0)
    design = pd.DataFrame({"intercept": 1.0, "age": rng.standard_normal(20)})
    model = SecondLevelModel().fit(images, design_matrix=design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = NilearnModel(minimize_memory=False).fit(images, design_matrix=design)
        expected = {
            name: theirs.compute_contrast("age", second_level_stat_type="t", output_type=name)
            for name in OUTPUTS
        }
    found = model.compute_contrast("age", output_type="all")
    inside = np.concatenate([model.mask_img_.data.parts[side] > 0 for side in SIDES])
    assert inside.sum() > 18000
    for name in OUTPUTS:
        assert type(found[name]) is SurfaceImage
        assert found[name].mesh is images[0].mesh
        own, other = (
            np.concatenate([image.data.parts[side].ravel() for side in SIDES])
            for image in (found[name], expected[name])
        )
        assert own.dtype == np.float32
        # Both are exact to double's precision; ours is rounded to float32 (6e-8), and what nilearn
        # computes of float32 images is rounded too.
        scale = np.abs(other[inside]).max() if name in ("effect_size", "stat", "z_score") else 0
        np.testing.assert_allclose(own[inside], other[inside], rtol=1e-5, atol=1e-5 * scale / 100)
        assert not own[~inside].any()


def test_an_effect_against_the_formula(images: list[Any]) -> None:
    """One sample, by numpy: neither package decides what is right."""
    rows = np.stack(
        [np.concatenate([image.data.parts[side].ravel() for side in SIDES]) for image in images]
    ).astype(np.float64)
    everywhere = (rows != 0).all(axis=0)
    rows = rows[:, everywhere]
    design = pd.DataFrame({"intercept": np.ones(20)})
    mask = images[0].data.parts["left"].ravel().shape[0]
    parts = {"left": everywhere[:mask].astype("u1"), "right": everywhere[mask:].astype("u1")}
    model = SecondLevelModel(SurfaceImage(images[0].mesh, parts)).fit(images, design_matrix=design)
    assert model.n_elements_ == everywhere.sum()
    t = model.compute_contrast("intercept", output_type="stat")
    own = np.concatenate([t.data.parts[side] for side in SIDES])[everywhere]
    expected = rows.mean(axis=0) / (rows.std(axis=0, ddof=1) / np.sqrt(20))
    np.testing.assert_allclose(own, expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"two_sided": True}, {"cluster_threshold": 6}])
def test_a_table_of_clusters_is_that_of_nilearn(images: list[Any], options: Any) -> None:
    """The same clusters, peaks and sizes, of single maps; nilearn's are in order of vertices."""
    columns = ["Cluster ID", "Hemisphere", "Peak Stat", "Cluster Size (vertices)"]
    # nilearn's model makes a column of each part of the images that it fits, in place.
    parts = {side: np.ravel(images[3].data.parts[side]) for side in SIDES}
    image = SurfaceImage(images[3].mesh, parts)
    values = np.concatenate([np.ravel(image.data.parts[side]) for side in SIDES])
    threshold = float(np.quantile(np.abs(values), 0.93))
    theirs, their_maps = nilearn_table(image, threshold, return_label_maps=True, **options)
    ours, maps = get_clusters_table(image, threshold, return_label_maps=True, **options)
    assert list(ours) == list(theirs) == columns
    assert len(ours) == len(theirs) > 20
    assert len(maps) == len(their_maps)

    def clusters(label_maps: list[Any]) -> set[tuple[int, str, frozenset[int]]]:
        """Return the tail, the hemisphere and the vertices of each cluster."""
        return {
            (tail, side, frozenset(np.flatnonzero(labels == number).tolist()))
            for tail, label_map in enumerate(label_maps)
            for side in SIDES
            for labels in [np.ravel(label_map.data.parts[side])]
            for number in np.unique(labels[labels > 0])
        }

    own = clusters(maps)
    assert own == clusters(their_maps)
    assert len(own) == len(ours)
    peaks = []
    for tail, side, vertices in own:
        part = np.ravel(image.data.parts[side])[sorted(vertices)]
        peaks.append((side, float(part.min() if tail else part.max()), len(vertices)))
    rows = ours[columns[1:]].itertuples(index=False, name=None)
    assert sorted((side, float(peak), int(size)) for side, peak, size in rows) == sorted(peaks)
    positive = theirs[theirs["Peak Stat"] > 0][columns[1:]].itertuples(index=False, name=None)
    assert sorted((side, float(peak), int(size)) for side, peak, size in positive) == sorted(
        peak for peak in peaks if peak[1] > 0
    )
