# SPDX-License-Identifier: BSD-3-Clause
"""A triangle mesh of one hemisphere: who is next to whom, how large, how far apart: `Mesh`."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from groupglm._core import Neighbours
from groupglm.errors import ImageError, warn_caller
from groupglm.messages import argument
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Mesh", "warn_of_unreal_areas"]

_ROUND = 1e-3
"""Deviation of a sphere's radii, of their mean: files round coordinates far more finely."""

_COMPACT = 0.25
"""Least 36 pi V^2 / A^3 of an inflated surface: a sphere has 1. fsaverage's inflated surface has
0.6, its pial and white surfaces, which the mean of many brains has made smooth, at most 0.1."""

_DECLARED = {
    "sphere": "a sphere", "spherical": "a sphere", "semispherical": "a sphere",
    "ellipsoid": "an ellipsoid", "hull": "a hull", "flat": "flat",
    "inflated": "inflated", "veryinflated": "inflated",
}  # fmt: skip
_REAL = {"anatomical", "reconstruction"}


class Mesh:
    """A triangle mesh.

    Parameters
    ----------
    name : str
        Its name in messages.
    coordinates : array, shape (n_vertices, 3)
        Where the vertices lie, in mm. Kept as float64.
    faces : array of int, shape (n_faces, 3)
        The vertices of each triangle. Kept as int32.
    declared : str, default=""
        What its file says that it is: GIFTI's ``GeometricType``, or "inflated" in its name.

    Raises
    ------
    groupglm.errors.ImageError
        If a coordinate is not finite, or a face is out of range or has a vertex twice.

    Examples
    --------
    A square of two triangles:

    >>> corners = [[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]]
    >>> mesh = Mesh("square", corners, [[0, 1, 2], [0, 2, 3]])
    >>> mesh.areas.round(3)
    array([1.333, 0.667, 1.333, 0.667])
    >>> mesh.distances(1, limit=3.0)
    array([ 2.,  0.,  2., inf])
    """

    def __init__(
        self, name: str, coordinates: ArrayLike, faces: ArrayLike, declared: str = ""
    ) -> None:
        self.name, self.declared = name, declared
        self.is_reported = False  # whether it was warned of areas that are no cortex's
        self.coordinates = _checked_coordinates(name, coordinates)
        self.faces = _checked_faces(name, faces, len(self.coordinates))

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what can be computed again."""
        return type(self), (self.name, self.coordinates, self.faces, self.declared)

    @property
    def n_vertices(self) -> int:
        """How many vertices it has."""
        return len(self.coordinates)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """A third of the areas of the triangles around each vertex, in mm2, (n_vertices,).

        All together they are the surface's area. A vertex without triangles has none.
        """
        thirds = np.linalg.norm(self._normals, axis=1) / 6
        areas = np.zeros(self.n_vertices)
        for corner in range(3):
            areas += np.bincount(self.faces[:, corner], thirds, self.n_vertices)
        areas.setflags(write=False)
        return areas

    @cached_property
    def _normals(self) -> NDArray[np.float64]:
        """A normal of each face, as long as twice its area."""
        first, second, third = (self.coordinates[corner] for corner in self.faces.T)
        return np.cross(second - first, third - first)

    @cached_property
    def _adjacency(self) -> csr_array[Any, Any]:
        """Which vertices share an edge, each in the row of the other; the values mean nothing."""
        return _adjacency_of(self.faces, self.n_vertices)

    @cached_property
    def _edges(self) -> csr_array[Any, Any]:
        """The lengths of the edges in mm, each in the rows of both of its ends."""
        found = self._adjacency
        rows = np.repeat(np.arange(self.n_vertices), np.diff(found.indptr))
        steps = self.coordinates[rows] - self.coordinates[found.indices]
        lengths = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        return csr_array((lengths, found.indices, found.indptr), shape=found.shape)

    def edges(self) -> csr_array[Any, Any]:
        """Return the lengths of the edges in mm, (n_vertices, n_vertices); not to be written to."""
        return self._edges

    @cached_property
    def _neighbours(self) -> Neighbours:
        return _neighbours_of(self._adjacency)

    def neighbours(self) -> Neighbours:
        """Return the vertices that share an edge with each vertex."""
        return self._neighbours

    def restricted(self, vertices: NDArray[np.integer]) -> Neighbours:
        """Return who is neighbour of whom among some vertices, which increase.

        The lists are in the numbering of `vertices`, shape (n,). They are made of the faces of
        these vertices alone: clusters have few of them.
        """
        number = np.full(self.n_vertices, -1, np.int32)
        number[vertices] = np.arange(len(vertices), dtype=np.int32)
        return _neighbours_of(_adjacency_of(number[self._faces_around(vertices)], len(vertices)))

    def degrees(self, vertices: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return how many neighbours some vertices have in the whole mesh, shape (n,)."""
        first, second, third = self._faces_around(vertices).T.astype(np.int64)
        starts = np.concatenate([first, second, third, second, third, first])
        ends = np.concatenate([second, third, first, first, second, third])
        # Two faces that share an edge have the same two vertices there.
        edges = np.unique(starts * self.n_vertices + ends)
        degrees = np.bincount(edges // self.n_vertices, minlength=self.n_vertices)
        return np.asarray(degrees[vertices], np.int64)

    def _faces_around(self, vertices: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the faces that have one of some vertices."""
        wanted = np.zeros(self.n_vertices, np.bool_)
        wanted[vertices] = True
        first, second, third = (wanted[corner] for corner in self._corners)
        return np.asarray(self.faces[first | second | third])

    @cached_property
    def _corners(self) -> NDArray[np.intp]:
        """The first, the second and the third vertex of each face, as numpy looks them up."""
        return np.ascontiguousarray(self.faces.T, np.intp)

    def distances(self, vertex: int, limit: float = np.inf) -> NDArray[np.float64]:
        """Return how far every vertex is from one, along the edges.

        The shortest path over edges is never shorter than the one over triangles, and on triangles
        of equal sides at most 2 / sqrt(3) times as long.

        Parameters
        ----------
        vertex : int
            Where the paths begin.
        limit : float
            In mm. The search stops there.

        Returns
        -------
        array of float64, shape (n_vertices,)
            In mm; infinite beyond the limit and where no path leads.
        """
        start: Any = vertex  # the types of scipy know lists of vertices alone
        return np.asarray(dijkstra(self._edges, indices=start, limit=limit))

    @cached_property
    def digest(self) -> str:
        """A text that is equal for meshes of the same coordinates and faces."""
        content = hashlib.blake2b(digest_size=16)
        content.update(str(self.n_vertices).encode())
        content.update(self.coordinates.tobytes())
        content.update(self.faces.tobytes())
        return content.hexdigest()

    def looks_unreal(self) -> str | None:
        """Return why its areas are not those of a cortex: "a sphere", "inflated"; or None.

        What its file declares comes first. A surface without a declaration is judged by its
        volume V and its area A: 36 pi V^2 / A^3 is one for a sphere, and small where there are
        folds.
        """
        return self._look

    @cached_property
    def _look(self) -> str | None:
        declared = "".join(letter for letter in self.declared.lower() if letter.isalpha())
        if declared in _REAL:
            return None
        if declared in _DECLARED:
            return _DECLARED[declared]
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        centred = self.coordinates - (low + high) / 2
        if (high - low).min() <= _ROUND * (high - low).max():
            return "flat"
        radii = np.linalg.norm(centred, axis=1)
        if radii.std() <= _ROUND * radii.mean():
            return "a sphere"
        corners = centred[self.faces[:, 0]]
        volume = np.einsum("ij,ij->", corners, self._normals) / 6
        compactness = 36 * np.pi * volume**2 / self.areas.sum() ** 3
        return "inflated" if compactness >= _COMPACT else None


def _checked_coordinates(name: str, given: Any) -> NDArray[np.float64]:
    """Return coordinates of vertices that cannot be written to; refuse what is none."""
    found = np.asarray(given)
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "fiu":
        raise ImageError(
            f"{name}: its coordinates are {found.dtype} of shape {found.shape}; a surface has "
            "three numbers, x, y and z in mm, for each vertex"
        )
    with np.errstate(invalid="ignore"):  # a NaN of another kind, in a damaged file
        coordinates = np.array(found, np.float64, order="C")
    if not np.isfinite(coordinates).all():
        is_finite = np.isfinite(coordinates).all(axis=1)
        n_bad, first = int(np.count_nonzero(~is_finite)), int(np.argmin(is_finite))
        raise ImageError(
            f"{name}: the coordinates of {counted(n_bad, 'vertex', 'vertices')} are not finite "
            f"(the first is vertex {first}); give a surface whose vertices all have a position"
        )
    coordinates.setflags(write=False)
    return coordinates


def _checked_faces(name: str, given: Any, n_vertices: int) -> NDArray[np.int32]:
    """Return faces that cannot be written to; refuse those that are no triangles of vertices."""
    found = np.asarray(given)
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iu" or not len(found):
        raise ImageError(
            f"{name}: its faces are {found.dtype} of shape {found.shape}; a surface has triangles, "
            "each of the numbers of three vertices"
        )
    if found.min() < 0 or found.max() >= n_vertices:
        face = int(np.argmax(((found < 0) | (found >= n_vertices)).any(axis=1)))
        raise ImageError(
            f"{name}: face {face} has the vertices {found[face].tolist()}, but the surface has the "
            f"vertices 0 to {n_vertices - 1}; coordinates and faces are of different surfaces, or "
            "the file is damaged"
        )
    faces = np.array(found, np.int32, order="C")
    first, second, third = faces.T
    twice = (first == second) | (second == third) | (third == first)
    if twice.any():
        face = int(np.argmax(twice))
        raise ImageError(
            f"{name}: face {face} has the vertices {faces[face].tolist()}, one of them twice, so "
            f"that it is no triangle ({counted(int(np.count_nonzero(twice)), 'such face')}); "
            "give a surface whose faces are triangles"
        )
    faces.setflags(write=False)
    return faces


def _adjacency_of(faces: NDArray[np.int32], n_vertices: int) -> csr_array[Any, Any]:
    """Return who shares an edge of some faces with whom; corners of -1 are left out."""
    first, second, third = faces.T
    starts = np.concatenate([first, second, third])
    ends = np.concatenate([second, third, first])
    inside = (starts >= 0) & (ends >= 0)
    if not inside.all():
        starts, ends = starts[inside], ends[inside]
    places = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    # The duplicates of faces that share an edge are added up, and with them their numbers.
    ones = np.ones(len(places[0]), np.int8)
    found = coo_array((ones, places), shape=(n_vertices, n_vertices)).tocsr()
    found.sum_duplicates()
    return found


def _neighbours_of(adjacency: csr_array[Any, Any]) -> Neighbours:
    adjacency.sort_indices()
    starts, places = adjacency.indptr.astype(np.int64), adjacency.indices.astype(np.int32)
    return Neighbours.of_adjacency(starts, places)


def warn_of_unreal_areas(meshes: Sequence[Mesh]) -> None:
    """Warn where the areas of vertices are those of a surface that was inflated or flattened.

    Once of each mesh: what counts areas asks for them again for each cluster.
    """
    looks = {mesh.name: mesh.looks_unreal() for mesh in meshes if not mesh.is_reported}
    for mesh in meshes:
        mesh.is_reported = True
    unreal = {name: look for name, look in looks.items() if look is not None}
    if unreal:
        told = " and ".join(f"{name} is {look}" for name, look in unreal.items())
        warn_caller(
            f"{told}: clusters in mm2, TFCE and smoothing would go by the areas of that surface, "
            "which are not those of the cortex; give white, pial or midthickness surfaces as "
            + argument("surfaces")
            + ", or the areas of the vertices as "
            + argument("areas")
        )
