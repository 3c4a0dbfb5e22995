# SPDX-License-Identifier: BSD-3-Clause
"""What is written on a view: sides, places and a line of known length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.plotting.frames import write_note
from groupglm.runtime.arguments import check_choice, real_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from groupglm.plotting.volume.layout import Layout, View

__all__ = ["draw_length", "name_place", "name_sides"]


def name_sides(view: View, layout: Layout, size: float | None = None, **options: Any) -> None:
    """Write which side is the subject's left, and which the right."""
    if view.panel.axis == "x":
        return
    for x, side in zip((0.03, 0.97), "RL" if layout.page.mirrored else "LR", strict=True):
        _note(view.ax, x, 0.97, side, layout, size, options)


def name_place(
    view: View, layout: Layout, decimals: int = 0, size: float | None = None, **options: Any
) -> None:
    """Write where the brain is cut, or from where it is seen."""
    text = view.panel.label
    if decimals and view.coord is not None:
        text = f"{view.direction} = {view.coord:.{decimals}f}"
    _note(view.ax, 0.03, 0.02, text, layout, size, options)


def _note(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    layout: Layout,
    size: float | None,
    options: dict[str, Any],
) -> None:
    letters = layout.size if size is None else size
    write_note(ax, x, y, text, layout.page.look, letters, options)


def draw_length(
    view: View, layout: Layout, length: float, unit: str, corner: int, size: float
) -> None:
    """Draw a line of known length, `length` of `unit`, in one of matplotlib's corners."""
    from matplotlib.font_manager import FontProperties
    from mpl_toolkits.axes_grid1.anchored_artists import (  # type: ignore[import-untyped]
        AnchoredSizeBar,
    )

    mm = (
        real_number("scale_size", length)
        * {"mm": 1, "cm": 10}[check_choice("scale_units", unit, ("cm", "mm"))]
    )
    view.ax.add_artist(
        AnchoredSizeBar(
            view.ax.transData, mm, f"{length:g} {unit}", corner, frameon=False,
            color=layout.page.look.ink, fontproperties=FontProperties(size=size),
        )
    )  # fmt: skip
