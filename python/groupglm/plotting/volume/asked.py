# SPDX-License-Identifier: BSD-3-Clause
"""What a caller asks of a plot of an image besides its colours: `Asked`, `open_display`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.plotting.colors import DARK
from groupglm.plotting.figure import check_output_file, figure_of, in_pyplot, save_figure
from groupglm.plotting.volume.display_figure import DisplayFigure, DisplayPart, own_display
from groupglm.plotting.volume.drawn import Drawn, places_of, views_by_name
from groupglm.plotting.volume.layout import Frame, Page
from groupglm.plotting.volume.panels import in_rows
from groupglm.plotting.volume.views import lay_out, lay_out_within
from groupglm.runtime.arguments import check_text, check_truth, real_array, whole_number

if TYPE_CHECKING:
    from pathlib import Path

    from groupglm.plotting.colors import Look
    from groupglm.plotting.volume.display import Display
    from groupglm.plotting.volume.layout import Layout
    from groupglm.plotting.volume.panels import Panel
    from groupglm.plotting.volume.pictures import Pictures
    from groupglm.plotting.volume.volumes import Bounds

__all__ = ["Asked", "open_display"]

_WHOLE = (0.0, 0.0, 1.0, 1.0)
_LARGEST_NUMBER = 2**31 - 1  # of a figure; Python does not write an int of any size
_LONGEST_NUMBER = 3  # digits of a width or a number of decimals: more would fill the memory


@dataclass(frozen=True, eq=False)
class Asked:
    """What a caller asks of a plot.

    Parameters
    ----------
    output : pathlib.Path, optional
        Where the picture is saved.
    figure, axes : object
        Where it is drawn.
    title : str, optional
        Written above.
    annotate, draw_cross, colorbar, radiological : bool
        What is drawn, and which side is on the left.
    decimals : int
        Of the places.
    form : str, optional
        How numbers of the colour bar are written.
    """

    output: Path | None
    figure: Any
    axes: Any
    title: str | None
    annotate: bool
    draw_cross: bool
    colorbar: bool
    radiological: bool
    decimals: int
    form: str | None

    @classmethod
    def of(
        cls,
        *,
        output_file: Any,
        figure: Any,
        axes: Any,
        title: str | None,
        annotate: bool,
        colorbar: bool,
        cbar_tick_format: str | None,
        radiological: bool,
        draw_cross: bool = True,
        decimals: int | bool = 0,
    ) -> Asked:
        """Check what is asked for, before anything is read."""
        check_text("title", title)
        check_text("cbar_tick_format", cbar_tick_format)
        if cbar_tick_format is not None:
            _check_form(cbar_tick_format)
        n_decimals = int(decimals) if isinstance(decimals, bool | np.bool_) else decimals
        if axes is not None and not isinstance(axes, Axes):
            _box(axes)
        _check_figure(figure, axes)
        return cls(
            check_output_file(output_file), figure, axes, title,
            check_truth("annotate", annotate), check_truth("draw_cross", draw_cross),
            check_truth("colorbar", colorbar), check_truth("radiological", radiological),
            whole_number("decimals", n_decimals, least=0), cbar_tick_format,
        )  # fmt: skip

    @property
    def is_own(self) -> bool:
        """Whether the plot gets a figure of its own."""
        return self.figure is None and self.axes is None

    def frame(self) -> Frame:
        """Return the part of the caller's figure that is drawn in."""
        import matplotlib.pyplot as plt

        if isinstance(self.axes, Axes):
            self.axes.set_axis_off()
            return Frame(figure_of(self.axes), self.axes.get_position().bounds, self.axes)
        figure = self.figure
        if not isinstance(figure, matplotlib.figure.Figure):
            figure = plt.figure(figure)
        return Frame(figure, _WHOLE if self.axes is None else _box(self.axes))

    def save(self, figure: matplotlib.figure.Figure) -> None:
        """Save the picture, if it was asked for."""
        save_figure(figure, self.output)


