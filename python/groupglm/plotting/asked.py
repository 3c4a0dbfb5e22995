# SPDX-License-Identifier: BSD-3-Clause
"""Where a caller wants a picture of a map, and what is written on it: `Asked`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.plotting.figure import check_output_file, figure_of, save_figure
from groupglm.plotting.frames import Frame
from groupglm.runtime.arguments import check_text, check_truth, real_array

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Asked"]

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
    annotate, colorbar : bool
        What is drawn.
    form : str, optional
        How numbers of the colour bar are written.
    """

    output: Path | None
    figure: Any
    axes: Any
    title: str | None
    annotate: bool
    colorbar: bool
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
        **further: Any,
    ) -> Self:
        """Check what is asked for, before anything is read; `further` is checked already."""
        check_text("title", title)
        check_text("cbar_tick_format", cbar_tick_format)
        if cbar_tick_format is not None:
            _check_form(cbar_tick_format)
        if axes is not None and not isinstance(axes, Axes):
            _box(axes)
        _check_figure(figure, axes)
        return cls(
            check_output_file(output_file), figure, axes, title, check_truth("annotate", annotate),
            check_truth("colorbar", colorbar), cbar_tick_format, **further,
        )  # fmt: skip

    @property
    def is_own(self) -> bool:
        """Whether the plot gets a figure of its own."""
        return self.figure is None and self.axes is None

    def frame(self) -> Frame:
        """Return the part of the caller's figure that is drawn in."""
        if isinstance(self.axes, Axes):
            self.axes.set_axis_off()
            return Frame(figure_of(self.axes), self.axes.get_position().bounds, self.axes)
        figure = self.figure
        if not isinstance(figure, matplotlib.figure.Figure):
            import matplotlib.pyplot as plt

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
