# SPDX-License-Identifier: BSD-3-Clause
"""Small forest plots, as many as the table of peaks has rows: `SmallForest`.

They are drawn by the page's own template, because a figure of matplotlib takes fifty times as long
and ten times as many bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.plotting.forest_drawing import axis_limits, digits_of, in_numbers
from groupglm.report import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from groupglm.plotting.forest_data import Estimate, Forest
    from groupglm.report.findings import Peak

__all__ = ["MOST_LINES", "SmallForest", "small_forest"]

MOST_LINES = 40_000
"""Lines of images in all small plots of a page, which take about 100 bytes each."""

# In units of the drawing, which is as wide as its place on the page.
_WIDTH = 220.0
_NAMES = 46.0  # width of the column of names
_LETTERS = 12  # of a name that fits into it
_MARGIN, _AXIS = 5.0, 16.0
_LINE, _CLOSE_LINE = 9.0, 4.0
_MANY = 60  # lines from which on they are set closer, and have no names
_STEPS = 4  # numbers at the axis, at most


@dataclass(frozen=True)
class SmallForest:
    """A forest plot of one place, as an outline for SVG.

    Parameters
    ----------
    title : str
        Cluster and place of the peak.
    facts : tuple of str
        Estimates, test and spread in numbers.
    alt : str
        A description for readers who do not see the drawing.
    width, height : float
        The size of the drawing.
    names : list of (float, str, str)
        Height of a line, the subject's name as far as there is room, and in full.
    intervals, squares, fitted, diamonds : str
        Paths. The area of a square is the weight.
    zero : float
        Where zero is on the axis.
    axis : tuple of float
        Ends and height of the axis.
    ticks : list of (float, str)
        Numbers at the axis.
    """

    title: str
    facts: tuple[str, ...]
    alt: str
    width: float
    height: float
    names: list[tuple[float, str, str]]
    intervals: str
    squares: str
    fitted: str
    diamonds: str
    zero: float
    axis: tuple[float, float, float]
    ticks: list[tuple[float, str]]


def small_forest(forest: Forest, peak: Peak) -> SmallForest:
    """Return the small plot of a peak."""
    n_lines = sum(len(group.rows) + (group.estimate is not None) for group in forest.groups)
    line = _LINE if n_lines <= _MANY else _CLOSE_LINE
    left = (_NAMES if n_lines <= _MANY else 0.0) + _MARGIN
    right = _WIDTH - _MARGIN
    low, high = axis_limits(forest)

    def x_of(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    largest = float(forest.percent.max())
    names, intervals, squares, fitted, diamonds = [], [], [], [], []
    y = _MARGIN
    for group in forest.groups:
        for row in group.rows.tolist():
            y += line
            name = forest.labels[row]
            names.append((y, _shortened(name), name))
            middle, half = float(forest.effects[row]), float(forest.half_widths[row])
            intervals.append(_interval(middle - half, middle + half, y, (low, high), x_of))
            side = max(0.8 * line * float(np.sqrt(forest.percent[row] / largest)), 1.0)
            corner = f"M{x_of(middle) - side / 2:.1f} {y - side / 2:.1f}"
            squares.append(f"{corner}h{side:.1f}v{side:.1f}h{-side:.1f}z")
            if forest.fitted is not None:
                at, tall = x_of(float(forest.fitted[row])), 0.7 * line
                fitted.append(f"M{at:.1f} {y - tall / 2:.1f}v{tall:.1f}")
        if group.estimate is not None:
            y += line
            name = group.name or group.estimate.name
            names.append((y, _shortened(name), name))
            diamonds.append(_diamond(group.estimate, y, x_of))
    bottom = y + line
    count = len(forest.labels) - len(forest.absent)
    estimates = _in_words(forest)
    title = f"{peak.cluster}: {words.peak(peak)}"
    return SmallForest(
        title=title,
        facts=(*estimates, forest.test, *([forest.spread] if forest.spread else [])),
        alt=f"Forest plot of {count} of {len(forest.labels)} images at peak {title}. "
        f"{'; '.join((*estimates, forest.test))}.",
        width=_WIDTH,
        height=bottom + _AXIS,
        names=names if n_lines <= _MANY else [],
        intervals="".join(intervals),
        squares="".join(squares),
        fitted="".join(fitted),
        diamonds="".join(diamonds),
        zero=round(x_of(0.0), 1),
        axis=(left, right, bottom),
        ticks=[
            (round(x_of(at), 1), f"{at:g}".replace("-", words.MINUS)) for at in _ticks(low, high)
        ],
    )


def _interval(
    first: float, last: float, y: float, ends: tuple[float, float], x_of: Callable[[float], float]
) -> str:
    """Return the path of an interval; an arrow where it goes on beyond the axis."""
    drawn = f"M{x_of(first):.1f} {y:.1f}H{x_of(last):.1f}"
    if first < ends[0]:
        drawn += f"M{x_of(first) + 2:.1f} {y - 2:.1f}l-2 2l2 2"
    if last > ends[1]:
        drawn += f"M{x_of(last) - 2:.1f} {y - 2:.1f}l2 2l-2 2"
    return drawn


def _diamond(one: Estimate, y: float, x_of: Callable[[float], float]) -> str:
    half = one.half_width if np.isfinite(one.half_width) else 0.0
    low, middle, high = (x_of(value) for value in (one.value - half, one.value, one.value + half))
    low, high = min(low, middle - 1.5), max(high, middle + 1.5)  # a narrow one is still seen
    return (
        f"M{low:.1f} {y:.1f}L{middle:.1f} {y - 3:.1f}L{high:.1f} {y:.1f}L{middle:.1f} {y + 3:.1f}z"
    )


def _in_words(forest: Forest) -> list[str]:
    """Return the estimates of groups and contrast, with the ends of their intervals."""
    own: Sequence[Estimate] = [
        *(group.estimate for group in forest.groups if group.estimate is not None),
        *forest.estimates,
    ]
    digits = digits_of([one.value for one in own])
    return [f"{one.name}: {in_numbers(one.value, one.half_width, digits)}" for one in own]


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(_STEPS, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(at) for at in found if low <= at <= high]


def _shortened(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