def _box(axes: Any) -> tuple[float, float, float, float]:
    wanted = "a matplotlib Axes, or (left, bottom, width, height) as parts of the figure"
    if isinstance(axes, str) or not np.iterable(axes):
        raise ArgumentTypeError("axes", shown(axes), wanted)
    numbers = real_array("axes", axes).astype(np.float64).ravel()
    if numbers.size != 4 or not np.isfinite(numbers).all() or not (numbers[2:] > 0).all():
        raise ArgumentError("axes", shown(axes), wanted)
    left, bottom, width, height = numbers.tolist()
    return left, bottom, width, height


def _check_figure(figure: Any, axes: Any) -> None:
    if isinstance(figure, matplotlib.figure.Figure):
        if isinstance(axes, Axes) and figure_of(axes) is not figure:
            raise ArgumentError(
                "axes", "in another figure", remedy="The axes passed are not in the figure"
            )
        return
    if figure is None:
        return
    if isinstance(figure, bool) or not isinstance(figure, int | np.integer):
        raise ArgumentTypeError(
            "figure", f"a {type(figure).__name__}", "a matplotlib Figure, its number, or None"
        )
    if abs(int(figure)) > _LARGEST_NUMBER:
        raise ArgumentError("figure", shown(figure), f"a number up to {_LARGEST_NUMBER}")


def _check_form(form: str) -> None:
    wanted = "a format of one number, such as '%.2g' or '%i'"
    if re.search(rf"\d{{{_LONGEST_NUMBER + 1}}}", form):
        raise ArgumentError("cbar_tick_format", shown(form), wanted)
    try:
        text = form % 1.5
        float(text)
    except (TypeError, ValueError) as error:
        raise ArgumentError("cbar_tick_format", shown(form), wanted) from error


@contextmanager
def open_display(
    asked: Asked,
    display_mode: str,
    panels: Sequence[Panel],
    bounds: Bounds,
    look: Look,
    pictures: Pictures,
    *,
    absolute: bool = False,
) -> Iterator[tuple[Display, Layout]]:
    """Yield a display and its views; it is saved at the end, and forgotten if drawing fails."""
    rows = in_rows(display_mode, panels)
    page = Page(
        look, asked.title, asked.colorbar, asked.annotate, asked.radiological, asked.decimals
    )
    from_left = display_mode == "tiled"
    crossed = panels[0].coordinate is not None and display_mode != "mosaic"
    crossed = crossed and len(display_mode) > 1

    def drawn(layout: Layout) -> Drawn:
        return Drawn(
            layout, views_by_name(display_mode, layout.views), pictures,
            places_of(display_mode, panels), absolute, crossed,
        )  # fmt: skip

    if asked.is_own:
        with in_pyplot(DisplayFigure) as make:
            layout = lay_out(rows, bounds, page, make, from_left=from_left)
            own = own_display(drawn(layout))
            yield own, layout
            _finish(own, layout, asked)
        return
    frame = asked.frame()
    if look is DARK:
        _darken(frame)
    layout = lay_out_within(frame, rows, bounds, page, from_left=from_left)
    part = DisplayPart(drawn(layout))
    yield part, layout
    _finish(part, layout, asked)


def _finish(display: Display, layout: Layout, asked: Asked) -> None:
    if asked.draw_cross:
        display.draw_cross()
    asked.save(layout.frame.figure)


def _darken(frame: Frame) -> None:
    """Give a part of a figure a dark ground."""
    if frame.axes is not None:
        ground = Rectangle((0, 0), 1, 1, transform=frame.axes.transAxes, color=DARK.ground)
        frame.axes.add_patch(ground)
        return
    left, bottom, width, height = frame.box
    ground = Rectangle(
        (left, bottom), width, height, transform=frame.figure.transFigure, color=DARK.ground,
        zorder=-2,
    )  # fmt: skip
    frame.figure.add_artist(ground)
