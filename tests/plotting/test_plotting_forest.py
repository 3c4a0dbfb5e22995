# SPDX-License-Identifier: BSD-3-Clause
"""Forest plots: what is drawn is what R's metafor finds."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from groupglm import FixedEffects, MixedEffects
from groupglm.plotting import plot_forest
from reference.forests import HIGH, LATITUDE, LOW, RANDOM, V, Y, diamonds, parts, subjects, texts

# rma(yi, vi, ...)$b, $ci.lb, $ci.ub, the first with control=list(threshold=1e-14, maxiter=1000)
ESTIMATES: dict[str, tuple[Any, tuple[float, float, float]]] = {
    'test="knha"': (
        "mixed effects",
        (-0.714532342158139, -1.10844371368555, -0.320620970630728),
    ),
    'test="z"': (
        MixedEffects(test="z"),
        (-0.714532342158139, -1.06689763881035, -0.362167045505929),
    ),
    'method="FE"': (
        FixedEffects(),
        (-0.430285163654091, -0.509661258426214, -0.350909068881968),
    ),
}
WEIGHTS = {  # weights(res)
    'test="knha"': [
        5.05948273436663, 6.36467937256301, 4.43602740260137, 9.69874701892071, 8.8684563912429,
        10.0957385442391, 6.02718141444445, 10.1894390370957, 8.7431332116382, 8.36760725788588,
        9.92502699981141, 3.82162906298955, 8.4028515522011,
    ],
    'method="FE"': [
        0.503754802568308, 0.842912651727497, 0.394866486317794, 8.19663305961031,
        3.20277948823389, 23.750934121401, 0.735435894753549, 41.4013898709963, 2.90630253648413,
        2.24601646781726, 13.2139914272852, 0.308005800297218, 2.29697739250766,
    ],
}  # fmt: skip
# res <- rma(yi, vi, mods=~g+ablat, data=dat, test="knha", ...), g being RANDOM
MODERATORS = {
    "g": (-0.271911190750228, -0.8380182240898, 0.294195842589344),
    "ablat": (-0.0278979408755329, -0.0471249702755117, -0.00867091147555416),
}
FITTED = [
    -1.16174464271493, -1.46862199234579, -1.10594876096386, -1.38492816971919,
    -0.0249972848231779, -0.889833451964698, -0.464296120826604, -0.296908475573406,
    -0.687479647830867, -0.834037570213633, -0.164486989200842, -0.582956102333836,
    -0.582956102333836,
]  # fmt: skip
# predict(res, newmods=rbind(c(0, mean(ablat)), c(1, mean(ablat))))
GROUPS = [
    (-0.595832075045621, -0.991584855317968, -0.200079294773274),
    (-0.867743265795849, -1.27355463789512, -0.46193189369658),
]
CLOSE: Any = {"rtol": 1e-7, "atol": 1e-9}  # REML's tau2 has 8 digits of metafor's


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


@pytest.mark.parametrize("call", ESTIMATES)
def test_one_group_is_drawn_as_metafor_finds_it(call: str) -> None:
    model, expected = ESTIMATES[call]
    figure = plot_forest(Y, V, model=model)
    ax = figure.axes[0]
    assert len(figure.axes) == 1
    effects, areas, ends = subjects(ax)
    np.testing.assert_allclose(effects, Y, rtol=1e-15)
    np.testing.assert_allclose(ends, np.column_stack([LOW, HIGH]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(diamonds(ax), [expected], **CLOSE)
    low, middle, high = expected[1], expected[0], expected[2]
    assert f"{middle:.2f} [{low:.2f}, {high:.2f}]" in texts(ax)
    if call in WEIGHTS:
        weights = np.array(WEIGHTS[call])
        assert [text for text in texts(ax) if text.endswith("%")] == [f"{w:.1f}%" for w in weights]
        seen = areas > 2.0  # a square is never too small to be seen
        largest = weights.max()
        np.testing.assert_allclose(areas[seen] / areas.max(), weights[seen] / largest, **CLOSE)


def test_the_plot_says_the_test_and_how_much_the_trials_differ() -> None:
    figure = plot_forest(Y, V)
    notes = [text.get_text() for text in figure.texts if text.get_gid() == "note"]
    # $zval, $pval; $tau2, $I2, $QE, $QEp
    assert "t(12) = \N{MINUS SIGN}3.952, two-sided p = 0.002" in notes
    assert "τ² = 0.313, I² = 92%, Q = 152.233, its p = 2e-26" in notes


def design() -> pd.DataFrame:
    return pd.DataFrame({"intercept": np.ones(13), "g": RANDOM, "ablat": LATITUDE})


def test_two_groups_have_their_means_and_the_difference_its_own_axis() -> None:
    figure = plot_forest(Y, V, design(), "g")
    upper, lower = figure.axes
    np.testing.assert_allclose(diamonds(upper), GROUPS, **CLOSE)
    np.testing.assert_allclose(diamonds(lower), [MODERATORS["g"]], **CLOSE)
    assert "g = 0" in texts(upper)
    assert "g = 1" in texts(upper)
    assert texts(lower)[-2] == "g"
    # The latitude's part is taken off: the effects lie about the means of their groups.
    effects, _, _ = subjects(upper)
    change = -MODERATORS["ablat"][0] * (np.array(LATITUDE) - np.mean(LATITUDE))
    own = np.array(Y) + change
    order = np.argsort(RANDOM, kind="stable")
    np.testing.assert_allclose(effects, own[order], **CLOSE)


def test_a_slope_orders_the_lines_and_shows_what_is_fitted() -> None:
    figure = plot_forest(Y, V, design(), "ablat")
    upper, lower = figure.axes
    assert diamonds(upper) == []
    np.testing.assert_allclose(diamonds(lower), [MODERATORS["ablat"]], **CLOSE)
    order = np.argsort(-np.array(LATITUDE), kind="stable")  # the slope is negative
    effects, _, _ = subjects(upper)
    np.testing.assert_allclose(effects, np.array(Y)[order], rtol=1e-15)
    (fitted,) = parts(upper, "fitted")
    np.testing.assert_allclose(fitted.get_xdata(), np.array(FITTED)[order], **CLOSE)


def test_several_rows_have_a_diamond_each() -> None:
    figure = plot_forest(Y, V, design(), ["g", "ablat"])
    found = diamonds(figure.axes[1])
    np.testing.assert_allclose(found, [MODERATORS["g"], MODERATORS["ablat"]], **CLOSE)


def test_a_level_widens_all_intervals() -> None:
    from scipy import stats

    ax = plot_forest(Y, V, level=0.99).axes[0]
    half = stats.norm.ppf(0.995) * np.sqrt(V)
    np.testing.assert_allclose(subjects(ax)[2][:, 1], Y + half, rtol=1e-12)
    middle, low, high = diamonds(ax)[0]
    (_, narrow, wide) = ESTIMATES['test="knha"'][1]
    ratio = stats.t.ppf(0.995, 12) / stats.t.ppf(0.975, 12)
    assert (high - low) / (wide - narrow) == pytest.approx(ratio, rel=1e-6)
    assert middle == pytest.approx((low + high) / 2)


def test_rows_are_matched_by_label() -> None:
    index = pd.Index([f"s{row:02d}" for row in range(13)], name="subject_label")
    shuffled = design().set_index(index).iloc[::-1]
    ax = plot_forest(pd.Series(Y, index), pd.Series(V, index).iloc[::-1], shuffled, "ablat").axes
    np.testing.assert_allclose(diamonds(ax[1]), [MODERATORS["ablat"]], **CLOSE)
    assert "s07" in texts(ax[0])
