# SPDX-License-Identifier: BSD-3-Clause
"""The shape of a mesh as a picture needs it: normals and curvature, `Relief`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["Relief"]

FloatArray: TypeAlias = "NDArray[np.float64]"

_SMOOTHINGS = 3  # of the curvature, over neighbours: single vertices are noise to the eye


@dataclass(frozen=True, eq=False)
class Relief:
    """Normals and curvature of a mesh.

    Parameters
    ----------
    mesh : Mesh
        The mesh.
    """

    mesh: Mesh

    @cached_property
    def is_closed(self) -> bool:
        """Whether every edge has one triangle on either side, all turned the same way round.

        Of a closed mesh only the triangles that face the viewer can be seen.
        """
        faces = self.mesh.faces.astype(np.int64)
        first, second = faces.ravel(), faces[:, [1, 2, 0]].ravel()
        n = self.mesh.n_vertices
        there, back = np.sort(first * n + second), np.sort(second * n + first)
        return bool((there[1:] != there[:-1]).all() and (there == back).all())

    @cached_property
    def _face_normals(self) -> FloatArray:
        """A normal of each face, as long as twice its area, to the outside of a closed mesh."""
        corners = self.mesh.coordinates[self.mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        middle = self.mesh.coordinates.mean(axis=0)
        volume = float(np.einsum("ij,ij->", corners[:, 0] - middle, normals))
        return np.asarray(-normals if volume < 0 else normals)

    @cached_property
    def normals(self) -> FloatArray:
        """A unit normal of each vertex, the mean of those of its faces by area, (n_vertices, 3).

        Zero where a vertex has no face.
        """
        faces, n = self.mesh.faces, self.mesh.n_vertices
        sums = np.stack(
            [
                sum(np.bincount(faces[:, corner], own, n) for corner in range(3))
                for own in self._face_normals.T
            ],
            axis=1,
        )
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.where(lengths > 0, lengths, 1.0))

    def facing(self, toward: tuple[int, int]) -> NDArray[np.int32]:
        """Return the faces that may be seen from a direction; of an open mesh, all."""
        if not self.is_closed:
            return self.mesh.faces
        axis, sign = toward
        return self.mesh.faces[sign * self._face_normals[:, axis] > 0]

    @cached_property
    def curvature(self) -> FloatArray:
        """The mean curvature in 1/mm, smoothed: positive on crowns of gyri, (n_vertices,).

        The mean of a vertex's neighbours lies below the vertex, along its normal, by d. On a
        sphere of radius r whose neighbours are at a distance e, d = e^2 / 2r, so that the curvature
        1 / r is 2 d / e^2.
        """
        lengths = self.mesh.edges()
        ones = lengths.copy()
        ones.data = np.ones_like(lengths.data)
        n_neighbours = np.maximum(np.diff(lengths.indptr), 1)[:, np.newaxis]
        squares = lengths.copy()
        squares.data = lengths.data**2
        spread = np.asarray(squares.sum(axis=1)).ravel() / n_neighbours[:, 0]
        places = self.mesh.coordinates
        below = np.einsum("ij,ij->i", places - ones @ places / n_neighbours, self.normals)
        found = 2 * below / np.where(spread > 0, spread, 1.0)
        for _ in range(_SMOOTHINGS):
            found = (found + ones @ found) / (1 + n_neighbours[:, 0])
        return np.asarray(found)
