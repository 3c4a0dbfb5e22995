# SPDX-License-Identifier: BSD-3-Clause
"""Where views in rows are on a page, with room for a title and a colour bar: `Placing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from groupglm.plotting.figure import Figure
from groupglm.plotting.frames import Frame, shrinkage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import matplotlib.figure

    from groupglm.plotting.frames import Box

__all__ = ["BAR_INCHES", "Placing", "place_rows", "place_rows_within"]

BAR_INCHES = 1.0
"""Height of the room for a colour bar."""

_GAP, _TITLE = 0.1, 0.45  # inches: between rows; for a title
_WIDEST = 8.0  # inches

Sizes: TypeAlias = "Sequence[Sequence[tuple[float, float]]]"  # of views in rows, in mm


@dataclass(frozen=True, eq=False)
class Placing:
    """Where views are in a frame.

    Parameters
    ----------
    frame : Frame
        The part of a figure.
    boxes : list of (left, bottom, width, height)
        Where each view is, row by row, in inches.
    size : tuple of 2 floats
        Width and height of the frame in inches.
    shrink : float
        How much smaller than usual what is beside the views is.
    """

    frame: Frame
    boxes: list[Box]
    size: tuple[float, float]
    shrink: float


def place_rows(
    sizes: Sizes,
    make: Callable[..., matplotlib.figure.Figure] = Figure,
    *,
    inches: float = 2.6,
    ground: str,
    title: bool,
    colorbar: bool,
    from_left: bool = False,
) -> Placing:
    """Make a figure for views in rows, all at one scale; a view is about so many inches wide."""
    scale = min(_WIDEST, inches * max(map(len, sizes))) / _width(sizes)
    width = _width(sizes) * scale + 0.2
    above = _TITLE if title else 0.1
    below = BAR_INCHES if colorbar else 0.1
    height = _height(sizes) * scale + _GAP * len(sizes) + above + below
    frame = Frame(make(figsize=(width, height), facecolor=ground))
    boxes = _boxes(sizes, scale, (width, height - above), _GAP, from_left)
    return Placing(frame, list(boxes), (width, height), 1.0)


def place_rows_within(
    frame: Frame, sizes: Sizes, *, title: bool, colorbar: bool, from_left: bool = False
) -> Placing:
    """Place views in rows in a part of a figure, as large as they fit."""
    width, height = frame.size
    shrink = shrinkage(min(width, height), 0.45)
    gap = _GAP * shrink / 2
    above = _TITLE * shrink if title else 0.0
    below = BAR_INCHES * shrink if colorbar else 0.0
    room = max(height - above - below - gap * len(sizes), 0.1 * height)
    scale = min(width / _width(sizes), room / _height(sizes))
    used = _height(sizes) * scale + gap * len(sizes)
    top = height - above - max(0.0, (height - above - below - used) / 2)
    boxes = _boxes(sizes, scale, (width, top), gap, from_left)
    return Placing(frame, list(boxes), (width, height), shrink)


def _width(sizes: Sizes) -> float:
    return max(float(sum(size[0] for size in row)) for row in sizes)


def _height(sizes: Sizes) -> float:
    return sum(max(float(size[1]) for size in row) for row in sizes)


def _boxes(
    sizes: Sizes, scale: float, corner: tuple[float, float], gap: float, from_left: bool
) -> Iterator[Box]:
    """Yield where each view is, in inches; `corner` is the width and the top."""
    width, top = corner
    widest = scale * _width(sizes)
    for row in sizes:
        used = widest if from_left else scale * sum(size[0] for size in row)
        left = (width - used) / 2
        for size in row:
            yield left, top - size[1] * scale, size[0] * scale, size[1] * scale
            left += size[0] * scale
        top -= max(size[1] for size in row) * scale + gap
