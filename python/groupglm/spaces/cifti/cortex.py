# SPDX-License-Identifier: BSD-3-Clause
"""The meshes that a user gives for the cortex of grayordinates: `cortex_meshes`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError
from groupglm.messages import argument
from groupglm.spaces.cifti.axes import BrainAxis, side_of
from groupglm.spaces.surface.meshes import HemisphereMesh, open_meshes

if TYPE_CHECKING:
    from groupglm.spaces.geometry import Geometry

__all__ = ["cortex_meshes"]

_CORTEX = ("cortex_left", "cortex_right")


def cortex_meshes(axis: BrainAxis, geometry: Geometry) -> dict[str, HemisphereMesh]:
    """Open the meshes, and the areas that are given, of the cortex, by the names of its members."""
    cortex = {side_of(name): n for name, n in axis.n_vertices.items() if name in _CORTEX}
    if not cortex:
        name = "areas" if geometry.surfaces is None else "surfaces"
        raise ArgumentError.about(
            name,
            f"the images have no vertices of the cortex, so {argument(name)} has no use",
            "leave it out",
        )
    found = open_meshes(geometry, tuple(cortex), cortex)
    if geometry.areas is None:  # the space computes those of the mesh when they are needed
        found = {side: replace(own, areas=None) for side, own in found.items()}
    return {f"cortex_{side}": own for side, own in found.items()}
