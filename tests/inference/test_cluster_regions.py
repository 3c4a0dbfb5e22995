# SPDX-License-Identifier: BSD-3-Clause
"""Regions of peaks and clusters, beside a slow count of our own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from groupglm import get_clusters_table, load_atlas
from groupglm.errors import GridMismatchError
from groupglm.inference.cluster_regions import shares_in_regions
from reference.meshes import areas_of, folded, metric_image, surface_image

AFFINE = np.array([[-3.0, 0, 0, 20], [0, 3, 0, -30], [0, 0, 3, -10], [0, 0, 0, 1]])
NAMES = {1: "front", 2: "middle", 5: "back"}


def image(values: Any) -> Any:
    made: Any = nib.Nifti1Image
    return made(values, AFFINE)


def smooth(seed: int = 0) -> Any:
    z = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(14, 15, 16)), 1.5)
    return z / z.std()


def blocks() -> Any:
    labels = np.zeros((14, 15, 16), np.int16)
    labels[:, :5], labels[:, 5:9], labels[2:9, 9:13] = 1, 2, 5
    return labels


def words_of(shares: dict[str, float]) -> str:
    """The text of a cluster's regions, written anew."""
    order = sorted(shares, key=lambda name: -shares[name])
    return "; ".join(f"{name} {100 * shares[name]:.1f}%" for name in order)


@pytest.mark.parametrize("two_sided", [True, False])
def test_peaks_and_clusters_have_the_regions_that_a_slow_count_finds(two_sided: bool) -> None:
    z, labels = smooth(), blocks()
    plain, maps = get_clusters_table(
        image(z), 1.5, two_sided=two_sided, min_distance=4, return_label_maps=True
    )
    atlas = load_atlas(image(labels), NAMES)
    table = get_clusters_table(image(z), 1.5, two_sided=two_sided, min_distance=4, atlas=atlas)
    assert table.drop(columns=["Region", "Regions of Cluster"]).equals(plain)
    assert list(table.columns[-2:]) == ["Region", "Regions of Cluster"]
    named = {0: "no label", **NAMES}
    inverse = np.linalg.inv(AFFINE)
    numbers: Any = sum(np.asarray(own.dataobj) for own in maps)
    seen = set()
    for row in table.to_dict("records"):
        at = np.rint(inverse @ [row["X"], row["Y"], row["Z"], 1])[:3].astype(int)
        assert row["Region"] == named[int(labels[tuple(at)])]
        text = str(row["Cluster ID"])
        if not text.isdigit():
            assert row["Regions of Cluster"] == ""
            continue
        inside = Counter(labels[numbers == int(text)].tolist())
        shares = {named[n]: count / inside.total() for n, count in inside.items()}
        seen |= set(shares)
        assert sorted(row["Regions of Cluster"].split("; ")) == sorted(words_of(shares).split("; "))
        percents = [float(part.split()[-1][:-1]) for part in row["Regions of Cluster"].split("; ")]
        assert percents == sorted(percents, reverse=True)
    assert seen == set(named.values())  # else little was compared


def test_peaks_have_the_probabilities_of_their_regions() -> None:
    percent = np.random.default_rng(5).integers(0, 34, (14, 15, 16, 3)).astype(np.uint8)
    percent[:6] = 0
    names = dict(enumerate(("front", "middle", "back"), start=1))
    table = get_clusters_table(image(smooth()), 1.5, atlas=load_atlas(image(percent), names))
    inverse, found = np.linalg.inv(AFFINE), 0
    for row in table.to_dict("records"):
        at = np.rint(inverse @ [row["X"], row["Y"], row["Z"], 1])[:3].astype(int)
        own = percent[tuple(at)]
        wanted = f"{names[int(own.argmax()) + 1]} {own.max():.1f}%" if own.any() else "no label"
        assert row["Region"] == wanted
        found += wanted != "no label"
    assert 0 < found < len(table)  # else little was compared


def test_an_atlas_that_is_nowhere_in_the_map_is_told() -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += 900.0
    far: Any = nib.Nifti1Image
    atlas = load_atlas(far(blocks(), affine), NAMES, resample="nearest")
    with pytest.warns(UserWarning, match="no voxel of stat_img is in a region of the atlas"):
        table = get_clusters_table(image(smooth()), 1.5, atlas=atlas)
    assert set(table["Region"]) == {"no label"}


