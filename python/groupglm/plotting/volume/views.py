# SPDX-License-Identifier: BSD-3-Clause
"""Put views of the brain on a page: `lay_out`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.transforms import Bbox

from groupglm.plotting.charts import plain
from groupglm.plotting.figure import Figure
from groupglm.plotting.volume.layout import Frame, Layout, View
from groupglm.plotting.volume.notes import name_place, name_sides
from groupglm.plotting.volume.volumes import IN_PLANE, Bounds

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from groupglm.plotting.volume.layout import Box, Page
    from groupglm.plotting.volume.panels import Panel

__all__ = ["add_bar", "lay_out", "lay_out_within"]

_GAP, _TITLE, _BAR = 0.1, 0.45, 1.0  # inches: between rows; for a title; for a colour bar
_NARROW = 1.4  # inches; on a narrower view the letters are smaller


@dataclass(frozen=True)
class _Within:
    """Keeps axes in a part of other axes: what matplotlib calls a locator."""

    outer: Axes
    box: Box

    def __call__(self, ax: Axes, renderer: object) -> Bbox:
        del ax, renderer
        left, bottom, width, height = self.outer.get_position().bounds
        x, y, w, h = self.box
        return Bbox.from_bounds(left + x * width, bottom + y * height, w * width, h * height)

    def get_subplotspec(self) -> Any:
        """Tell ``tight_layout`` that the axes belong to the outer ones."""
        return self.outer.get_subplotspec()


def lay_out(
    rows: Sequence[Sequence[Panel]],
    bounds: Bounds,
    page: Page,
    make: Callable[..., matplotlib.figure.Figure] = Figure,
    *,
    from_left: bool = False,
) -> Layout:
    """Make a figure with an axes for each view, all at one scale, in mm."""
    sizes = _sizes(rows, bounds)
    inches = min(8.0, 2.6 * max(map(len, rows))) / _width(sizes)  # of one mm
    width = _width(sizes) * inches + 0.2
    above = _TITLE if page.title else 0.1
    below = _BAR if page.colorbar else 0.1
    height = _height(sizes) * inches + _GAP * len(rows) + above + below
    frame = Frame(make(figsize=(width, height), facecolor=page.look.ground))
    boxes = _boxes(sizes, inches, (width, height - above), _GAP, from_left)
    return _place(frame, rows, boxes, bounds, page, (width, height), 1.0)


def lay_out_within(
    frame: Frame,
    rows: Sequence[Sequence[Panel]],
    bounds: Bounds,
    page: Page,
    *,
    from_left: bool = False,
) -> Layout:
    """Put an axes for each view into a part of a figure, as large as they fit."""
    width, height = np.multiply(frame.figure.get_size_inches(), frame.box[2:]).tolist()
    shrink = float(np.clip(min(width, height) / 3.5, 0.45, 1.0))
    sizes = _sizes(rows, bounds)
    gap = _GAP * shrink / 2
    above = _TITLE * shrink if page.title else 0.0
    below = _BAR * shrink if page.colorbar else 0.0
    room = max(height - above - below - gap * len(rows), 0.1 * height)
    inches = min(width / _width(sizes), room / _height(sizes))
    used = _height(sizes) * inches + gap * len(rows)
    top = height - above - max(0.0, (height - above - below - used) / 2)
    boxes = _boxes(sizes, inches, (width, top), gap, from_left)
    return _place(frame, rows, boxes, bounds, page, (width, height), shrink)


def _sizes(rows: Sequence[Sequence[Panel]], bounds: Bounds) -> list[list[Any]]:
    """Return the width and height of each view, in mm."""
    spans = np.subtract(bounds.high, bounds.low)
    return [[spans[list(IN_PLANE[panel.axis])] for panel in row] for row in rows]


def _width(sizes: list[list[Any]]) -> float:
    return max(float(sum(size[0] for size in row)) for row in sizes)


def _height(sizes: list[list[Any]]) -> float:
    return sum(max(float(size[1]) for size in row) for row in sizes)


def _boxes(
    sizes: list[list[Any]],
    inches: float,
    corner: tuple[float, float],
    gap: float,
    from_left: bool,
) -> Iterator[Box]:
    """Yield where each view is, in inches; `corner` is the width and the top."""
    width, top = corner
    widest = inches * _width(sizes)
    for row in sizes:
        used = widest if from_left else inches * sum(size[0] for size in row)
        left = (width - used) / 2
        for size in row:
            yield left, top - size[1] * inches, size[0] * inches, size[1] * inches
            left += size[0] * inches
        top -= max(size[1] for size in row) * inches + gap


def _place(
    frame: Frame,
    rows: Sequence[Sequence[Panel]],
    boxes: Iterator[Box],
    bounds: Bounds,
    page: Page,
    size: tuple[float, float],
    shrink: float,
) -> Layout:
    places = list(boxes)
    narrowest = min(place[2] for place in places)
    points = 12 * float(np.clip(narrowest / _NARROW, 0.45, 1.0))
    title = None
    if page.title:
        title = _write_title(frame, plain(page.title), page.look.ink, 13 * max(shrink, 0.7), size)
    views = []
    for panel, place in zip((one for row in rows for one in row), places, strict=True):
        views.append(View(_view(frame, panel, bounds, place, size, page.mirrored), panel))
    bar = None
    if page.colorbar:
        bar = _bar_axes(frame, size, shrink)
    layout = Layout(frame, views, page, bar, points, title)
    if page.is_annotated:
        for view in views:
            name_sides(view, layout)
            name_place(view, layout, page.decimals)
    return layout


def add_bar(layout: Layout) -> None:
    """Make room for a colour bar below the views, and put its axes there."""
    frame = layout.frame
    left, bottom, width, height = layout.box
    size = np.multiply(frame.figure.get_size_inches(), (width, height)).tolist()
    shrink = layout.bar_size / 11.0
    part = min(_BAR * shrink / size[1], 0.4)
    for view in layout.views:
        x, y, w, h = view.ax.get_position(original=True).bounds
        x, y = (x - left) / width, (y - bottom) / height
        kept = 1 - part
        box = (0.5 + (x - 0.5) * kept, part + y * kept, w / width * kept, h / height * kept)
        if frame.axes is None or view.ax.get_axes_locator() is None:
            x, y, w, h = box
            view.ax.set_position((left + x * width, bottom + y * height, w * width, h * height))
        else:
            view.ax.set_axes_locator(_Within(frame.axes, box))  # type: ignore[arg-type]
    layout.bar = _bar_axes(frame, (size[0], size[1]), shrink)


def _bar_axes(frame: Frame, size: tuple[float, float], shrink: float) -> Axes:
    length = max(min(4.5, size[0] - 0.6 * shrink), 0.4 * size[0])
    place = ((size[0] - length) / 2, 0.62 * shrink, length, 0.16 * shrink)
    return _add(frame, place, size)


def _write_title(
    frame: Frame, text: str, ink: str, size: float, inches: tuple[float, float]
) -> Text:
    left, bottom, width, height = frame.box
    x, y = 0.1 / inches[0], 1 - 0.12 * size / 13 / inches[1]
    if frame.axes is not None:
        return frame.axes.text(
            x, y, text, transform=frame.axes.transAxes, color=ink, va="top", size=size
        )
    return frame.figure.text(
        left + x * width, bottom + y * height, text, color=ink, va="top", size=size
    )


def _add(frame: Frame, place: Box, size: tuple[float, float]) -> Axes:
    """Add axes at a place in inches within a frame."""
    x, y, w, h = (place[0] / size[0], place[1] / size[1], place[2] / size[0], place[3] / size[1])
    left, bottom, width, height = frame.box
    ax = frame.figure.add_axes((left + x * width, bottom + y * height, w * width, h * height))
    if frame.axes is not None:
        ax.set_axes_locator(_Within(frame.axes, (x, y, w, h)))  # type: ignore[arg-type]
        ax.set_zorder(frame.axes.get_zorder() + 1)
    return ax


def _view(
    frame: Frame,
    panel: Panel,
    bounds: Bounds,
    place: Box,
    size: tuple[float, float],
    mirrored: bool,
) -> Axes:
    first, second = IN_PLANE[panel.axis]
    ax = _add(frame, place, size)
    ax.set_axis_off()
    ax.set_label(panel.label)
    if frame.axes is not None:
        ax.set_aspect("equal")  # also where a layout gives the outer axes another shape
    sides = (bounds.low[first], bounds.high[first])
    # From the left, the front of the head is on the left.
    is_turned = panel.view == "l" or (mirrored and panel.axis != "x")
    ax.set_xlim(*(sides[::-1] if is_turned else sides))
    ax.set_ylim(bounds.low[second], bounds.high[second])
    return ax
