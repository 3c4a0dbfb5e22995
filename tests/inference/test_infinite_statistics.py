# SPDX-License-Identifier: BSD-3-Clause
"""An infinite z is the strongest evidence, wherever a map is thresholded, tabulated or drawn.

It is that of an effect without any residual variance: every patient has a lesion in the voxel, and
no control has.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from groupglm import (
    cluster_level_inference,
    get_clusters_table,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm.inference.error_rates import threshold_of
from groupglm.plotting import plot_glass_brain, plot_histogram, plot_stat_map
from groupglm.plotting.scale import Scale

pytestmark = pytest.mark.quick

nib: Any = nibabel  # typed only in part

SHAPE = (12, 13, 14)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
LARGE = 1e6  # finite, but as strong as anything that a threshold may ask for


def image(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values, AFFINE)


def data(img: Any) -> NDArray[Any]:
    return np.asarray(img.dataobj)


def everywhere() -> Any:
    return image(np.ones(SHAPE, np.uint8))


def with_infinities(strongest: float = np.inf) -> NDArray[np.float64]:
    """Noise with a blob of either sign that holds infinite values, and a lone one of either."""
    z = np.clip(np.random.default_rng(3).normal(size=SHAPE), -2, 2)
    z[3:6, 3:6, 3:6] = 5.0
    z[4, 4, 3:6] = strongest
    z[8:10, 8:11, 8:11] = -4.9
    z[9, 9, 9] = -strongest
    z[1, 1, 1], z[11, 1, 12] = strongest, -strongest
    return z


@given(
    z=st.lists(st.floats(-9, 9) | st.sampled_from([np.inf, -np.inf]), min_size=1, max_size=40),
    alpha=st.sampled_from([0.001, 0.05, 0.3]),
    two_sided=st.booleans(),
    control=st.sampled_from(["fdr", "bonferroni"]),
)
@settings(max_examples=300, deadline=None)
def test_what_statsmodels_finds_is_found(
    z: list[float], alpha: float, two_sided: bool, control: Any
) -> None:
    values = np.array(z)
    p = 2 * stats.norm.sf(np.abs(values)) if two_sided else stats.norm.sf(values)
    method = {"fdr": "fdr_bh", "bonferroni": "bonferroni"}[control]
    wanted = multipletests(p, alpha, method=method)[0]
    threshold = threshold_of(values, alpha, control, two_sided=two_sided)
    found = (np.abs(values) if two_sided else values) >= threshold
    np.testing.assert_array_equal(found, wanted)


def test_a_false_discovery_rate_with_infinite_discoveries_only_has_a_finite_threshold() -> None:
    z = np.array([np.inf, -np.inf, 1.0, 0.5])
    # Two of four discoveries are infinite: each is compared with p = 0.05 * 2 / 4.
    assert threshold_of(z, 0.05, "fdr") == pytest.approx(stats.norm.isf(0.025 / 2), rel=1e-14)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni", None])
@pytest.mark.parametrize("cluster_threshold", [0, 5])
def test_it_survives_as_the_largest_finite_value_does(
    control: Any, two_sided: bool, cluster_threshold: int
) -> None:
    arguments: dict[str, Any] = {
        "mask_img": everywhere(), "alpha": 0.01, "height_control": control,
        "threshold": 3.0 if control is None else None, "two_sided": two_sided,
        "cluster_threshold": cluster_threshold,
    }  # fmt: skip
    z = with_infinities()
    found, threshold = threshold_stats_img(image(z), **arguments)
    wanted, wanted_threshold = threshold_stats_img(image(with_infinities(LARGE)), **arguments)
    assert threshold == wanted_threshold
    np.testing.assert_array_equal(np.clip(data(found), -LARGE, LARGE), data(wanted))
    # Of each tail those of the blob, and one alone, which is too small a cluster.
    of_tail = (3, 1) if cluster_threshold else (4, 2)
    assert np.isinf(data(found)).sum() == sum(of_tail[: 2 if two_sided else 1])


def test_no_voxel_is_lost_without_a_mask_either() -> None:
    z = np.zeros(SHAPE)
    z[4:7, 4:7, 4:7] = 5.0
    z[5, 5, 5] = np.inf
    found, _ = threshold_stats_img(image(z), height_control="fdr", alpha=0.05)
    np.testing.assert_array_equal(data(found), z)


def test_an_infinite_threshold_keeps_the_infinite_values_alone() -> None:
    z = with_infinities()
    found, threshold = threshold_stats_img(image(z), height_control=None, threshold=np.inf)
    assert threshold == np.inf
    np.testing.assert_array_equal(data(found), np.where(np.isinf(z), z, 0))
    table, maps = get_clusters_table(image(z), np.inf, two_sided=True, return_label_maps=True)
    np.testing.assert_array_equal(
        data(maps[0]).astype(bool) | data(maps[1]).astype(bool), np.isinf(z)
    )
    assert np.isinf(table["Peak Stat"]).all()


@pytest.mark.parametrize("two_sided", [True, False])
def test_the_infinite_threshold_of_our_own_fdr_gives_an_empty_table_and_says_why(
    two_sided: bool,
) -> None:
    noise = np.clip(np.random.default_rng(5).normal(size=SHAPE), -2, 2)
    with pytest.warns(UserWarning, match="no voxel is a discovery"):
        found, threshold = threshold_stats_img(image(noise), alpha=0.05, height_control="fdr")
    assert threshold == np.inf
    assert not data(found).any()
    with ExitStack() as told:
        for tail in ("above", "below") if two_sided else ("above",):
            told.enter_context(pytest.warns(UserWarning, match=f"no cluster {tail} an infinite"))
        table = get_clusters_table(image(noise), threshold, two_sided=two_sided)
    assert table.empty
    with pytest.warns(UserWarning, match="no voxel is beyond threshold=inf"):
        proportions = cluster_level_inference(image(noise), threshold=threshold)
    assert not data(proportions).any()


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("missing", [False, True])
def test_the_map_without_a_discovery_is_empty_at_every_door(two_sided: bool, missing: bool) -> None:
    noise = np.clip(np.random.default_rng(5).normal(size=SHAPE), -2, 2)
    if missing:  # which stays so in the map that is thresholded
        noise[:2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing survives, and what is missing
        empty, _ = threshold_stats_img(
            image(noise), everywhere(), alpha=0.05, height_control="fdr", two_sided=two_sided
        )
    assert empty is not None
    for threshold in (np.inf, 3.0):
        with pytest.warns(UserWarning, match="No clusters found"):
            table, maps = get_clusters_table(
                empty, threshold, 20, two_sided=two_sided, return_label_maps=True
            )
        assert table.empty
        assert list(table.columns)[:2] == ["Cluster ID", "X"]
        assert not any(data(labels).any() for labels in maps)
        with pytest.warns(UserWarning, match="nothing survives"):
            again, _ = threshold_stats_img(
                empty, threshold=threshold, height_control=None, two_sided=two_sided
            )
        assert not data(again).any()  # NaN is background where there is nothing else
        with pytest.warns(UserWarning, match="no voxel is beyond"):
            proportions = cluster_level_inference(empty, threshold=threshold, two_sided=two_sided)
        assert not np.nan_to_num(data(proportions)).any()
    with pytest.warns(UserWarning, match="nothing survives"):
        _, threshold = threshold_stats_img(
            empty, alpha=0.05, height_control="fdr", two_sided=two_sided
        )
    assert threshold == np.inf
    # Its clusters are the regions of the map that it was made from.
    z = image(np.nan_to_num(noise))
    with pytest.warns(UserWarning, match="regions holds no voxel"):
        bounds = true_discovery_bounds(z, maps[0], everywhere())
    assert bounds.empty
    with pytest.warns(UserWarning, match="regions holds no voxel"):
        bounds = true_discovery_bounds(z, {"survivors": empty}, everywhere())
    assert bounds.to_numpy().tolist()[0][:3] == ["survivors", 0, 0]


@pytest.mark.parametrize("draw", [plot_stat_map, plot_glass_brain])
def test_a_map_without_a_discovery_is_drawn_as_the_background_alone(draw: Any) -> None:
    noise = np.clip(np.random.default_rng(5).normal(size=SHAPE), -2, 2)
    arguments: dict[str, Any] = {
        "bg_img": None, "mask_img": everywhere(), "colorbar": False, "vmax": 5.0
    }  # fmt: skip
    if draw is plot_stat_map:
        arguments["cut_coords"] = (18.0, 18.0, 18.0)
    with pytest.warns(UserWarning, match="threshold is infinite.*no finite value"):
        found = _pixels(draw(image(noise), threshold=np.inf, **arguments))
    nothing = _pixels(draw(image(np.zeros(SHAPE)), threshold=3.0, **arguments))
    np.testing.assert_array_equal(found, nothing)


@pytest.mark.parametrize("min_distance", [0.0, 8.0])
def test_it_is_the_peak_of_its_cluster_and_counts_in_its_size(min_distance: float) -> None:
    arguments: dict[str, Any] = {"two_sided": True, "min_distance": min_distance}
    found, maps = get_clusters_table(
        image(with_infinities()), 3.0, return_label_maps=True, **arguments
    )
    wanted, wanted_maps = get_clusters_table(
        image(with_infinities(LARGE)), 3.0, return_label_maps=True, **arguments
    )
    for ours, theirs in zip(maps, wanted_maps, strict=True):
        np.testing.assert_array_equal(data(ours), data(theirs))
    found["Peak Stat"] = found["Peak Stat"].clip(-LARGE, LARGE)
    assert found.equals(wanted)
    # Three infinite values in a row are one peak, at their middle.
    assert found.loc[found["Peak Stat"] == LARGE, ["X", "Y", "Z"]].to_numpy().tolist() == [
        [3.0, 3.0, 3.0],
        [12.0, 12.0, 12.0],
    ]
    assert int(found["Cluster Size (mm3)"].iloc[1]) == 27 * 27


@pytest.mark.parametrize("two_sided", [True, False])
def test_it_is_a_true_discovery(two_sided: bool) -> None:
    z, large = image(with_infinities()), image(with_infinities(LARGE))
    arguments: dict[str, Any] = {"mask_img": everywhere(), "two_sided": two_sided}
    found = data(cluster_level_inference(z, threshold=3.0, **arguments))
    np.testing.assert_array_equal(
        found, data(cluster_level_inference(large, threshold=3.0, **arguments))
    )
    assert found[1, 1, 1] == 1.0
    alone = image(np.isinf(data(z)).astype(np.uint8))
    table = true_discovery_bounds(z, alone, **arguments)
    assert table.equals(true_discovery_bounds(large, alone, **arguments))
    assert int(table["True Discoveries"][0]) == (6 if two_sided else 4)


def test_subpeaks_may_be_as_near_as_they_like_at_distance_zero() -> None:
    z = np.zeros(SHAPE)
    z[5, 5, 2:11] = 4.0, 3.5, 5.0, 3.5, 4.5, 3.5, 4.2, 3.5, 3.9
    table = get_clusters_table(image(z), 3.0, min_distance=0)
    assert table["Peak Stat"].tolist() == [
        5.0,
        4.5,
        4.2,
        4.0,
    ]  # 6, 12 and 18 mm apart; four at most


def _pixels(figure: Any) -> NDArray[np.uint8]:
    """Draw a figure; whatever warns of infinite values does so then."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("draw", [plot_stat_map, plot_glass_brain])
