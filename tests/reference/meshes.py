# SPDX-License-Identifier: BSD-3-Clause
"""Triangle meshes for the tests: closed; of uneven triangles, or of nearly even ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from scipy.sparse import csr_array
from scipy.spatial import ConvexHull

from groupglm._core import Neighbours
from groupglm.spaces.surface.mesh import Mesh

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def sphere(n_vertices: int, seed: int = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Random points of a sphere and the triangles between them, (n, 3) and (2 n - 4, 3)."""
    points = np.random.default_rng(seed).standard_normal((n_vertices, 3))
    points *= 50 / np.linalg.norm(points, axis=1, keepdims=True)
    return points, ConvexHull(points).simplices.astype(np.intp)


def graph_of(faces: NDArray[Any], n_vertices: int) -> csr_array[Any, Any]:
    """The vertices that share an edge."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    both = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    return csr_array((np.ones(len(both)), both.T), shape=(n_vertices, n_vertices))


def areas_of(points: Floats, faces: NDArray[Any]) -> Floats:
    """A third of the areas of the triangles that a vertex is a corner of."""
    a, b, c = points[faces.T]
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    corners = np.repeat(areas / 3, 3)
    return np.bincount(faces.ravel(), corners, minlength=len(points)).astype(np.float64)


def neighbours_of(graph: csr_array[Any, Any]) -> Neighbours:
    graph.sort_indices()
    return Neighbours.of_adjacency(graph.indptr.astype(np.int64), graph.indices.astype(np.int32))


def icosphere(level: int) -> tuple[Floats, NDArray[np.int32]]:
    """An icosahedron whose triangles are split `level` times in four, on a sphere of 1 mm.

    It has 10 * 4**level + 2 vertices; fsaverage5 is of level 5.
    """
    golden = (1 + 5**0.5) / 2
    flat = np.array([[0, s, t * golden] for s in (-1, 1) for t in (-1, 1)])
    points = np.concatenate([np.roll(flat, turn, axis=1) for turn in range(3)])
    faces = ConvexHull(points).simplices.astype(np.intp)
    a, b, c = points[faces.T]
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward][:, [0, 2, 1]]
    for _ in range(level):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        ends, number = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = (len(points) + number).reshape(-1, 3).T
        points = np.concatenate([points, points[ends].mean(axis=1)])
        a, b, c = faces.T
        split = [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]
        faces = np.concatenate([np.stack(corners, axis=1) for corners in split])
    return points / np.linalg.norm(points, axis=1, keepdims=True), faces.astype(np.int32)


def folded(level: int, side: str = "left") -> tuple[Floats, NDArray[np.int32]]:
    """A surface of the size of a hemisphere, with folds, so that its areas are taken for real."""
    points, faces = icosphere(level)
    x, y, z = points.T
    depth = 1 + 0.3 * np.sin(9 * x) * np.cos(8 * y) + 0.25 * np.sin(10 * z + 3 * x)
    at = points * depth[:, None] * [28, 62, 45]
    return at + ([-35, 0, 0] if side == "left" else [35, 0, 0]), faces


def write_surface(
    path: Path, points: Floats, faces: NDArray[Any], *, side: str = "", geometric: str = ""
) -> Path:
    """Write a GIFTI surface; `side` is left, right or unsaid, `geometric` its GeometricType."""
    array: Any = GiftiDataArray
    facts: Any = GiftiMetaData
    image: Any = GiftiImage
    meta = {"GeometricType": geometric} if geometric else {}
    if side:
        meta["AnatomicalStructurePrimary"] = f"Cortex{side.capitalize()}"
    arrays = [
        array(points.astype(np.float32), "NIFTI_INTENT_POINTSET", meta=facts(meta)),
        array(faces.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
    ]
    nib.save(image(darrays=arrays), path)
    return path


def write_metric(path: Path, values: NDArray[Any]) -> Path:
    """Write a GIFTI file of one value for each vertex."""
    array: Any = GiftiDataArray
    image: Any = GiftiImage
    nib.save(image(darrays=[array(values, "NIFTI_INTENT_SHAPE")]), path)
    return path


def chain_mesh(length: int, offset: float = 0.0) -> tuple[Mesh, Floats]:
    """A mesh whose first vertices are neighbours as the links of a chain are, and their areas.

    Each link and the next one have a triangle whose third vertex, behind the links, is its own.
    The links lie along the first axis, `offset` mm from it.
    """
    heights = 6.0 * (1 + np.arange(length - 1) % 3)
    links = np.stack([np.arange(length), np.zeros(length), np.full(length, offset)], axis=1)
    tips = np.stack([np.arange(length - 1) + 0.5, heights, np.full(length - 1, offset)], axis=1)
    first = np.arange(length - 1)
    faces = np.stack([first, first + 1, length + first], axis=1)
    mesh = Mesh("chain", np.concatenate([links, tips]), faces, "anatomical")
    # Half the height times the length of one, a third of it for each corner.
    return mesh, np.pad(heights / 6, (1, 0)) + np.pad(heights / 6, (0, 1))


def surface_image(points: Floats, faces: NDArray[Any]) -> Any:
    """Return a GIFTI surface in memory, which does not say its side."""
    array: Any = GiftiDataArray
    image: Any = GiftiImage
    return image(
        darrays=[
            array(points.astype(np.float32), "NIFTI_INTENT_POINTSET"),
            array(faces.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
        ]
    )


def metric_image(values: NDArray[Any]) -> Any:
    """Return a GIFTI image in memory of one value for each vertex."""
    array: Any = GiftiDataArray
    image: Any = GiftiImage
    return image(darrays=[array(values.astype(np.float32), "NIFTI_INTENT_SHAPE")])
