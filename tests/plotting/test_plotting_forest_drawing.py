# SPDX-License-Identifier: BSD-3-Clause
"""Forest plots of fixed effects: every subject is legible, and those that do not count are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import FixedEffects
from groupglm.errors import ArgumentError
from groupglm.plotting import plot_forest
from reference.forests import HIGH, LATITUDE, LOW, RANDOM, V, Y, diamonds, subjects, texts

DESIGN = pd.DataFrame({"intercept": np.ones(13), "g": RANDOM, "ablat": LATITUDE})
# rma(yi, vi, data=dat, method="FE"): $b, $ci.lb, $ci.ub and weights(res), by metafor 3.8.1
FIXED = (-0.430285163654091, -0.509661258426214, -0.350909068881968)
WEIGHTS = [
    0.503754802568308, 0.842912651727497, 0.394866486317794, 8.19663305961031, 3.20277948823389,
    23.750934121401, 0.735435894753549, 41.4013898709963, 2.90630253648413, 2.24601646781726,
    13.2139914272852, 0.308005800297218, 2.29697739250766,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def test_fixed_effects_are_drawn_as_metafor_finds_them() -> None:
    ax = plot_forest(Y, V, model="fixed effects").axes[0]
    effects, areas, ends = subjects(ax)
    np.testing.assert_allclose(effects, Y, rtol=1e-15)
    np.testing.assert_allclose(ends, np.column_stack([LOW, HIGH]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(diamonds(ax), [FIXED], rtol=1e-12)
    assert [text for text in texts(ax) if text.endswith("%")] == [f"{w:.1f}%" for w in WEIGHTS]
    weights = np.array(WEIGHTS)
    seen = areas > 2.0  # a square is never too small to be seen
    np.testing.assert_allclose(areas[seen] / areas.max(), weights[seen] / max(weights), rtol=1e-12)


def test_trials_that_do_not_count_are_listed_with_the_reason() -> None:
    y, v = np.array(Y), np.array(V)
    y[1], v[2], v[3] = np.nan, np.nan, 0
    y[4] = v[4] = 0
    names = [f"trial {row}" for row in range(13)]
    ax = plot_forest(y, v, labels=names, model="fixed effects").axes[0]
    found = texts(ax)
    for row, reason in (
        (1, "no value"),
        (2, "no variance"),
        (3, "variance of 0"),
        (4, "outside: effect and variance are 0"),
    ):
        assert found[found.index(names[row]) + 1] == reason
    present = np.delete(np.arange(13), [1, 2, 3, 4])
    same = plot_forest(y[present], v[present], model=FixedEffects()).axes[0]
    np.testing.assert_allclose(diamonds(ax), diamonds(same), rtol=1e-10)
    np.testing.assert_allclose(subjects(ax)[0], y[present], rtol=1e-15)


def test_an_interval_that_is_too_wide_ends_in_an_arrow() -> None:
    y, v = np.append(Y, 0.2), np.append(V, 400.0)
    ax = plot_forest(y, v, model="fixed effects").axes[0]
    low, high = ax.get_xlim()
    assert low > -10
    assert high < 10
    _, _, ends = subjects(ax)
    np.testing.assert_allclose(ends[-1], [low, high])
    arrows = {line.get_marker(): np.size(line.get_xdata()) for line in ax.lines}
    assert (arrows["<"], arrows[">"]) == (1, 1)
    half = 1.959963984540054 * 20
    assert f"0.20 [{0.2 - half:.2f}, {0.2 + half:.2f}]" in texts(ax)


def test_four_hundred_subjects_are_legible(tmp_path: Path) -> None:
    """Every name is there in full, no text is over another, and none is cut off."""
    rng = np.random.default_rng(0)
    v = rng.chisquare(4, 400) / 4
    y = rng.normal(0, 1, 400) + rng.normal(0, np.sqrt(v))
    names = [f"sub-{row:03d} of the clinic at the end of the longest road" for row in range(400)]
    figure = plot_forest(y, v, labels=names, model="fixed effects")
    ax = figure.axes[0]
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in [*ax.texts, *figure.texts]]
    whole = figure.bbox
    assert set(names) <= set(texts(ax))
    for box in boxes:
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    shown = [text for text in ax.texts if text.get_text() in names]
    tops = np.array([text.get_window_extent().y1 for text in shown])
    bottoms = np.array([text.get_window_extent().y0 for text in shown])
    assert (tops[1:] <= bottoms[:-1] + 1).all()


def image_of(value: float) -> Any:
    values = np.full((3, 3, 3), 9.0)
    values[1, 2, 0] = value
    return nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]))  # type: ignore[no-untyped-call]


def test_images_are_read_at_a_position_and_saved_in_a_file(tmp_path: Path) -> None:
    effects, variances = ([image_of(value) for value in values] for values in (Y, V))
    file = tmp_path / "forest.svg"
    figure = plot_forest(
        effects, variances, position=(2, 4, 0), model="fixed effects", output_file=file
    )
    np.testing.assert_allclose(diamonds(figure.axes[0]), [FIXED], rtol=1e-12)
    assert file.read_text().count("<svg") == 1


@pytest.mark.parametrize(
    ("argument", "changed"),
    [
        ("variances", {"variances": V[:-1]}),
        ("variances", {"variances": [-1.0, *V[1:]]}),
        ("variances", {"variances": [np.inf, *V[1:]]}),
        ("effects", {"effects": [*[np.nan] * 12, 1.0]}),
        ("labels", {"labels": ["a"]}),
        ("labels", {"labels": "abcdefghijklm"}),
        ("level", {"level": 1.0}),
        ("model", {"model": "ols"}),
        ("model", {"model": "nonsense"}),
        ("contrast_def", {"contrast_def": "nonsense"}),
    ],
)
def test_what_does_not_fit_is_refused(argument: str, changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {"effects": Y, "variances": V, "design_matrix": DESIGN}
    given |= {"contrast_def": "g", "model": "fixed effects"}
    with pytest.raises(ArgumentError) as told:
        plot_forest(**{**given, **changed})
    assert told.value.argument == argument
    assert plt.get_fignums() == []
