# SPDX-License-Identifier: BSD-3-Clause
"""Slices with the outlines of sets that lie within each other: `draw_nested`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from groupglm.plotting.colors import DARK
from groupglm.plotting.figure import Figure
from groupglm.plotting.volume.behind import Shade, draw_behind
from groupglm.plotting.volume.layout import Page
from groupglm.plotting.volume.marks import draw_outlines
from groupglm.plotting.volume.panels import choose_cuts, in_rows
from groupglm.plotting.volume.pictures import Slices
from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.views import lay_out
from groupglm.plotting.volume.volumes import Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.plotting.volume.template import Background

__all__ = ["draw_nested"]


def draw_nested(
    depth: Volume,
    names: Sequence[str],
    colours: Sequence[str],
    background: Background | None,
    mask: Volume,
) -> Figure:
    """Draw the outlines of nested sets in slices, on a dark ground.

    Parameters
    ----------
    depth : Volume
        In how many of the sets a voxel is.
    names, colours : sequence of str
        Of the sets, the outermost first.
    background : Background or None
        The picture behind.
    mask : Volume
        The voxels that are asked about.
    """
    bounds = drawn_bounds(mask, background)
    panels = choose_cuts("z", None, depth if depth.data.any() else mask, bounds)
    layout = lay_out(in_rows("z", panels), bounds, Page(DARK, None, True), Figure)
    draw_behind(layout.views, background, bounds, Shade())
    for number, colour in enumerate(colours):
        within = Volume((depth.data > number).astype(np.float32), depth.affine)
        draw_outlines(layout.views, Slices(bounds), within, 0.5, colour)
    if layout.bar is not None:
        layout.bar.set_axis_off()
        layout.bar.legend(
            handles=[Line2D([], [], color=own, lw=2) for own in colours],
            labels=list(names),
            loc="center",
            ncols=len(names),
            frameon=False,
            labelcolor=DARK.ink,
            fontsize=layout.bar_size,
        )
    figure: Any = layout.frame.figure
    return figure  # type: ignore[no-any-return]
