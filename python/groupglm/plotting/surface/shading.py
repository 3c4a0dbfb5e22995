# SPDX-License-Identifier: BSD-3-Clause
"""How bright a hemisphere is under a map: by sulcal depth, curvature or a map, `Shading`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.plotting.surface.hemispheres import members_of
from groupglm.plotting.surface.relief import Relief
from groupglm.spaces import registry
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.named import NAMES, background, standard_surface
from groupglm.spaces.surface.reading.metric_file import read_metric
from groupglm.spaces.surface.reading.surface_file import open_mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.plotting.surface.hemispheres import Hemisphere

__all__ = ["Shading", "shades_by_curvature", "shades_by_depth"]

_DARK, _BRIGHT = 0.34, 0.80  # of sulci and of gyri
_FOLDED = 0.12  # 1/mm: curvature of an average fold of a cortex. A sphere of 9 cm has 0.01.


@dataclass(frozen=True, eq=False)
class Shading:
    """What decides how bright the vertices of hemispheres are.

    Parameters
    ----------
    given : mapping of str to array, or str, or None
        Values of the vertices of each side, large in sulci; "auto" or None as in
        `plot_surf_stat_map`.
    """

    given: Any

    @classmethod
    def of(cls, bg_map: Any) -> Shading:
        """Check and read what a caller gave."""
        if bg_map is None or (isinstance(bg_map, str) and bg_map == "auto"):
            return cls(bg_map)
        source, space = registry.kind_of(bg_map).open_map(bg_map, "bg_map")
        row = np.empty(space.n_values)
        space.read_stored(source, row)
        found = {}
        for member, own in members_of(space):
            if isinstance(member, HemisphereSpace):
                found[member.side] = np.full(member.n_vertices, np.nan)
                found[member.side][member.numbers()] = row[own]
        return cls(found)

    def shades(self, hemisphere: Hemisphere) -> NDArray[np.float64]:
        """Return how bright each vertex is, from 0 to 1, (n_vertices,)."""
        side, n_vertices = hemisphere.side, hemisphere.mesh.n_vertices
        if self.given is None:
            return np.full(n_vertices, (_DARK + _BRIGHT) / 2)
        if self.given == "auto":
            depth = _template_depth(hemisphere)
            if depth is None:
                return shades_by_curvature(hemisphere.relief.curvature)
            return shades_by_depth(depth)
        found = self.given.get(side)
        if found is None or len(found) != n_vertices:
            has = "no values" if found is None else f"{len(found):,} vertices"
            raise ArgumentError(
                "bg_map",
                f"{has} for the {side} hemisphere",
                f"one value for each of the surface's {n_vertices:,} vertices",
                verb="has",
            )
        return shades_by_depth(found)

    def description(self, hemispheres: Any) -> str:
        """Return what the shades of hemispheres are, as a sentence."""
        if self.given is None:
            return ""
        if self.given != "auto":
            return "The shades under the maps are those of bg_img."
        if all(_template_depth(one) is not None for one in hemispheres):
            return "Sulci of the template are dark under the maps."
        return "Sulci are dark under the maps: the mean curvature of the surfaces."


def shades_by_curvature(curvature: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shades by the mean curvature in 1/mm: crowns of gyri are bright.

    The scale is that of a cortex, so that a surface without folds has no pattern.
    """
    return np.asarray(_DARK + (_BRIGHT - _DARK) * (0.5 + 0.5 * np.tanh(curvature / _FOLDED)))


def shades_by_depth(depth: NDArray[Any]) -> NDArray[np.float64]:
    """Return shades by sulcal depth, or anything that is large in sulci; NaN counts as median."""
    finite = np.isfinite(depth)
    if not finite.any():
        return np.full(len(depth), (_DARK + _BRIGHT) / 2)
    low, middle, high = np.percentile(depth[finite], [16, 50, 84])
    spread = float(high - low) / 2
    steps = np.where(finite, depth - middle, 0.0) / (spread if spread > 0 else 1.0)
    return np.asarray(_DARK + (_BRIGHT - _DARK) * (0.5 - 0.5 * np.tanh(steps)))


def _template_depth(hemisphere: Hemisphere) -> NDArray[np.float64] | None:
    """Return the sulcal depth of a standard mesh, large in sulci; None if the mesh is no such one.

    A mesh of the same triangles has its vertices at the same places of the cortex.
    """
    side, mesh = hemisphere.side, hemisphere.mesh
    file = background(side, mesh.n_vertices)
    for name in NAMES if file is not None else ():
        try:
            surface = standard_surface(name, side, mesh.n_vertices)
        except ArgumentError:  # of another density, or not on this machine
            continue
        standard = open_mesh(surface, f"surface of {name}").mesh
        if not np.array_equal(standard.faces, mesh.faces):
            continue
        depth = np.asarray(read_metric(file, f"sulcal depth of {name}"), np.float64).ravel()
        # FreeSurfer's depth is large in sulci, that of the Human Connectome Project on gyri.
        gyri = Relief(standard).curvature
        return -depth if np.dot(depth - depth.mean(), gyri) > 0 else depth
    return None
