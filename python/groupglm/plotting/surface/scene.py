# SPDX-License-Identifier: BSD-3-Clause
"""Hemispheres in several views on a page: `Scene`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.charts import plain
from groupglm.plotting.figure import Figure
from groupglm.plotting.frames import (
    add_axes,
    add_bar_axes,
    bar_letters,
    write_note,
    write_title,
)
from groupglm.plotting.placing import Placing, place_rows, place_rows_within
from groupglm.plotting.surface.painting import Sight, room_around
from groupglm.plotting.surface.views import camera_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import matplotlib.figure
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from groupglm.plotting.colors import Look
    from groupglm.plotting.frames import Frame
    from groupglm.plotting.scale import Scale
    from groupglm.plotting.surface.hemispheres import Hemisphere
    from groupglm.plotting.surface.views import Camera

__all__ = ["INCHES", "Scene", "Seen", "Writing"]

INCHES = 3.6
"""Width of a view on a page of its own."""
_LETTERS, _NARROW = 11.0, 2.0  # points; on a view narrower than that, in inches, they are smaller


@dataclass(frozen=True)
class Writing:
    """What is written on a picture.

    Parameters
    ----------
    look : Look
        Colours of the ground and of the letters.
    title : str, optional
        Written above.
    label : str
        Written at the colour bar.
    colorbar, annotate : bool
        Whether there is a bar, and whether views are named.
    form : str, optional
        How numbers of the bar are written.
    """

    look: Look
    title: str | None = None
    label: str = ""
    colorbar: bool = True
    annotate: bool = True
    form: str | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """A view of a hemisphere in a figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Its axes, in the world's mm.
    number : int
        The number of the hemisphere.
    camera : Camera
        From where it is looked at.
    sight : Sight
        What is seen.
    extent : tuple of 4 floats
        The edges of its picture.
    """

    ax: Axes
    number: int
    camera: Camera
    sight: Sight
    extent: tuple[float, float, float, float]


class Scene:
    """Hemispheres in several views; what is seen is computed once for all maps.

    Parameters
    ----------
    hemispheres : sequence of Hemisphere
        One or both.
    shades : sequence of array, shape (n_vertices,)
        How bright the vertices of each are, from 0 to 1.
    views : sequence of str
        The names of views.
    dpi : float
        Pixels an inch.
    """

    def __init__(
        self,
        hemispheres: Sequence[Hemisphere],
        shades: Sequence[NDArray[np.float64]],
        views: Sequence[str],
        dpi: float = 150.0,
    ) -> None:
        self.hemispheres, self.shades, self.views, self.dpi = hemispheres, shades, views, dpi
        self._sights: dict[tuple[int, str, float], Sight] = {}

    @cached_property
    def rows(self) -> list[list[tuple[int, str]]]:
        """The number of the hemisphere and the view of each picture, row by row."""
        numbers = range(len(self.hemispheres))
        if len(numbers) == 1:
            return [[(0, view) for view in self.views]]
        return [[(number, view) for number in numbers] for view in self.views]

    @cached_property
    def sizes(self) -> list[list[tuple[float, float]]]:
        """Width and height of each picture, in mm."""
        return [[self._size(number, view) for number, view in row] for row in self.rows]

    def _size(self, number: int, view: str) -> tuple[float, float]:
        hemisphere = self.hemispheres[number]
        camera = camera_of(view, hemisphere.side)
        spans = np.ptp(camera.project(hemisphere.mesh.coordinates)[:, :2], axis=0)
        width, height = (spans + 2 * room_around(spans)).tolist()
        return width, height

    def draw(
        self,
        values: Sequence[NDArray[Any]],
        scale: Scale,
        writing: Writing,
        make: Callable[..., matplotlib.figure.Figure] = Figure,
    ) -> matplotlib.figure.Figure:
        """Draw a map, the values of the vertices of each hemisphere, in a figure of its own."""
        placing = place_rows(
            self.sizes, make, inches=INCHES, ground=writing.look.ground,
            title=bool(writing.title), colorbar=writing.colorbar,
        )  # fmt: skip
        self._fill(placing, values, scale, writing)
        return placing.frame.figure

    def draw_within(
        self, frame: Frame, values: Sequence[NDArray[Any]], scale: Scale, writing: Writing
    ) -> list[Seen]:
        """Draw a map in a part of a figure; return its views, to draw more on them."""
        placing = place_rows_within(
            frame, self.sizes, title=bool(writing.title), colorbar=writing.colorbar
        )
        return self._fill(placing, values, scale, writing)

    def _fill(
        self, placing: Placing, values: Sequence[NDArray[Any]], scale: Scale, writing: Writing
    ) -> list[Seen]:
        frame, look = placing.frame, writing.look
        narrowest = min(box[2] for box in placing.boxes)
        letters = _LETTERS * float(np.clip(narrowest / _NARROW, 0.45, 1.0))
        if writing.title:
            write_title(frame, plain(writing.title), look.ink, placing.shrink, placing.size)
        pictures = [one for row in self.rows for one in row]
        widths = [size[0] for row in self.sizes for size in row]
        drawn = []
        for (number, view), box, width in zip(pictures, placing.boxes, widths, strict=True):
            ax = add_axes(frame, box, placing.size)
            ax.set_axis_off()
            name = f"{self.hemispheres[number].side} {view}"
            ax.set_label(name)
            # Of the same size on every page, so that a figure's size decides what is computed.
            sight = self._sight(number, view, width / (box[2] * self.dpi))
            camera = camera_of(view, self.hemispheres[number].side)
            left, right, bottom, top = sight.box
            across, up = camera.right[1], camera.up[1]
            extent = (across * left, across * right, up * bottom, up * top)
            ax.imshow(sight.paint(values[number], scale), extent=extent, origin="lower")
            ax.set_xlim(extent[0], extent[1])  # the world's mm, which may fall to the right
            ax.set_ylim(extent[2], extent[3])
            if writing.annotate:
                write_note(ax, 0.02, 0.01, name, look, letters, {})
            drawn.append(Seen(ax, number, camera, sight, extent))
        if writing.colorbar:
            bar = add_bar_axes(frame, placing.size, placing.shrink)
            size = bar_letters(placing.size[1])
            scale.draw_bar(bar, look, writing.label, size=size, form=writing.form)
        return drawn

    def _sight(self, number: int, view: str, resolution: float) -> Sight:
        key = number, view, resolution
        if key not in self._sights:
            hemisphere = self.hemispheres[number]
            camera = camera_of(view, hemisphere.side)
            self._sights[key] = Sight.of(hemisphere.relief, self.shades[number], camera, resolution)
        return self._sights[key]
