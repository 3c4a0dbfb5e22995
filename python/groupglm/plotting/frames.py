# SPDX-License-Identifier: BSD-3-Clause
"""The part of a figure that is drawn in, and axes, bar and title within it: `Frame`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from groupglm.plotting.colors import Look

__all__ = [
    "Box",
    "Frame",
    "Within",
    "add_axes",
    "add_bar_axes",
    "bar_letters",
    "fill_ground",
    "shrinkage",
    "write_note",
    "write_title",
]

Box: TypeAlias = "tuple[float, float, float, float]"  # left, bottom, width, height

_WIDE = 3.5  # inches; in a smaller frame the letters are smaller
_SMALLEST_TITLE = 6.0  # points
_LONGEST_MEASURED = 300  # letters of a line


@dataclass(frozen=True, eq=False)
class Frame:
    """The part of a figure that is drawn in.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    box : tuple of 4 floats
        Left, bottom, width and height, as parts of the figure.
    axes : matplotlib.axes.Axes, optional
        Axes that the views stay within, also if a layout moves them.
    """

    figure: matplotlib.figure.Figure
    box: Box = (0.0, 0.0, 1.0, 1.0)
    axes: Axes | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        width, height = np.multiply(self.figure.get_size_inches(), self.box[2:]).tolist()
        return width, height


@dataclass(frozen=True)
class Within:
    """Keeps axes in a part of other axes: what matplotlib calls a locator."""

    outer: Axes
    box: Box

    def __call__(self, ax: Axes, renderer: object) -> Bbox:
        """Return where the axes are, as parts of the figure."""
        del ax, renderer
        left, bottom, width, height = self.outer.get_position().bounds
        x, y, w, h = self.box
        return Bbox.from_bounds(left + x * width, bottom + y * height, w * width, h * height)

    def get_subplotspec(self) -> Any:
        """Tell ``tight_layout`` that the axes belong to the outer ones."""
        return self.outer.get_subplotspec()


def shrinkage(inches: float, least: float) -> float:
    """Return how much smaller than usual what is beside the views is, in a frame of that size."""
    return float(np.clip(inches / _WIDE, least, 1.0))


def bar_letters(inches: float) -> float:
    """Return the size of the letters of a colour bar, in points, in a frame of that height."""
    return 11.0 * shrinkage(inches, 0.5)


def add_axes(frame: Frame, place: Box, size: tuple[float, float]) -> Axes:
    """Add axes at a place in inches within a frame of that size."""
    x, y, w, h = (place[0] / size[0], place[1] / size[1], place[2] / size[0], place[3] / size[1])
    left, bottom, width, height = frame.box
    ax = frame.figure.add_axes((left + x * width, bottom + y * height, w * width, h * height))
    if frame.axes is not None:
        ax.set_axes_locator(Within(frame.axes, (x, y, w, h)))  # type: ignore[arg-type]
        ax.set_zorder(frame.axes.get_zorder() + 1)
    return ax


def add_bar_axes(frame: Frame, size: tuple[float, float], shrink: float) -> Axes:
    """Add the axes of a colour bar at the bottom of a frame."""
    length = max(min(4.5, size[0] - 0.6 * shrink), 0.4 * size[0])
    place = ((size[0] - length) / 2, 0.62 * shrink, length, 0.16 * shrink)
    return add_axes(frame, place, size)


def write_title(
    frame: Frame, text: str, ink: str, shrink: float, inches: tuple[float, float]
) -> Text:
    """Write a title in the upper left corner of a frame, in letters so small that it fits."""
    size = 13 * max(shrink, 0.7)
    fitting = 72 * (inches[0] - 0.2) / max(_points_across(text, size), 1e-9)  # 72 points an inch
    size = max(size * min(1.0, fitting), min(size, _SMALLEST_TITLE))
    left, bottom, width, height = frame.box
    x, y = 0.1 / inches[0], 1 - 0.12 * size / 13 / inches[1]
    if frame.axes is not None:
        return frame.axes.text(
            x, y, text, transform=frame.axes.transAxes, color=ink, va="top", size=size
        )
    return frame.figure.text(
        left + x * width, bottom + y * height, text, color=ink, va="top", size=size
    )


def _points_across(text: str, size: float) -> float:
    """Return the width of a text in points."""
    lines = [line[:_LONGEST_MEASURED] for line in text.split("\n") if line.strip()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font lacks are told when it is drawn
        return max((TextPath((0, 0), own, size).get_extents().width for own in lines), default=0.0)


def write_note(
    ax: Axes, x: float, y: float, text: str, look: Look, size: float, options: dict[str, Any]
) -> None:
    """Write in a corner, with a rim in the colour of the ground: a map may lie behind it."""
    given: dict[str, Any] = {
        "color": look.ink,
        "size": size,
        "ha": "left" if x < 0.5 else "right",
        "va": "bottom" if y < 0.5 else "top",
        "path_effects": [withStroke(linewidth=3, foreground=look.ground)],
        **options,
    }
    ax.text(x, y, text, transform=ax.transAxes, gid="note", **given)


def fill_ground(frame: Frame, ground: str) -> None:
    """Give a part of a figure a ground of its own."""
    if frame.axes is not None:
        within = Rectangle((0, 0), 1, 1, transform=frame.axes.transAxes, color=ground)
        frame.axes.add_patch(within)
        return
    left, bottom, width, height = frame.box
    within = Rectangle(
        (left, bottom), width, height, transform=frame.figure.transFigure, color=ground, zorder=-2
    )
    frame.figure.add_artist(within)
