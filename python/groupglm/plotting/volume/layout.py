# SPDX-License-Identifier: BSD-3-Clause
"""The parts of a drawn page: `View`, `Frame`, `Page` and `Layout`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from groupglm.plotting.colors import Look
    from groupglm.plotting.scale import Scale
    from groupglm.plotting.volume.panels import Panel

__all__ = ["Box", "Frame", "Layout", "Page", "View"]

Box: TypeAlias = "tuple[float, float, float, float]"  # left, bottom, width, height


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


@dataclass(frozen=True, eq=False)
class Frame:
    """The part of a figure that is drawn in.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    box : tuple of 4 floats
        Left, bottom, width and height, as parts of the figure.
    axes : matplotlib.axes.Axes, optional
        Axes that the views stay within, also if a layout moves them.
    """

    figure: matplotlib.figure.Figure
    box: Box = (0.0, 0.0, 1.0, 1.0)
    axes: Axes | None = None


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
        return 11.0 * float(np.clip(inches / 3.5, 0.5, 1.0))

    def draw_bar(self, scale: Scale, label: str, form: str | None) -> None:
        """Draw the colour bar, if there is a place for it; `form` is how numbers are written."""
        if self.bar is not None:
            scale.draw_bar(self.bar, self.page.look, label, size=self.bar_size, form=form)
