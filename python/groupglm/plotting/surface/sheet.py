# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces on a sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke

from groupglm.errors import ArgumentError
from groupglm.plotting.charts import plain
from groupglm.plotting.colors import LIGHT
from groupglm.plotting.figure import Figure
from groupglm.plotting.placing import place_rows
from groupglm.plotting.sheet.composing import compose
from groupglm.plotting.sheet.scales import (
    overlay_codes,
    overlay_note,
    overlay_scale,
    scales_of,
    tell_of_empty,
)
from groupglm.plotting.surface.opening import open_hemispheres, tell_of_others
from groupglm.plotting.surface.scene import INCHES, Scene, Writing
from groupglm.plotting.surface.shading import Shading
from groupglm.plotting.surface.views import check_views as check_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.sheet.asked import Asked, Peaks
    from groupglm.plotting.surface.hemispheres import Hemisphere
    from groupglm.plotting.surface.scene import Seen

__all__ = ["check_views", "draw"]

_VIEWS = ("lateral", "medial")
_LOOK = LIGHT


def check_views(asked: Asked) -> None:
    """Refuse views that no hemisphere has, before a map is read."""
    _names(asked)
    if asked.cut_coords is not None:
        raise ArgumentError("cut_coords", "given", remedy="surfaces are not cut: leave it out")
    if asked.peaks is not None and asked.peaks.vertices is None:
        raise ArgumentError.about(
            "peaks",
            "this table of peaks has no columns Structure and Vertex, so that its peaks are voxels",
            "give the table of clusters of the surfaces",
        )


def _names(asked: Asked) -> tuple[str, ...]:
    given = asked.display_mode
    return _VIEWS if given is None else check_names([own.strip() for own in given.split(",")])


def draw(asked: Asked) -> Figure:
    """Draw maps of surfaces on one figure, without pyplot."""
    shading = Shading.of("auto" if asked.background is None else asked.background)
    opened = [open_hemispheres(image, asked.surfaces) for image in asked.maps]
    for name, one in zip(asked.names, opened, strict=True):
        tell_of_others(name, *one)
    hemispheres = opened[0][1]
    values = [_spread(row, own, hemispheres, "stat_map_img") for row, own in opened]
    outlines = [
        _spread(*open_hemispheres(one.image, asked.surfaces, "outlines"), hemispheres, "outlines")
        for one in asked.outlines
    ]
    every = [
        np.nan_to_num(np.concatenate(own), nan=0.0, posinf=np.inf, neginf=-np.inf) for own in values
    ]
    scales, label = scales_of(asked, every, dark=False)
    tell_of_empty(
        asked.names,
        [
            any(
                scale.shows(np.nan_to_num(part, posinf=np.inf, neginf=-np.inf)).any()
                for part in own
            )
            for own, scale in zip(values, scales, strict=True)
        ],
    )
    scene = Scene(
        hemispheres, [shading.shades(one) for one in hemispheres], _names(asked), asked.dpi
    )
    size = place_rows(
        scene.sizes, Figure, inches=INCHES, ground=_LOOK.ground, title=False, colorbar=False
    ).size
    composition = compose(asked, size, _LOOK, overlay_note(asked, scales, label))
    drawn = list(zip(values, scales, strict=True))
    if asked.overlay:
        shown = [[np.where(scale.shows(part), part, 0) for part in own] for own, scale in drawn]
        both = [overlay_codes(pair) for pair in zip(*shown, strict=True)]
        drawn = [(both, overlay_scale())]
    for frame, name, (own, scale) in zip(composition.blocks, asked.blocks, drawn, strict=True):
        writing = Writing(_LOOK, name or None, colorbar=False)
        for seen in scene.draw_within(frame, own, scale, writing):
            _finish(seen, asked, outlines, hemispheres)
    if asked.colorbar and not asked.overlay:
        composition.draw_bar(scales[0], label)
    return composition.figure


def _spread(
    row: NDArray[np.float64], own: Sequence[Hemisphere], like: Sequence[Hemisphere], name: str
) -> list[NDArray[np.float64]]:
    """Return the values of the vertices of each hemisphere, which all maps have in common."""
    shapes = [
        [(one.side, one.mesh.n_vertices) for one in hemispheres] for hemispheres in (own, like)
    ]
    if shapes[0] != shapes[1]:
        found, wanted = (
            " and ".join(f"{side} {n:,}" for side, n in shape) or "none" for shape in shapes
        )
        raise ArgumentError.about(
            name,
            f"a map has other vertices than the first: {found}, not {wanted}",
            "give maps of the same meshes",
        )
    return [one.spread(row) for one in own]


def _finish(
    seen: Seen, asked: Asked, outlines: Sequence[list[Any]], hemispheres: Sequence[Hemisphere]
) -> None:
    """Draw outlines and peaks over a view."""
    colours = asked.outline_colours(dark=False)
    for own, colour in zip(outlines, colours, strict=True):
        inside = np.nan_to_num(np.abs(own[seen.number])) > asked.outline_threshold
        picture = seen.sight.outline(inside, to_rgb(colour))
        seen.ax.imshow(picture, extent=seen.extent, origin="lower", zorder=3)
    if asked.peaks is not None:
        _mark(seen, asked.peaks, hemispheres[seen.number])


def _mark(seen: Seen, peaks: Peaks, hemisphere: Hemisphere) -> None:
    """Mark the peaks of a hemisphere that its view shows."""
    rim = [withStroke(linewidth=2.5, foreground=_LOOK.ground)]
    visible = set(np.unique(seen.sight.vertices).tolist())
    signs = np.array([seen.camera.right[1], seen.camera.up[1]])
    for label, (side, vertex) in zip(peaks.labels, peaks.vertices or [], strict=True):
        if side.lower().removeprefix("cortex_") != hemisphere.side or vertex not in visible:
            continue
        place = hemisphere.mesh.coordinates[vertex : vertex + 1]
        x, y = (signs * seen.camera.project(place)[0, :2]).tolist()
        seen.ax.scatter(
            x, y, s=45, facecolors="none", edgecolors=_LOOK.ink, linewidths=1.2, zorder=6,
            path_effects=rim,
        )  # fmt: skip
        seen.ax.annotate(
            plain(label), (x, y), (4, 4), textcoords="offset points", size=8, color=_LOOK.ink,
            zorder=7, path_effects=rim,
        )  # fmt: skip