@pytest.mark.parametrize("strongest", [np.inf, -np.inf])
def test_it_is_drawn_in_the_last_colour_and_moves_no_other(draw: Any, strongest: float) -> None:
    z = np.zeros(SHAPE)
    z[3:6, 3:6, 3:6], z[4, 4, 4] = np.copysign(4.0, strongest), np.copysign(5.0, strongest)
    arguments: dict[str, Any] = {"bg_img": None, "mask_img": everywhere(), "colorbar": False}
    wanted = _pixels(draw(image(z), **arguments))
    z[4, 4, 4] = strongest
    # The last colour is that of 5, the largest before; cuts go through the infinite voxel.
    np.testing.assert_array_equal(_pixels(draw(image(z), vmax=5.0, **arguments)), wanted)
    _pixels(draw(image(z), bg_img=None, mask_img=everywhere()))
    assert Scale.of(z, None, None, dark=True).vmax == 4.0


@pytest.mark.parametrize("draw", [plot_stat_map, plot_glass_brain])
def test_an_infinite_threshold_draws_infinite_values_alone(draw: Any) -> None:
    z = with_infinities()
    arguments: dict[str, Any] = {"bg_img": None, "mask_img": everywhere(), "colorbar": False}
    with pytest.warns(UserWarning, match="threshold is infinite.*no finite value"):
        found = draw(image(z), threshold=np.inf, vmax=5.0, **arguments)
    wanted = draw(image(np.where(np.isinf(z), z, 0)), vmax=5.0, **arguments)
    np.testing.assert_array_equal(_pixels(found), _pixels(wanted))
    with pytest.warns(UserWarning, match="threshold is infinite"):
        _pixels(draw(image(z), threshold=np.inf, bg_img=None))


def test_a_map_of_infinite_values_alone_has_a_scale() -> None:
    z = np.zeros(SHAPE)
    z[4, 4, 4] = -np.inf
    _pixels(plot_stat_map(image(z), bg_img=None))
    assert Scale.of(z, None, None, dark=True).vmax == 1.0


def test_a_histogram_counts_it() -> None:
    with pytest.warns(UserWarning, match="threshold is infinite.*outside the picture"):
        figure = plot_histogram(with_infinities(), threshold=np.inf)
    assert figure.axes[0].get_xlabel() == "z (6 more are infinite)"
    _pixels(figure)
