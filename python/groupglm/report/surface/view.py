# SPDX-License-Identifier: BSD-3-Clause
"""The viewer of maps of surfaces that a user gives, without a fit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.plotting.colors import DARK
from groupglm.plotting.kind import kind_of
from groupglm.plotting.scale import Scale
from groupglm.plotting.surface.opening import open_hemispheres, tell_of_others
from groupglm.plotting.surface.scene import Scene, Writing
from groupglm.plotting.surface.shading import Shading
from groupglm.report.figures import DPI, Picture, picture
from groupglm.report.surface.drawing import shading_given
from groupglm.report.surface.viewer import SECTION, Vertices, meshes_payload
from groupglm.report.viewer_maps import Viewed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.plotting.kind import DrawnKind
    from groupglm.report.asked_view import AskedView

__all__ = ["viewer_of"]


def viewer_of(asked: AskedView) -> tuple[dict[str, Any], str]:
    """Return what the template of the viewer needs, and a note on the shades."""
    shading = Shading.of(shading_given(asked.bg_img))
    opened = [open_hemispheres(image, asked.surfaces) for image in asked.maps]
    for name, (row, own) in zip(asked.names, opened, strict=True):
        tell_of_others(name, row, own)
    hemispheres = opened[0][1]
    vertices = Vertices(hemispheres)
    kinds = [kind_of(image, asked.threshold, asked.label) for image in asked.maps]
    maps = []
    for kind, name, (row, own) in zip(kinds, asked.names, opened, strict=True):
        shapes = [
            [(one.side, one.mesh.n_vertices, one.own) for one in several]
            for several in (own, hemispheres)
        ]
        if shapes[0] != shapes[1]:
            raise ArgumentError.about(
                "stat_map_img",
                f"the map {name} has other vertices than the first",
                "give maps of the same meshes",
            )
        viewed = Viewed.of_map(kind, name, row)
        cortex = np.zeros(len(row), np.bool_)
        for one in own:
            cortex[one.own] = True
        sizes = np.where(cortex & ~np.isnan(row), row if not viewed.signed else np.abs(row), -1.0)
        maps.append(vertices.map_payload(row, viewed, [int(sizes.argmax())], None))
    shades = [shading.shades(one) for one in hemispheres]
    scene = Scene(hemispheres, shades, ("lateral", "medial"), DPI)
    rows = [row for row, _ in opened]
    return {
        **SECTION,
        "choice": "Map",
        "background": meshes_payload(hemispheres, shades, with_areas=False),
        "maps": maps,
        "stills": list(map(partial(_still, scene), rows, kinds, asked.names)),
    }, shading.description(hemispheres)


def _still(scene: Scene, row: NDArray[np.float64], kind: DrawnKind, name: str) -> Picture:
    """Draw a map for a browser that cannot turn it, as `plot_surf_stat_map` does."""
    values = [one.spread(row) for one in scene.hemispheres]
    drawn = np.nan_to_num(np.concatenate(values), nan=0.0, posinf=np.inf, neginf=-np.inf)
    scale = Scale.of(drawn, kind.threshold, None, dark=True, one_tail=kind.one_tail)
    figure = scene.draw(values, scale, Writing(DARK, label=kind.label))
    return picture(figure, f"Lateral and medial views of the map {name}")
