# SPDX-License-Identifier: BSD-3-Clause
"""Messages call places and their layout as the kind of data does: a chain has no voxels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.fake_spaces import Chain, write_chain
from groupglm import (
    SecondLevelModel,
    get_clusters_table,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm.cli.commands.demo import _say_results
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.inference.map_scale import DegreesMap
from groupglm.report import PermutationTest
from groupglm.report.drawing import Drawing
from groupglm.report.heterogeneity import heterogeneity_section
from groupglm.spaces.volume import Grid
from groupglm.spaces.volume.space import VolumeSpace

pytestmark = pytest.mark.usefixtures("fake_kinds")

N, LENGTH = 8, 30
RNG = np.random.default_rng(2)
IMAGES: Any = [Chain(RNG.normal(1, 1, LENGTH)) for _ in range(N)]
DESIGN = pd.DataFrame({"intercept": np.ones(N)})
Z: Any = Chain(RNG.normal(0, 3, LENGTH))
MASK: Any = Chain(np.ones(LENGTH))
OTHER: Any = Chain(np.ones(LENGTH + 1))


@pytest.fixture
def model() -> SecondLevelModel:
    return SecondLevelModel(MASK).fit(IMAGES, design_matrix=DESIGN)


def of_chains(words: str) -> bool:
    return not any(word in words.casefold() for word in ("voxel", "grid", "nii", "volume"))


@pytest.mark.filterwarnings("ignore:.*n_perm:UserWarning")
def test_data_that_lie_elsewhere(model: SecondLevelModel, tmp_path: Path) -> None:
    test = PermutationTest({"logp_max_t": OTHER}, 5)
    degrees = DegreesMap(write_chain(OTHER, tmp_path / "df.chain"), None)
    for call in (
        lambda: model.masker_.transform([OTHER]),
        lambda: model.generate_report("intercept", permutations={"intercept": test}),
        lambda: true_discovery_bounds(Z, regions=OTHER, mask_img=MASK),
        lambda: degrees.read(model._group.space),
    ):
        with pytest.raises(GridMismatchError, match=" not on the layout of ") as told:
            call()
        assert of_chains(str(told.value))
        assert "it has 31 links, not 30" in str(told.value)


def test_a_cluster_threshold_is_in_the_unit_of_the_data() -> None:
    for call in (
        lambda: threshold_stats_img(Z, mask_img=MASK, cluster_threshold=-1),
        lambda: get_clusters_table(Z, 2.5, -1),
    ):
        with pytest.raises(ArgumentError, match="must be > 0, a number of links") as told:
            call()
        assert of_chains(str(told.value))
    with pytest.raises(ArgumentError, match="must be > 0, a number of places") as told:
        threshold_stats_img(None, height_control="fpr", cluster_threshold=-1)


@pytest.mark.parametrize(
    "views", [{"display_mode": "nonsense"}, {"plot_type": "nonsense"}, {"cut_coords": [1, 2]}]
)
def test_views_are_asked_of_the_kind_of_the_data(
    model: SecondLevelModel, views: dict[str, Any]
) -> None:
    """Nothing draws chains, so that none of their views can be wrong."""
    with pytest.warns(UserWarning, match=f"{next(iter(views))} has no effect") as told:
        model.generate_report("intercept", **views)
    assert all(of_chains(str(warning.message)) for warning in told)


def test_the_kind_of_data_is_known_before_any_fit() -> None:
    maps = pd.DataFrame(
        {
            "subject_label": [f"{row:02d}" for row in range(N)] * 2,
            "map_name": ["a"] * N + ["b"] * N,
            "effects_map_path": IMAGES * 2,
        }
    )
    model = SecondLevelModel(MASK).fit(maps)
    assert not model._fits.is_made
    assert model._fits.tag == "chain"
    assert not model._fits.is_made
    model.compute_contrast("intercept", first_level_contrast="a")
    assert model._fits.tag == "chain"


def test_a_space_says_where_its_places_lie(model: SecondLevelModel) -> None:
    space = model._group.space
    assert (space.placement_word, space.describe_placement()) == ("layout", "30 links")
    volumes = VolumeSpace(Grid((4, 5, 6), np.diag([2.0, -2.0, 2.5, 1.0])))
    assert volumes.placement_word == "grid"
    assert volumes.describe_placement() == "4 x 5 x 6 voxels of 2 x 2 x 2.5 mm"
    assert "8 images: 30 links, 7 degrees" in repr(model)
    assert of_chains(repr(model).partition("fitted to")[2])
    said: list[str] = []
    results = {"n_voxels": 30, "n_subjects": N, "columns": ["a"], "df_residual": 7, "contrasts": []}
    _say_results(model, results, SimpleNamespace(say=lambda words="": said.append(words)))  # type: ignore[arg-type]
    assert said[0] == "layout              30 links, 30 in the mask"
    assert all(map(of_chains, said))


def test_a_page_speaks_of_variances_as_the_kind_of_data_does(tmp_path: Path) -> None:
    variances: Any = [
        write_chain(Chain(RNG.chisquare(4, LENGTH)), tmp_path / f"{row}_variance.chain")
        for row in range(N)
    ]
    model = SecondLevelModel(MASK, model="mixed effects")
    model.fit(IMAGES, design_matrix=DESIGN, variances=variances)
    section = heterogeneity_section(
        model._group, [str(row) for row in range(N)], Drawing(model._group)
    )
    assert section is not None
    captions = [f"{picture.alt} {picture.caption}" for picture in section["pictures"]]
    said = [*section["findings"], *(" ".join(fact) for fact in section["facts"]), *captions]
    assert len(said) > 8
    assert all(map(of_chains, said))
    assert any(" at the median link" in words for words in said)
    page = str(model.generate_report("intercept"))
    peak = page[page.index("Effects, variances and weights at the peaks") :]
    assert of_chains(peak[: peak.index("</figure>")])
