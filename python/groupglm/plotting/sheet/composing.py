# SPDX-License-Identifier: BSD-3-Clause
"""Where blocks of views, the title, the legend and the colour bar are on a sheet: `compose`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from groupglm.errors import ArgumentError
from groupglm.plotting.charts import plain, shortened
from groupglm.plotting.figure import Figure
from groupglm.plotting.frames import Frame, add_bar_axes, write_title
from groupglm.plotting.placing import BAR_INCHES

if TYPE_CHECKING:
    from groupglm.plotting.colors import Look
    from groupglm.plotting.scale import Scale
    from groupglm.plotting.sheet.asked import Asked

__all__ = ["Composition", "compose"]

_WIDEST = 12.0  # inches
_HEADING, _LINE = 0.45, 0.26  # inches: for the title and a name above a block; of a legend
_SHAPE = 1.4  # width over height of a sheet that reads well
_COLUMNS = 3
_LEGEND_COLUMNS = 3
_MOST_PIXELS = 150_000_000  # some 600 MB while the picture is written


@dataclass(frozen=True, eq=False)
class Composition:
    """A sheet with room for all that is on it.

    Parameters
    ----------
    figure : Figure
        The sheet.
    blocks : list of Frame
        The part of each map.
    look : Look
        Colours of the ground and of the writing.
    """

    figure: Figure
    blocks: list[Frame]
    look: Look

    def draw_bar(self, scale: Scale, label: str) -> None:
        """Draw the colour bar at the bottom."""
        frame = Frame(self.figure)
        scale.draw_bar(add_bar_axes(frame, frame.size, 1.0), self.look, label, form="%.2g")


def compose(asked: Asked, block: tuple[float, float], look: Look, note: str = "") -> Composition:
    """Make a sheet for blocks of a width and height in inches, each with its name above.

    `note` is written above the legend.

    Raises
    ------
    ArgumentError
        If the sheet would have more pixels than a picture can.
    """
    names = asked.blocks
    legend = asked.legend(dark=_is_dark(look))
    below = BAR_INCHES if asked.colorbar and not asked.overlay else 0.1
    lines = (-(-len(legend) // _LEGEND_COLUMNS) + bool(note)) * _LINE
    above = _HEADING if asked.title else 0.1
    width, height = block[0], block[1] + (_HEADING if names[0] else 0.0)
    n_columns = min(
        range(1, min(_COLUMNS, len(names)) + 1),
        key=lambda n: max(n * width / _SHAPE, -(-len(names) // n) * height),
    )
    n_rows = -(-len(names) // n_columns)
    scale = min(1.0, _WIDEST / (n_columns * width))
    size = (n_columns * width * scale, n_rows * height * scale + above + lines + below)
    _check_pixels(size, asked.dpi)
    figure = Figure(figsize=size, facecolor=look.ground, dpi=asked.dpi)
    boxes = []
    for number in range(len(names)):
        row, column = divmod(number, n_columns)
        top = size[1] - above - row * height * scale
        bottom = (top - height * scale) / size[1]
        boxes.append((column / n_columns, bottom, 1 / n_columns, height * scale / size[1]))
    whole = Frame(figure)
    if asked.title:
        write_title(whole, plain(asked.title), look.ink, 1.0, size)
    if legend:
        _write_legend(figure, legend, look, below / size[1], note)
    return Composition(figure, [Frame(figure, box) for box in boxes], look)


def _is_dark(look: Look) -> bool:
    from groupglm.plotting.colors import DARK

    return look is DARK


def _check_pixels(size: tuple[float, float], dpi: float) -> None:
    pixels = size[0] * size[1] * dpi**2
    if pixels > _MOST_PIXELS or max(size) * dpi >= 2**16:
        raise ArgumentError.about(
            "dpi",
            f"the picture would be {size[0]:.1f} by {size[1]:.1f} inches of {dpi:g} dpi, which is "
            f"{pixels / 1e6:,.0f} million pixels",
            f"give fewer dpi or fewer maps: at most {_MOST_PIXELS / 1e6:,.0f} million pixels",
        )


def _write_legend(
    figure: Figure, entries: list[tuple[str, str, bool]], look: Look, bottom: float, note: str
) -> None:
    handles: list[Any] = []
    names = []
    for name, colour, is_filled in entries:
        handles.append(Patch(color=colour) if is_filled else Line2D([], [], color=colour, lw=2))
        # matplotlib leaves out names that begin with an underscore
        names.append(("\u200a" if name.startswith("_") else "") + shortened(name))
    made = figure.legend(
        handles, names, loc="lower center", bbox_to_anchor=(0.5, bottom), frameon=False,
        ncols=min(len(names), _LEGEND_COLUMNS), labelcolor=look.ink, fontsize=10, borderpad=0.1,
        handlelength=1.4, columnspacing=1.6, title=plain(note) or None, title_fontsize=10,
    )  # fmt: skip
    made.get_title().set_color(look.ink)
