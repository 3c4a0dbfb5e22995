# SPDX-License-Identifier: BSD-3-Clause
"""The parts of a drawn page: `View`, `Page` and `Layout`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupglm.plotting.frames import Box, Frame, bar_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from groupglm.plotting.colors import Look
    from groupglm.plotting.scale import Scale
    from groupglm.plotting.volume.panels import Panel

__all__ = ["Layout", "Page", "View"]


@dataclass(frozen=True, eq=False)
class View:
    """One view of the brain.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Its axes, in mm.
    panel : Panel
        From where the brain is seen, and where it is cut.
    """

    ax: Axes
    panel: Panel

    @property
    def direction(self) -> str:
        """The axis that the view is perpendicular to; "l" and "r" are hemispheres."""
        return self.panel.view

    @property
    def coord(self) -> float | None:
        """Where the brain is cut, in mm; None for a glass brain."""
        return self.panel.coordinate


@dataclass(frozen=True)
class Page:
    """What is on a page beside the views.

    Parameters
    ----------
    look : Look
        Colours of the ground and of the writing.
    title : str, optional
        Written above.
    colorbar : bool
        Whether there is a place for the colour bar.
    is_annotated : bool
        Whether sides and places are named.
    mirrored : bool
        Whether the subject's right is on the left, as radiologists see it.
    decimals : int
        Of the places.
    """

    look: Look
    title: str | None = None
    colorbar: bool = False
    is_annotated: bool = True
    mirrored: bool = False
    decimals: int = 0


@dataclass(eq=False)
class Layout:
    """Where the views are; a bar and a title may come later.

    Parameters
    ----------
    frame : Frame
        The part of the figure that they are in.
    views : list of View
        In the order of the panels.
    page : Page
        What is beside them.
    bar : matplotlib.axes.Axes or None
        For the colour bar.
    size : float
        Of letters, in points.
    title : matplotlib.text.Text or None
        The title.
    """

    frame: Frame
    views: list[View]
    page: Page
    bar: Axes | None
    size: float
    title: Text | None

    @property
    def box(self) -> Box:
        """Where the frame is now, as parts of the figure."""
        axes = self.frame.axes
        return self.frame.box if axes is None else axes.get_position().bounds

    @property
    def bar_size(self) -> float:
        """Of the letters of the colour bar, in points."""
        inches = float(self.frame.figure.get_size_inches()[1]) * self.box[3]
        return bar_letters(inches)

    def draw_bar(self, scale: Scale, label: str, form: str | None) -> None:
        """Draw the colour bar, if there is a place for it; `form` is how numbers are written."""
        if self.bar is not None:
            scale.draw_bar(self.bar, self.page.look, label, size=self.bar_size, form=form)
