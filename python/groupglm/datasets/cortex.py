# SPDX-License-Identifier: BSD-3-Clause
"""The cortex of simulated surface studies: two meshes that mirror each other, and effects on them.

Each mesh is an icosahedron whose triangles are divided in four several times. It is stretched to
the size of a hemisphere, flattened towards the middle of the head, and folded a little, so that the
areas of its vertices differ as on a real cortex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.brain import FWHM_PER_SIGMA, HEMISPHERES, SimulatedEffect

__all__ = ["FEWEST_DIVISIONS", "SIDES", "Cortex", "SurfaceEffect", "make_cortex"]

FloatArray = NDArray[np.float64]

SIDES = ("left", "right")
FEWEST_DIVISIONS = 2
"""Peaks of effects are vertices of the mesh of so many divisions, which all finer ones have too."""

_MIDDLE = 3.0  # mm from the middle of the head to the medial side
_BEND = 4.0  # mm over which the mesh bends into its medial side
_FOLD = 0.06  # largest change of the distance from the centre by folds, as a share of it
_WALL = (-4.0, -16.0, 8.0), (14.0, 38.0, 24.0)  # of the left medial wall: centre, semi-axes in mm


@dataclass(frozen=True)
class SurfaceEffect(SimulatedEffect):
    """A Gaussian blob of true effect on one hemisphere; see `SimulatedEffect`.

    Distances from its peak are straight, in mm, and the other hemisphere has none of it.

    Attributes
    ----------
    hemisphere : str
        "left" or "right".
    vertex : int
        The number of the vertex at the peak, from 0.
    """

    hemisphere: str
    vertex: int


@dataclass(frozen=True, eq=False)
class Cortex:
    """The meshes of both hemispheres, and the cortex on them.

    Attributes
    ----------
    coordinates : mapping of str to array, shape (n_vertices, 3)
        In mm, for "left" and "right".
    faces : mapping of str to array of int32, shape (n_triangles, 3)
        The vertices of each triangle, anticlockwise as seen from outside.
    inside : array of bool, shape (n_vertices,)
        Which vertices are cortex, of either hemisphere; the others are the medial wall.
    """

    coordinates: Mapping[str, FloatArray]
    faces: Mapping[str, NDArray[np.int32]]
    inside: NDArray[np.bool_]

    @property
    def n_vertices(self) -> int:
        """Number of vertices of a hemisphere."""
        return len(self.inside)

    def effect(
        self, hemisphere: str, near: tuple[float, float, float], height: float, fwhm: float
    ) -> SurfaceEffect:
        """Return an effect whose peak is a vertex of all meshes, nearest to a place in mm."""
        coarse = self.coordinates[hemisphere][: _n_vertices(FEWEST_DIVISIONS)]
        vertex = int(np.argmin(np.linalg.norm(coarse - near, axis=1)))
        x, y, z = coarse[vertex].tolist()
        return SurfaceEffect((x, y, z), height, fwhm, hemisphere, vertex)

    def blob(self, effect: SurfaceEffect) -> FloatArray:
        """Return the map of an effect, shape (2, n_vertices): left, right; zero off the cortex."""
        found = np.zeros((2, self.n_vertices))
        away = self.coordinates[effect.hemisphere] - effect.peak
        distance = np.linalg.norm(away, axis=1) * (FWHM_PER_SIGMA / effect.fwhm)
        found[SIDES.index(effect.hemisphere)] = effect.height * np.exp(-0.5 * distance**2)
        return np.where(self.inside, found, 0.0)


def make_cortex(n_divisions: int) -> Cortex:
    """Make the meshes, of ``10 * 4**n_divisions + 2`` vertices each."""
    directions, faces = _icosahedron()
    for _ in range(n_divisions):
        directions, faces = _divided(directions, faces)
    left = _hemisphere(directions)
    centre, axes = _WALL
    inside = np.sum(((left - centre) / axes) ** 2, axis=1) > 1
    return Cortex(
        coordinates={"left": left, "right": left * [-1.0, 1.0, 1.0]},
        faces={"left": faces, "right": faces[:, [0, 2, 1]]},  # a mirror turns triangles round
        inside=inside,
    )


def _n_vertices(n_divisions: int) -> int:
    return 10 * int(4**n_divisions) + 2


def _icosahedron() -> tuple[FloatArray, NDArray[np.int32]]:
    """Return unit vectors and triangles; anticlockwise as seen from outside."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([(0.0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
    triples = np.array([*combinations(range(12), 3)], np.int32)
    sides = np.linalg.norm(corners[triples] - corners[np.roll(triples, 1, axis=1)], axis=2)
    faces = triples[sides.max(axis=1) < 2.5]  # edges are 2 long, and the next distance is 3.2
    a, b, c = (corners[faces[:, k]] for k in range(3))
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[inwards] = faces[inwards][:, [0, 2, 1]]
    return corners / np.linalg.norm(corners[0]), faces


def _divided(points: FloatArray, faces: NDArray[np.int32]) -> tuple[FloatArray, NDArray[np.int32]]:
    """Divide each triangle in four; new points come after the old ones."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, place = np.unique(edges, axis=0, return_inverse=True)
    middles = points[edges[:, 0]] + points[edges[:, 1]]
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    ab, bc, ca = (len(points) + place.reshape(3, -1)).astype(np.int32)
    a, b, c = faces.T
    corners = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    divided = np.concatenate([np.stack(own, axis=1) for own in corners])
    return np.concatenate([points, middles]), divided


def _hemisphere(directions: FloatArray) -> FloatArray:
    """Return the place in mm of each direction from the centre of the left hemisphere."""
    x, y, z = directions.T
    folds = np.sin(7 * y + 3 * z + 1) * np.cos(6 * z - 4 * x) + np.sin(5 * x - 6 * y + 2)
    centre, axes = HEMISPHERES[0]
    coordinates = np.array(centre) + np.array(axes) * directions * (1 + _FOLD / 2 * folds)[:, None]
    # Softly the smaller of x and -_MIDDLE, so that no triangle loses its area.
    beyond = (coordinates[:, 0] + _MIDDLE) / _BEND
    coordinates[:, 0] -= _BEND * np.logaddexp(0.0, beyond)
    found: FloatArray = coordinates
    return found
