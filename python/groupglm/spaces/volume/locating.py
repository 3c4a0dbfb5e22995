# SPDX-License-Identifier: BSD-3-Clause
"""The positions of a mask's voxels, and their names in messages.

In all functions `indices` is the mask: the flat indices of its voxels in file order, increasing; or
None for the whole grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groupglm.spaces.volume.grid import SAME_PLACE_MM, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64] | None

__all__ = [
    "ball",
    "box_of",
    "coordinates",
    "degrees",
    "place_at",
    "public_order",
    "voxel_mm3",
    "voxels_of",
]


def public_order(grid: Grid, indices: Indices) -> NDArray[np.intp]:
    """Return the places of a row in the order of ``image[mask]``, shape (n_values,).

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.spaces.volume.grid import Grid
    >>> public_order(Grid((2, 2, 1), np.eye(4)), np.array([1, 2, 3]))  # voxels 10, 01, 11
    array([1, 0, 2])
    """
    if indices is None:
        return np.arange(grid.n_voxels).reshape(grid.shape, order="F").ravel()
    place = np.full(grid.n_voxels, -1, np.intp)
    place[indices] = np.arange(len(indices))
    seen = place.reshape(grid.shape, order="F").ravel()
    return seen[seen >= 0]


def box_of(grid: Grid, indices: NDArray[np.int64]) -> tuple[Grid, NDArray[np.int64]]:
    """Return the part of a grid that holds a mask and one voxel around it, and the mask's places.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.spaces.volume.grid import Grid
    >>> box, places = box_of(Grid((9, 1, 1), np.eye(4)), np.array([4, 5]))
    >>> box.shape, float(box.affine[0, 3]), places
    ((4, 1, 1), 3.0, array([1, 2]))
    """
    where = np.array(np.unravel_index(indices, grid.shape, order="F"))
    low = np.maximum(where.min(axis=1) - 1, 0)
    high = np.minimum(where.max(axis=1) + 2, grid.shape)
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    shape = tuple(int(length) for length in high - low)
    places = np.ravel_multi_index(tuple(where - low[:, None]), shape, order="F")
    return Grid((shape[0], shape[1], shape[2]), affine), places.astype(np.int64)


def voxels_of(
    grid: Grid, indices: Indices, places: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Return the voxel indices of some places of a row, or of all, shape (n, 3)."""
    if places is None:
        flat = np.arange(grid.n_voxels) if indices is None else indices
    else:
        flat = np.asarray(places) if indices is None else indices[places]
    return np.stack(np.unravel_index(flat, grid.shape, order="F"), axis=-1).astype(np.int64)


def coordinates(
    grid: Grid, indices: Indices, places: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Return the centres of voxels in mm, shape (n, 3)."""
    voxels = voxels_of(grid, indices, places)
    return np.asarray(voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3])


def degrees(
    grid: Grid, indices: Indices, connectivity: int, places: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return some voxels' numbers of neighbours in the grid; the mask does not matter."""
    voxels = voxels_of(grid, indices, places)
    # For each axis, the number of neighbours along it that are inside the grid.
    beside = (voxels > 0).astype(np.int64) + (voxels < np.subtract(grid.shape, 1))
    x, y, z = beside.T
    faces, edges = x + y + z, x * y + y * z + z * x
    return np.asarray(faces + edges * (connectivity >= 18) + x * y * z * (connectivity == 26))


def place_at(grid: Grid, indices: Indices, position: Sequence[float]) -> int | None:
    """Return the place in a row of the voxel that holds a position in mm; None outside the mask."""
    if not np.isfinite(position).all():
        return None
    at = (np.linalg.inv(grid.affine) @ [*position, 1.0])[:3]
    # Compared as floats, because a huge number does not fit an integer.
    nearest = np.floor(at + 0.5)
    if not ((nearest >= 0) & (nearest < grid.shape)).all():
        return None
    i, j, k = nearest.astype(np.int64).tolist()
    flat = i + grid.shape[0] * (j + grid.shape[1] * k)
    if indices is None:
        return int(flat)
    place = int(np.searchsorted(indices, flat))
    return place if place < len(indices) and indices[place] == flat else None


def ball(
    grid: Grid, indices: Indices, centre: Sequence[float], radius: float
) -> tuple[NDArray[np.intp], float]:
    """Find the voxels whose centres are within a distance of a position, and how far one is.

    The voxel that holds the position is one of them, whatever its centre. Only the box around the
    ball is looked at; without a voxel there, the distance is that of the nearest of all.
    """
    inverse = np.linalg.inv(grid.affine)
    at, reach = inverse[:3, :3] @ np.asarray(centre, np.float64) + inverse[:3, 3], radius
    # A voxel index changes by at most the length of its row of the inverse for each mm.
    spread = (reach + SAME_PLACE_MM) * np.linalg.norm(inverse[:3, :3], axis=1) + 0.5
    low = np.clip(np.ceil(at - spread), 0, grid.shape).astype(np.int64)
    high = np.clip(np.floor(at + spread) + 1, low, grid.shape).astype(np.int64)
    axes = [np.arange(first, end) for first, end in zip(low, high, strict=True)]
    k, j, i = (axis.ravel() for axis in np.meshgrid(*axes[::-1], indexing="ij"))
    flat = i + grid.shape[0] * (j + grid.shape[1] * k)
    steps = np.stack([i, j, k], axis=-1) - at
    distances = np.linalg.norm(steps @ grid.affine[:3, :3].T, axis=1)
    inside = (distances <= reach + SAME_PLACE_MM) | (np.abs(steps).max(axis=1, initial=0) <= 0.5)
    flat, distances = flat[inside], distances[inside]
    if indices is not None:
        place = np.minimum(np.searchsorted(indices, flat), len(indices) - 1)
        kept = indices[place] == flat
        flat, distances = place[kept], distances[kept]
    if len(flat):
        return flat.astype(np.intp), float(distances.min())
    away = coordinates(grid, indices) - np.asarray(centre, np.float64)
    return np.zeros(0, np.intp), float(np.sqrt(np.einsum("ij,ij->i", away, away).min()))


def voxel_mm3(grid: Grid) -> float:
    """Return the volume of a voxel.

    It is the product of the header's voxel sizes, which are float32, so that it is the same whole
    number of mm3 as in other software. If the axes are not orthogonal it is the determinant.
    """
    product = float(np.prod(np.linalg.norm(grid.affine[:3, :3], axis=0).astype(np.float32)))
    exact = float(np.float32(abs(np.linalg.det(grid.affine[:3, :3]))))
    return product if abs(product - exact) < 1e-5 * exact else exact
