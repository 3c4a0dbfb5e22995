# SPDX-License-Identifier: BSD-3-Clause
"""Places as corners of cells: edges, faces, cubes and triangles between neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.part import Part

__all__ = ["Cells", "Lattice", "Triangulation", "lattice_of", "moved", "triangulation_of"]


@dataclass(frozen=True, eq=False)
class Lattice:
    """The cells of the voxels of one part, whose corners are their centres.

    Attributes
    ----------
    part : Part
        The stretch of a row.
    steps : tuple of 3 floats
        Distances of neighbours along each axis, in mm.
    edges : tuple of 3 arrays of int32, shape (2, n) each
        Places of the row that are neighbours along an axis.
    n_faces : tuple of 3 ints
        Squares in the planes of axes 0 and 1, 0 and 2, 1 and 2 whose corners are all inside.
    n_cubes : int
        Cubes whose corners are all inside.
    """

    part: Part
    steps: tuple[float, float, float]
    edges: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
    n_faces: tuple[int, int, int]
    n_cubes: int


@dataclass(frozen=True, eq=False)
class Triangulation:
    """The cells of the vertices of one part.

    Attributes
    ----------
    part : Part
        The stretch of a row.
    edges : array of int32, shape (2, n)
        Places of the row that share an edge.
    lengths : array, shape (n,)
        Lengths of the edges in mm.
    triangles : array of int32, shape (3, m)
        The numbers of the edges of each triangle whose corners are all inside.
    area : float
        Their area in mm2.
    """

    part: Part
    edges: NDArray[np.int32]
    lengths: NDArray[np.float64]
    triangles: NDArray[np.int32]
    area: float


Cells: TypeAlias = Lattice | Triangulation


def moved(cells: Cells, by: int, part: Part) -> Cells:
    """Return the cells of a part whose places come later in a longer row."""
    if isinstance(cells, Triangulation):
        return replace(cells, part=part, edges=cells.edges + np.int32(by))
    x, y, z = (edges + np.int32(by) for edges in cells.edges)
    return replace(cells, part=part, edges=(x, y, z))


def lattice_of(mask: NDArray[np.bool_], steps: tuple[float, float, float], part: Part) -> Lattice:
    """List the cells of a mask.

    Parameters
    ----------
    mask : array of bool, shape (n_z, n_y, n_x)
        In the order of a row, whose first axis varies fastest and comes last here.
    steps : tuple of 3 floats
        Of x, y and z.
    part : Part
        Its first place is that of the first voxel of the mask.

    Examples
    --------
    >>> from groupglm.spaces.part import Part
    >>> part = Part("volume", 0, 12, "voxels", (0.5, 2.0))
    >>> cells = lattice_of(np.ones((2, 2, 3), bool), (1.0, 1.0, 1.0), part)
    >>> [edges.shape[1] for edges in cells.edges], cells.n_faces, cells.n_cubes
    ([8, 6, 6], (4, 4, 3), 2)
    """
    numbers = np.full(mask.shape, -1, np.int32)
    numbers[mask] = np.arange(part.first, part.end, dtype=np.int32)
    edges, joined = [], []
    for axis in (2, 1, 0):
        low, high = _halves(axis)
        both = mask[low] & mask[high]
        joined.append(both)
        edges.append(np.stack([numbers[low][both], numbers[high][both]]))
    x, y, _ = joined
    squares = [_pairs(x, 1), _pairs(x, 0), _pairs(y, 0)]  # xy, xz, yz
    n_xy, n_xz, n_yz = (int(np.count_nonzero(square)) for square in squares)
    n_cubes = int(np.count_nonzero(_pairs(squares[0], 0)))
    return Lattice(part, steps, (edges[0], edges[1], edges[2]), (n_xy, n_xz, n_yz), n_cubes)


def _halves(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return all but the last along an axis, and all but the first."""
    low, high = [slice(None)] * 3, [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)


def _pairs(cells: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    low, high = _halves(axis)
    return np.asarray(cells[low] & cells[high])


def triangulation_of(
    faces: NDArray[np.int32],
    coordinates: NDArray[np.float64],
    vertices: NDArray[np.int64],
    part: Part,
    scale: NDArray[np.float64] | None = None,
) -> Triangulation:
    """List the cells of some vertices of a mesh.

    Parameters
    ----------
    faces : array of int32, shape (n_faces, 3)
        Triangles of the mesh.
    coordinates : array, shape (n_vertices, 3)
        In mm.
    vertices : array of int, shape (n_values,)
        The vertices of the part, increasing.
    part : Part
        Their stretch of a row.
    scale : array, shape (n_vertices,), optional
        How much larger than on the mesh an area around each vertex is.

    Examples
    --------
    >>> from groupglm.spaces.part import Part
    >>> faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    >>> corners = np.array([[0.0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]])
    >>> part = Part("left", 0, 4, "mm2", (1.0, 2.0))
    >>> cells = triangulation_of(faces, corners, np.arange(4), part)
    >>> cells.edges.tolist(), cells.area
    ([[0, 0, 0, 1, 2], [1, 2, 3, 2, 3]], 4.0)
    """
    n = len(coordinates)
    number = np.full(n, -1, np.int64)
    number[vertices] = np.arange(len(vertices))
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [0, 2]]]), axis=1)
    pairs = pairs[(number[pairs] >= 0).all(axis=1)].astype(np.int64)
    keys = np.unique(pairs[:, 0] * n + pairs[:, 1])
    ends = np.stack([keys // n, keys % n])
    whole = faces[(number[faces] >= 0).all(axis=1)].astype(np.int64)
    sides = [np.sort(whole[:, side], axis=1) for side in ([0, 1], [1, 2], [0, 2])]
    triangles = np.stack([np.searchsorted(keys, side[:, 0] * n + side[:, 1]) for side in sides])
    first, second, third = (coordinates[corner] for corner in whole.T)
    areas = np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2
    if scale is not None:
        areas = areas * scale[whole].mean(axis=1)
    lengths = np.linalg.norm(coordinates[ends[0]] - coordinates[ends[1]], axis=1)
    edges = (number[ends] + part.first).astype(np.int32)
    return Triangulation(part, edges, lengths, triangles.astype(np.int32), float(areas.sum()))
