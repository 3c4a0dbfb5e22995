# SPDX-License-Identifier: BSD-3-Clause
"""Marks on views of volumes: places with their names, and outlines of voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patheffects import withStroke

from groupglm.plotting.charts import plain
from groupglm.plotting.volume.pictures import keeping_limits
from groupglm.plotting.volume.volumes import IN_PLANE, Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.colors import Look
    from groupglm.plotting.volume.layout import View
    from groupglm.plotting.volume.pictures import Pictures

__all__ = ["draw_outlines", "mark_places", "seen_in"]

_NEAR = 2.0  # mm from a cut, within which a place is marked


def seen_in(view: View, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which places a view shows: a slice those near it, a hemisphere its own.

    Shapes: `places` (n, 3) in mm; returns (n,).
    """
    if view.coord is not None:
        number = "xyz".index(view.panel.axis)
        return np.asarray(np.abs(places[:, number] - view.coord) <= _NEAR)
    if view.direction in ("l", "r"):
        return places[:, 0] <= 0 if view.direction == "l" else places[:, 0] >= 0
    return np.ones(len(places), np.bool_)


def mark_places(
    views: Sequence[View], places: NDArray[np.float64], labels: Sequence[str], look: Look
) -> None:
    """Mark places by rings, with a label beside each. Shapes: `places` (n, 3) in mm."""
    rim = [withStroke(linewidth=2.5, foreground=look.ground)]
    for view in views:
        seen = seen_in(view, places)
        across, up = places[seen][:, IN_PLANE[view.panel.axis]].T
        with keeping_limits(view):
            view.ax.scatter(
                across, up, s=45, facecolors="none", edgecolors=look.ink, linewidths=1.2,
                zorder=6, path_effects=rim,
            )  # fmt: skip
            for label, x, y in zip(np.array(labels)[seen], across, up, strict=True):
                view.ax.annotate(
                    plain(str(label)), (x, y), (4, 4), textcoords="offset points", size=8,
                    color=look.ink, zorder=7, path_effects=rim, annotation_clip=True,
                    clip_on=True,
                )  # fmt: skip


def draw_outlines(
    views: Sequence[View], pictures: Pictures, volume: Volume, limit: float, colour: str
) -> None:
    """Draw the outline of the voxels whose size is beyond a limit, along their edges."""
    inside = (np.abs(volume.data) > limit).astype(np.float32)
    of_panel = pictures(Volume(inside, volume.affine))
    for view in views:
        picture, extent = of_panel(view.panel)
        if min(picture.shape) < 2 or not picture.any():
            continue
        # A rim of zeros closes the lines of what reaches the edge of the picture.
        closed = np.pad(picture, 1)
        steps = [(extent[1] - extent[0]) / picture.shape[1], (extent[3] - extent[2])]
        steps[1] /= picture.shape[0]
        wide: Any = (
            extent[0] - steps[0], extent[1] + steps[0], extent[2] - steps[1], extent[3] + steps[1]
        )  # fmt: skip
        with keeping_limits(view):
            view.ax.contour(
                closed, levels=[0.5], colors=colour, linewidths=1.4, extent=wide, origin="lower",
                zorder=3,
            )  # fmt: skip
