# SPDX-License-Identifier: BSD-3-Clause
"""The plot of regions in order: what is drawn, against scipy, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from groupglm import SecondLevelModel
from groupglm.plotting import plot_forest, plot_regions, plot_stat_map
from groupglm.plotting.colors import BLUE, GREY, ORANGE

N = 12


@pytest.fixture
def model() -> SecondLevelModel:
    values = np.random.default_rng(5).normal([1.5, -1.5, 0.0, 0.1], 1.0, (N, 4))
    table = pd.DataFrame(values, columns=["up", "down", "$none$", "little"])
    return SecondLevelModel().fit(table, design_matrix=pd.DataFrame({"mean": np.ones(N)}))


@pytest.fixture
def maps(model: SecondLevelModel) -> pd.DataFrame:
    found: pd.DataFrame = model.compute_contrast("mean", output_type="all")
    return found


def drawn(figure: Any, gid: str) -> Any:
    return next(one for one in figure.axes[0].collections if one.get_gid() == gid)


def names(figure: Any) -> list[str]:
    return [text.get_text().replace("\\", "") for text in figure.axes[0].get_yticklabels()]


def test_effects_are_in_order_with_their_intervals(maps: pd.DataFrame) -> None:
    figure = plot_regions(maps, level=0.9)
    order = maps["effect_size"].sort_values().index
    assert names(figure) == [*order]  # from bottom to top
    np.testing.assert_allclose(
        drawn(figure, "effects").get_offsets()[:, 0], maps["effect_size"][order]
    )
    half = scipy.stats.t.ppf(0.95, N - 1) * np.sqrt(maps["effect_variance"][order])
    ends = np.array([line[:, 0] for line in drawn(figure, "intervals").get_segments()])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * half, rtol=1e-12)


def test_regions_beyond_the_threshold_have_a_colour(maps: pd.DataFrame) -> None:
    from matplotlib.colors import to_hex

    for two_sided, below in ((True, BLUE), (False, GREY)):
        figure = plot_regions(maps, threshold=3.0, two_sided=two_sided)
        colours = dict(
            zip(names(figure), map(to_hex, drawn(figure, "effects").get_facecolors()), strict=True)
        )
        assert colours == {"up": ORANGE, "down": below, "$none$": GREY, "little": GREY}


def test_the_strongest_of_many_are_drawn(maps: pd.DataFrame, tmp_path: Path) -> None:
    figure = plot_regions(maps, most=2, title="Means", output_file=tmp_path / "regions.svg")
    assert sorted(names(figure)) == ["down", "up"]
    assert figure.axes[0].texts[0].get_text() == "2 regions of 4, those with the largest |z|"
    assert (tmp_path / "regions.svg").read_text().count("<path")


def test_degrees_of_freedom_may_differ(maps: pd.DataFrame, model: SecondLevelModel) -> None:
    df = pd.Series([4.0, np.inf, 11.0, 11.0], maps.index)
    figure = plot_regions(maps, df)
    order = maps["effect_size"].sort_values().index
    half = scipy.stats.t.ppf(0.975, df[order]) * np.sqrt(maps["effect_variance"][order])
    ends = np.array([line[:, 0] for line in drawn(figure, "intervals").get_segments()])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * half, rtol=1e-12)
    df_residual: Any = model.df_residual_
    same = plot_regions(maps, df_residual)
    np.testing.assert_array_equal(
        drawn(same, "effects").get_offsets(), drawn(plot_regions(maps), "effects").get_offsets()
    )


def test_what_cannot_be_drawn_is_said(maps: pd.DataFrame, model: SecondLevelModel) -> None:
    with pytest.raises(TypeError, match="the data frame that compute_contrast"):
        plot_regions(maps["z_score"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no column 'z_score'; give the data frame"):
        plot_regions(maps.drop(columns="z_score"))
    with pytest.raises(ValueError, match=r"give df=model\.df_residual_"):
        plot_regions(pd.DataFrame(maps.to_dict()))
    with pytest.raises(ValueError, match="df has no number for the region 'up'"):
        plot_regions(maps, pd.Series({"down": 3.0}))
    of_f = model.compute_contrast(np.ones((2, 1)), output_type="all")
    with pytest.raises(ValueError, match="give the maps of a t contrast"):
        plot_regions(of_f)
    with pytest.raises(
        TypeError, match=r"no place in a brain; .* groupglm\.plotting\.plot_regions"
    ):
        plot_stat_map(maps["z_score"])
    with pytest.raises(ValueError, match="4 regions have no position; leave it out, and give the"):
        plot_forest(pd.DataFrame(np.eye(4)), pd.DataFrame(np.eye(4) + 1), position=(0, 0, 0))
    with pytest.raises(ValueError, match="level is 1"):
        plot_regions(maps, level=1)
