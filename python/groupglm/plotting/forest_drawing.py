# SPDX-License-Identifier: BSD-3-Clause
"""A forest plot drawn: a line for each subject, a diamond for the group."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.charts import plain
from groupglm.plotting.colors import BLUE, GREY, INK, ORANGE
from groupglm.plotting.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from groupglm.plotting.forest_data import Estimate, Forest

__all__ = ["axis_limits", "digits_of", "draw_forest", "in_numbers"]

_MINUS = "\N{MINUS SIGN}"
_MANY = 60  # lines from which on they are set closer
_FARTHEST = 1.5  # how far an interval is drawn beyond all effects, in widths of their range
_HALF_DIAMOND = 0.34  # of a line
_DIGITS = 3

# Sizes in inches, and those of letters in points.
_PLOT, _GAP, _AXIS, _NOTE = 3.4, 0.12, 0.55, 0.16
_LINE, _LETTERS = 0.21, 8.0
_CLOSE_LINE, _SMALL_LETTERS = 0.13, 6.0
_NOTE_LETTER = 0.068  # mean width of a letter of the notes


@dataclass(frozen=True)
class _Line:
    """One line of the plot: a heading, a subject, an estimate, or a subject that is absent."""

    label: str
    numbers: str = ""
    weight: str = ""
    subject: int | None = None
    estimate: Estimate | None = None
    is_heading: bool = False


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a plot: height of a line, letters, and the widths of the columns of text."""

    line: float
    letters: float
    names: float
    numbers: float
    weights: float

    @property
    def width(self) -> float:
        """The width of the figure."""
        return self.names + _PLOT + self.numbers + self.weights + 5 * _GAP

    def height(self, lines: Sequence[_Line]) -> float:
        """Return the height of axes, with a line for the heads of the columns."""
        return self.line * (len(lines) + 1)