@given(st.integers(0, 10_000), st.booleans())
def test_shares_add_up_to_one_and_are_those_of_a_slow_count(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 4, 60).astype(np.int32)
    regions = rng.choice([0, 3, 900_000], 60).astype(np.int32)
    weights = rng.uniform(0.5, 2, 60) if weighted else None
    found = shares_in_regions(clusters, regions, weights)
    amounts = np.ones(60) if weights is None else weights
    assert set(found) == set(clusters.tolist()) - {0}
    for cluster, shares in found.items():
        own = clusters == cluster
        assert sum(share for _, share in shares) == pytest.approx(1, abs=1e-12)  # 60 sums
        for region, share in shares:
            expected = amounts[own & (regions == region)].sum() / amounts[own].sum()
            assert share == pytest.approx(expected, rel=1e-12)
        assert {region for region, _ in shares} == set(regions[own].tolist())


def test_shares_on_a_surface_are_of_its_area() -> None:
    points, faces = folded(3)
    z = np.where(points[:, 2] > np.median(points[:, 2]), 4.0, 0.5) + points[:, 0] / 1000
    labels = np.where(points[:, 1] > 0, 3, 8).astype(np.int32)
    given: Any = {"left": metric_image(z.astype(np.float32))}
    table = get_clusters_table(
        given,
        3.0,
        surfaces={"left": surface_image(points, faces)},
        atlas=load_atlas({"left": metric_image(labels)}, {3: "front", 8: "back"}),
        return_label_maps=True,
    )
    rows, (numbers,) = table
    own: Any = numbers
    inside = own.darrays[0].data == 1
    areas = areas_of(points.astype(np.float32).astype(float), faces)
    share = areas[inside & (labels == 3)].sum() / areas[inside].sum()
    assert f"front {100 * share:.1f}%" in rows["Regions of Cluster"].iloc[0]


def test_many_regions_are_summed_and_small_shares_are_told() -> None:
    z = np.zeros((30, 30, 30))
    z[1:29, 1:29, 1:29] = 4 + np.random.default_rng(0).uniform(size=(28, 28, 28))
    labels = np.repeat(np.arange(1, 31, dtype=np.int16), 900).reshape(z.shape)
    labels[labels > 15] = 16
    labels[28, 28, 28] = 99  # one voxel of 21,952
    table = get_clusters_table(image(z), 3.0, min_distance=100, atlas=load_atlas(image(labels)))
    parts = table["Regions of Cluster"].iloc[0].split("; ")
    assert parts[0] == f"16 {100 * (28 * 28 * 14 - 1) / 28**3:.1f}%"
    assert len(parts) == 11
    assert parts[-1].startswith("6 others ")
    labels[:] = 1
    labels[28, 28, 28] = 99
    table = get_clusters_table(image(z), 3.0, min_distance=100, atlas=load_atlas(image(labels)))
    assert table["Regions of Cluster"].iloc[0] == "1 100.0%; 99 <0.1%"


def test_an_empty_table_has_the_columns_too() -> None:
    with pytest.warns(UserWarning, match="No clusters found"):
        table = get_clusters_table(image(smooth()), 50.0, atlas=image(blocks()))
    assert list(table.columns[-2:]) == ["Region", "Regions of Cluster"]
    assert len(table) == 0


def test_an_atlas_elsewhere_is_refused() -> None:
    labels = blocks()[:-1]
    with pytest.raises(GridMismatchError, match="not on the grid of"):
        get_clusters_table(image(smooth()), 1.5, atlas=image(labels))
    near = load_atlas(image(labels), NAMES, resample="nearest")
    assert "Region" in get_clusters_table(image(smooth()), 1.5, atlas=near)


def test_an_atlas_of_surfaces_is_refused_for_a_volume() -> None:
    labels: Any = {"left": metric_image(np.ones(12, np.int32))}
    with pytest.raises(GridMismatchError, match="give labels of that kind of data"):
        get_clusters_table(image(smooth()), 1.5, atlas=labels)
