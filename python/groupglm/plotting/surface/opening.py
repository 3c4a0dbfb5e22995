# SPDX-License-Identifier: BSD-3-Clause
"""A map of surfaces to draw: its row, and the hemispheres that have a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import argument
from groupglm.plotting.surface.hemispheres import hemispheres_of, members_of
from groupglm.spaces import registry
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.surface.hemisphere import HemisphereSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.surface.hemispheres import Hemisphere
    from groupglm.spaces.base import Space

__all__ = ["open_hemispheres", "tell_of_others"]


def open_hemispheres(
    given: Any, surfaces: Any, name: str = "stat_map_img"
) -> tuple[NDArray[np.float64], list[Hemisphere]]:
    """Read a map, and return its row and the hemispheres that can be drawn."""
    geometry = Geometry(surfaces, is_drawn_only=True)
    source, space = registry.kind_of(given).open_map(given, name, geometry)
    members = [member for member, _ in members_of(space) if isinstance(member, HemisphereSpace)]
    if not members:
        raise ArgumentError.about(
            name,
            f"{name} has no hemisphere: its places are {space.place_words[1]}",
            _remedy(space),
        )
    lacking = [member for member in members if member.mesh is None]
    if lacking:
        raise ArgumentError.about(
            "surfaces",
            "a picture on surfaces needs their mesh, and the map of the "
            + " and ".join(member.side for member in lacking)
            + " hemisphere brings none",
            "give "
            + argument("surfaces", shown="(left, right)")
            + f", a pair of .surf.gii files of {lacking[0].n_vertices:,} vertices",
        )
    row = np.empty(space.n_values)
    space.read_stored(source, row)
    return row, hemispheres_of(space)


def tell_of_others(name: str, row: NDArray[np.float64], hemispheres: Sequence[Hemisphere]) -> None:
    """Say which values of a map surfaces do not show: those of grayordinates beside the cortex."""
    others = np.ones(len(row), np.bool_)
    for one in hemispheres:
        others[one.own] = False
    sizes = np.abs(row[others])
    if sizes.size:
        largest = np.nanmax(sizes, initial=0.0)
        warn_caller(
            f"{name}: surfaces show the cortex only; its {sizes.size:,} other places, such as "
            f"voxels of the thalamus, whose largest size is {largest:.4g}, are not drawn; a page "
            "of groupglm report shows them in slices"
        )


def _remedy(space: Space) -> str:
    if space.tag == "volume":
        return "plot_stat_map and plot_glass_brain draw volumes"
    return "give a map of a surface, or a CIFTI image with a cortex"