def draw_forest(
    forest: Forest,
    level: float,
    title: str | None,
    label: str,
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw a forest plot; see `groupglm.plotting.plot_forest`."""
    head = f"{level:.0%} interval"
    parts = [(_lines(forest), (f"effect, {head}", "weight"), plain(label))]
    if forest.estimates:
        shown = _of_estimates(forest.estimates, digits_of([one.value for one in forest.estimates]))
        parts.append((shown, (f"contrast, {head}", ""), plain(forest.test)))
    sizes = _sizes([lines for lines, *_ in parts], parts[0][1])
    notes = [
        line
        for note in _notes(forest, level)
        for line in textwrap.wrap(note, int(sizes.width / _NOTE_LETTER))
    ]
    top = 0.36 if title else _GAP
    height = sum(sizes.height(lines) + _AXIS for lines, *_ in parts) + top
    height += _NOTE * len(notes) + _GAP
    figure = make(figsize=(sizes.width, height), facecolor="white")
    for number, (lines, heads, below) in enumerate(parts):
        own = sizes.height(lines)
        top += own
        place = (sizes.names + 2 * _GAP) / sizes.width, 1 - top / height
        ax = figure.add_axes((*place, _PLOT / sizes.width, own / height))
        top += _AXIS
        if number == 0:
            ax.set_xlim(*axis_limits(forest))
            _draw_subjects(ax, forest, lines, sizes.line)
        else:
            ends = np.array([_ends(one) for one in forest.estimates])
            ax.set_xlim(*_around(ends[np.isfinite(ends)]))
        _write(ax, lines, sizes, heads)
        ax.set_xlabel(below, fontsize=9)
    if title:
        figure.text(_GAP / sizes.width, 1 - _GAP / height, plain(title), fontsize=11, va="top")
    for number, note in enumerate(reversed(notes)):
        at = (_GAP + _NOTE * number) / height
        figure.text(_GAP / sizes.width, at, plain(note), fontsize=8, gid="note")
    return figure


def _sizes(parts: Sequence[Sequence[_Line]], heads: tuple[str, str]) -> _Sizes:
    lines = [line for part in parts for line in part]
    close = len(lines) > _MANY
    letters = _SMALL_LETTERS if close else _LETTERS
    return _Sizes(
        _CLOSE_LINE if close else _LINE,
        letters,
        # Letters of a name, which may be wide, in bold.
        _widest([line.label for line in lines], letters, "bold"),
        _widest([heads[0], *(line.numbers for line in lines)], letters),
        _widest([heads[1], *(line.weight for line in lines)], letters),
    )


def _widest(texts: Sequence[str], letters: float, weight: str = "normal") -> float:
    """Return the width of the widest of some texts in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font, measure = FontProperties(size=letters, weight=weight), TextToPath()
    # Only long texts can be the widest, and measuring takes time.
    longest = max(map(len, texts))
    widths = [
        measure.get_text_width_height_descent(text, font, ismath=False)[0]
        for text in {text for text in texts if 2 * len(text) >= longest}
    ]
    return float(max(widths)) / 72


def _lines(forest: Forest) -> list[_Line]:
    """Return the lines of the plot from the top to the bottom."""
    digits = digits_of(forest.effects)
    places = 1 if len(forest.labels) <= _MANY else 2  # after the point of a percentage
    lines: list[_Line] = []
    for group in forest.groups:
        if group.name:
            lines.append(_Line(_full(group.name), is_heading=True))
        lines.extend(
            _Line(
                _full(forest.labels[row]),
                in_numbers(forest.effects[row], forest.half_widths[row], digits),
                f"{forest.percent[row]:.{places}f}%",
                subject=row,
            )
            for row in group.rows.tolist()
        )
        if group.estimate is not None:
            lines += _of_estimates([group.estimate], digits)
    if forest.absent:
        lines.append(_Line("not in the fit here", is_heading=True))
        lines += [_Line(_full(name), _full(reason)) for name, reason in forest.absent]
    return lines


def _of_estimates(estimates: Sequence[Estimate], digits: int | None) -> list[_Line]:
    return [
        _Line(_full(one.name), in_numbers(one.value, one.half_width, digits), estimate=one)
        for one in estimates
    ]


def _full(name: str) -> str:
    """Return a name in one line, in full."""
    return plain(name.replace("\n", r"\n"))


def digits_of(values: Any) -> int | None:
    """Return how many digits after the point tell values apart; None for very large or small."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    if not 1e-4 < largest < 1e6:
        return None
    return max(_DIGITS - 1 - int(np.floor(np.log10(largest))), 0)


def in_numbers(value: float, half: float, digits: int | None) -> str:
    """Return an estimate and the ends of its interval, given half of its width."""
    low, middle, high = (_number(each, digits) for each in (value - half, value, value + half))
    return f"{middle} [{low}, {high}]" if np.isfinite(half) else middle


def _number(value: float, digits: int | None) -> str:
    # Adding zero avoids -0.
    text = f"{value:.3g}" if digits is None else f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", _MINUS)


def _ends(one: Estimate) -> tuple[float, float, float]:
    """Return the ends of an estimate's interval, and the estimate."""
    return one.value - one.half_width, one.value + one.half_width, one.value


def axis_limits(forest: Forest) -> tuple[float, float]:
    """Return the ends of the axis of the effects.

    All effects are inside; intervals are as far as they leave the others legible.
    """
    shown = np.concatenate([group.rows for group in forest.groups])
    effects, half = forest.effects[shown], forest.half_widths[shown]
    means = [_ends(group.estimate) for group in forest.groups if group.estimate is not None]
    inner = np.concatenate([effects, np.ravel(means), [0.0]])
    inner = inner[np.isfinite(inner)]
    low, high = inner.min(), inner.max()
    room = _FARTHEST * ((high - low) or 1.0)
    outer = np.concatenate([effects - half, effects + half, inner])
    return _around(np.clip(outer[np.isfinite(outer)], low - room, high + room))


def _around(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits that hold values and zero, with some room."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    room = 0.04 * ((high - low) or 1.0)
    return low - room, high + room


def _draw_subjects(ax: Axes, forest: Forest, lines: Sequence[_Line], line: float) -> None:
    """Draw intervals, squares and fitted values of the subjects, and arrows where an end is cut."""
    places = [place for place, one in enumerate(lines) if one.subject is not None]
    rows = [one.subject for one in lines if one.subject is not None]
    y = -np.array(places, dtype=np.float64)
    effects, half, percent = forest.effects[rows], forest.half_widths[rows], forest.percent[rows]
    low, high = ax.get_xlim()
    starts, ends = effects - half, effects + half
    drawn = ax.hlines(y, np.maximum(starts, low), np.minimum(ends, high), color=INK, lw=1)
    drawn.set_gid("intervals")
    for cut, end, marker in ((starts < low, low, "<"), (ends > high, high, ">")):
        ax.plot(np.full(cut.sum(), end), y[cut], marker, color=INK, ms=4, clip_on=False)
    largest = (0.75 * line * 72) ** 2  # the area of the largest square, in points
    areas = np.maximum(largest * percent / percent.max(), 2.0)
    ax.scatter(effects, y, s=areas, marker="s", color=BLUE, lw=0, zorder=3).set_gid("subjects")
    if forest.fitted is not None:
        ax.plot(
            forest.fitted[rows], y, "|", color=ORANGE, ms=0.75 * line * 72, mew=2, zorder=4,
            gid="fitted",
        )  # fmt: skip


def _write(ax: Axes, lines: Sequence[_Line], sizes: _Sizes, heads: tuple[str, str]) -> None:
    """Write names to the left of the axes and numbers to its right; draw diamonds, and zero."""
    ax.set_ylim(-len(lines) + 0.5, 1.5)
    ax.axvline(0, ymax=len(lines) / (len(lines) + 1), color=INK, lw=0.8, ls=":", zorder=0)
    ax.set_yticks([])
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    left = -_GAP / _PLOT
    middle = 1 + _GAP / _PLOT
    right = middle + (sizes.numbers + _GAP + sizes.weights) / _PLOT
    texts = [(middle, 1, heads[0], "left", GREY), (right, 1, heads[1], "right", GREY)]
    for place, one in enumerate(lines):
        if one.estimate is not None:
            _draw_diamond(ax, one.estimate, -place)
        texts.append((left, -place, one.label, "right", INK))
        texts.append((middle, -place, one.numbers, "left", INK))
        texts.append((right, -place, one.weight, "right", INK))
    bold = {-place for place, one in enumerate(lines) if one.is_heading or one.estimate is not None}
    transform = ax.get_yaxis_transform()
    for x, y, text, align, colour in texts:
        if text:
            ax.text(
                x, y, text, transform=transform, ha=align, va="center", fontsize=sizes.letters,
                color=colour, fontweight="bold" if x == left and y in bold else "normal",
            )  # fmt: skip


def _draw_diamond(ax: Axes, one: Estimate, y: float) -> None:
    low, high, middle = _ends(one)
    if not np.isfinite(low):
        ax.plot([middle], [y], "D", color=ORANGE, ms=5, zorder=3)
        return
    corners = [(low, y), (middle, y + _HALF_DIAMOND), (high, y), (middle, y - _HALF_DIAMOND)]
    x, heights = zip(*corners, strict=True)
    ax.fill(x, heights, color=ORANGE, lw=0, zorder=3, gid="estimate")


def _notes(forest: Forest, level: float) -> list[str]:
    """Return what the plot says below."""
    notes = [] if forest.estimates else [forest.test]
    if forest.spread:
        notes.append(forest.spread)
    drawn = f"Lines: {level:.0%} interval by the subject's own variance. Squares: weight."
    if forest.fitted is not None:
        drawn += " Orange ticks: what the model fits; the tested columns' part orders the lines."
    notes.append(drawn)
    if forest.is_adjusted:
        notes.append("What the other columns explain is taken off the effects.")
    return notes
