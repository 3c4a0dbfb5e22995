# SPDX-License-Identifier: BSD-3-Clause
"""Triangle meshes for the tests: closed, of uneven triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import ConvexHull

from groupglm._core import Neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def sphere(n_vertices: int, seed: int = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Random points of a sphere and the triangles between them, (n, 3) and (2 n - 4, 3)."""
    points = np.random.default_rng(seed).standard_normal((n_vertices, 3))
    points *= 50 / np.linalg.norm(points, axis=1, keepdims=True)
    return points, ConvexHull(points).simplices.astype(np.intp)


def graph_of(faces: NDArray[np.intp], n_vertices: int) -> csr_array[Any, Any]:
    """The vertices that share an edge."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    both = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    return csr_array((np.ones(len(both)), both.T), shape=(n_vertices, n_vertices))


def areas_of(points: Floats, faces: NDArray[np.intp]) -> Floats:
    """A third of the areas of the triangles that a vertex is a corner of."""
    a, b, c = points[faces.T]
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    corners = np.repeat(areas / 3, 3)
    return np.bincount(faces.ravel(), corners, minlength=len(points)).astype(np.float64)


def neighbours_of(graph: csr_array[Any, Any]) -> Neighbours:
    graph.sort_indices()
    return Neighbours.of_adjacency(graph.indptr.astype(np.int64), graph.indices.astype(np.int32))
