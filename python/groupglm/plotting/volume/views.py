# SPDX-License-Identifier: BSD-3-Clause
"""Put views of the brain on a page: `lay_out`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.charts import plain
from groupglm.plotting.figure import Figure
from groupglm.plotting.frames import Within, add_axes, add_bar_axes, write_title
from groupglm.plotting.placing import BAR_INCHES, Placing, place_rows, place_rows_within
from groupglm.plotting.volume.layout import Layout, View
from groupglm.plotting.volume.notes import name_place, name_sides
from groupglm.plotting.volume.volumes import IN_PLANE, Bounds

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

    from groupglm.plotting.frames import Box, Frame
    from groupglm.plotting.volume.layout import Page
    from groupglm.plotting.volume.panels import Panel

__all__ = ["add_bar", "lay_out", "lay_out_within", "view_sizes"]

_NARROW = 1.4  # inches; on a narrower view the letters are smaller


def lay_out(
    rows: Sequence[Sequence[Panel]],
    bounds: Bounds,
    page: Page,
    make: Callable[..., matplotlib.figure.Figure] = Figure,
    *,
    from_left: bool = False,
) -> Layout:
    """Make a figure with an axes for each view, all at one scale, in mm."""
    placing = place_rows(
        view_sizes(rows, bounds), make, ground=page.look.ground, title=bool(page.title),
        colorbar=page.colorbar, from_left=from_left,
    )  # fmt: skip
    return _fill(placing, rows, bounds, page)


def lay_out_within(
    frame: Frame,
    rows: Sequence[Sequence[Panel]],
    bounds: Bounds,
    page: Page,
    *,
    from_left: bool = False,
) -> Layout:
    """Put an axes for each view into a part of a figure, as large as they fit."""
    placing = place_rows_within(
        frame, view_sizes(rows, bounds), title=bool(page.title), colorbar=page.colorbar,
        from_left=from_left,
    )  # fmt: skip
    return _fill(placing, rows, bounds, page)


def view_sizes(rows: Sequence[Sequence[Panel]], bounds: Bounds) -> list[list[Any]]:
    """Return the width and height of each view, in mm."""
    spans = np.subtract(bounds.high, bounds.low)
    return [[spans[list(IN_PLANE[panel.axis])] for panel in row] for row in rows]


def _fill(placing: Placing, rows: Sequence[Sequence[Panel]], bounds: Bounds, page: Page) -> Layout:
    """Add the axes of all views, the title and the axes of the colour bar."""
    frame, places, size, shrink = placing.frame, placing.boxes, placing.size, placing.shrink
    narrowest = min(place[2] for place in places)
    points = 12 * float(np.clip(narrowest / _NARROW, 0.45, 1.0))
    title = None
    if page.title:
        title = write_title(frame, plain(page.title), page.look.ink, shrink, size)
    views = []
    for panel, place in zip((one for row in rows for one in row), places, strict=True):
        views.append(View(_view(frame, panel, bounds, place, size, page.mirrored), panel))
    bar = None
    if page.colorbar:
        bar = add_bar_axes(frame, size, shrink)
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
    part = min(BAR_INCHES * shrink / size[1], 0.4)
    for view in layout.views:
        x, y, w, h = view.ax.get_position(original=True).bounds
        x, y = (x - left) / width, (y - bottom) / height
        kept = 1 - part
        box = (0.5 + (x - 0.5) * kept, part + y * kept, w / width * kept, h / height * kept)
        if frame.axes is None or view.ax.get_axes_locator() is None:
            x, y, w, h = box
            view.ax.set_position((left + x * width, bottom + y * height, w * width, h * height))
        else:
            view.ax.set_axes_locator(Within(frame.axes, box))  # type: ignore[arg-type]
    layout.bar = add_bar_axes(frame, (size[0], size[1]), shrink)


def _view(
    frame: Frame,
    panel: Panel,
    bounds: Bounds,
    place: Box,
    size: tuple[float, float],
    mirrored: bool,
) -> Axes:
    first, second = IN_PLANE[panel.axis]
    ax = add_axes(frame, place, size)
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
