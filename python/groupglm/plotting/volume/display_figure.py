# SPDX-License-Identifier: BSD-3-Clause
"""Displays that are a figure, and those within one: `DisplayFigure`, `DisplayPart`."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.figure

from groupglm.plotting.figure import Figure
from groupglm.plotting.volume.display import Display
from groupglm.plotting.volume.drawn import Drawn, ViewList

__all__ = ["DisplayFigure", "DisplayPart", "own_display"]


class DisplayFigure(Display, Figure):  # type: ignore[misc]  # savefig of nilearn's arguments
    """A display that has a figure of its own, and is that figure."""

    @property  # type: ignore[misc]
    def axes(self) -> ViewList:  # type: ignore[override]
        """The axes of the views and of the colour bar, and the views by name."""
        drawn = getattr(self, "_drawn", None)
        found: Any = matplotlib.figure.Figure.axes.fget(self)  # type: ignore[attr-defined]
        return ViewList(found, {} if drawn is None else drawn.views)


def own_display(drawn: Drawn) -> DisplayFigure:
    """Return the display of what was drawn in a figure that `DisplayFigure` made: that figure."""
    display = cast("DisplayFigure", drawn.layout.frame.figure)
    display._drawn = drawn
    return display


class DisplayPart(Display):
    """A display in a figure, or in axes, that the caller gave."""

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn

    @property
    def axes(self) -> ViewList:
        """The axes of the views and of the colour bar, and the views by name."""
        layout = self._drawn.layout
        bars = [] if layout.bar is None else [layout.bar]
        return ViewList([*(view.ax for view in layout.views), *bars], self._drawn.views)

    @property
    def figure(self) -> matplotlib.figure.Figure:
        """The figure that it is in."""
        return self._figure

    def _repr_png_(self) -> bytes:
        """Return the picture of the whole figure."""
        return Figure._repr_png_(self._figure)  # type: ignore[arg-type]
