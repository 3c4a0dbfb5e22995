# SPDX-License-Identifier: BSD-3-Clause
"""How many resels some places have, when the width of the noise is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.atlases.sphere import Sphere, as_sphere, is_sphere
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.smoothness import PartSmoothness, Resels, Smoothness
from groupglm.spaces.cells import Lattice, Triangulation

if TYPE_CHECKING:
    from groupglm.inference.stat_map import StatMap
    from groupglm.spaces.base import Space
    from groupglm.spaces.cells import Cells

__all__ = ["ball_resels", "lattice_resels", "mesh_resels", "within_small_volume"]

_NEAR = 1e-6  # mm: the voxel that a point lies in


def lattice_resels(cells: Lattice, widths: tuple[float, ...]) -> Resels:
    """Count the resels of voxels by their edges, faces and cubes (Worsley et al. 1996).

    `widths` are those of the noise in voxels along each axis, NaN where there are no neighbours.
    """
    x, y, z = (0.0 if math.isnan(width) else 1 / width for width in widths)
    n_x, n_y, n_z = (edges.shape[1] for edges in cells.edges)
    n_xy, n_xz, n_yz = cells.n_faces
    n_cubes = cells.n_cubes
    return (
        float(cells.part.n_values - (n_x + n_y + n_z) + (n_xy + n_xz + n_yz) - n_cubes),
        x * (n_x - n_xy - n_xz + n_cubes)
        + y * (n_y - n_xy - n_yz + n_cubes)
        + z * (n_z - n_xz - n_yz + n_cubes),
        x * y * (n_xy - n_cubes) + x * z * (n_xz - n_cubes) + y * z * (n_yz - n_cubes),
        x * y * z * n_cubes,
    )


def mesh_resels(cells: Triangulation, fwhm_mm: float) -> Resels:
    """Count the resels of vertices by the lengths and areas of their mesh.

    The lengths are in proportion to the areas, which may be those of subjects' own surfaces.
    """
    a, b, c = cells.lengths[cells.triangles] ** 2
    area = float(np.sqrt(np.maximum(4 * a * b - (a + b - c) ** 2, 0.0)).sum()) / 4
    scale = math.sqrt(cells.area / area) if area > 0 else 1.0
    length = float(cells.lengths.sum() - cells.lengths[cells.triangles].sum() / 2) * scale
    n_edges, n_triangles = cells.edges.shape[1], cells.triangles.shape[1]
    euler = float(cells.part.n_values - n_edges + n_triangles)
    return (euler, length / fwhm_mm, cells.area / fwhm_mm**2, 0.0)


def ball_resels(radius: float) -> Resels:
    """Return the resels of a ball whose radius is in units of the width (Worsley et al. 1996).

    Examples
    --------
    >>> [round(number, 3) for number in ball_resels(1.0)]
    [1.0, 4.0, 6.283, 4.189]
    """
    return (1.0, 4 * radius, 2 * math.pi * radius**2, 4 / 3 * math.pi * radius**3)


def within_small_volume(smoothness: Smoothness, stat_map: StatMap, small_volume: Any) -> Smoothness:
    """Return the smoothness with the resels of a small volume, which is what a map was read in.

    Of a sphere of voxels that is wholly inside the mask, they are those of a ball. Of other places
    they are counted by the cells between their centres.
    """
    cells = stat_map.space.cells()
    own = {part.name: part for part in smoothness.parts}
    unknown = [part.part.name for part in cells if part.part.name not in own]
    if unknown or not cells:
        raise ArgumentError.about(
            "smoothness",
            f"{stat_map.name}: the smoothness has no part {', '.join(map(repr, unknown))}, only "
            f"{', '.join(map(repr, own))}",
            "give the smoothness of the model that the map is of",
        )
    parts = [_part_within(own[part.part.name], part) for part in cells]
    if is_sphere(small_volume) and len(cells) == 1 and isinstance(cells[0], Lattice):
        sphere = as_sphere(small_volume, "small_volume")
        if parts[0].n_dimensions == 3 and _is_whole(sphere, stat_map):
            width = math.prod(parts[0].fwhm_mm) ** (1 / 3)
            parts = [replace(parts[0], resels=ball_resels(sphere.radius / width))]
    return replace(smoothness, parts=tuple(parts))


def _part_within(part: PartSmoothness, cells: Cells) -> PartSmoothness:
    if isinstance(cells, Lattice):
        resels = lattice_resels(cells, part.fwhm_steps)
    else:
        resels = mesh_resels(cells, part.fwhm_mm[0])
    return replace(part, resels=resels, n_places=cells.part.n_values)


def _is_whole(sphere: Sphere, stat_map: StatMap) -> bool:
    """Return whether a ball lies inside the grid and the mask of a map."""
    everywhere: Space = stat_map.everywhere
    places, _ = everywhere.ball(sphere.center, sphere.radius)
    if len(places) != stat_map.space.n_values:
        return False
    center = np.array(sphere.center)
    for axis in np.eye(3) * sphere.radius:
        for point in (center - axis, center + axis):
            x, y, z = point.tolist()
            if not len(everywhere.ball((x, y, z), _NEAR)[0]):
                return False
    return True
