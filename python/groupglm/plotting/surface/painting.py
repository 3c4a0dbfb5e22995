# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a hemisphere: relief in grey, and values in the colours of the bar: `Sight`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.plotting.surface.raster import rasterise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.scale import Scale
    from groupglm.plotting.surface.relief import Relief
    from groupglm.plotting.surface.views import Camera

__all__ = ["DARKEST", "LAMP", "Sight", "light", "room_around"]

FloatArray: TypeAlias = "NDArray[np.float64]"

_ROOM = 0.02  # around a hemisphere, as a part of its size
_FINER = 2  # samples along the edge of a pixel, so that outlines are smooth
_LINE = 5  # width of an outline, in samples
LAMP = np.array([-0.25, 0.45, 1.0]) / np.linalg.norm([-0.25, 0.45, 1.0])
"""Where the light comes from: right, up, toward the viewer."""
DARKEST = 0.45
"""How bright is what faces away from the light."""


def room_around(spans: FloatArray) -> float:
    """Return how much room a picture has on each side of a hemisphere of that width and height."""
    return _ROOM * max(float(spans.max()), 1.0e-3)


def light(normals: FloatArray) -> FloatArray:
    """Return how bright places are, from 0 to 1, by their normals as a camera projects them.

    Shapes: `normals` (n, 3); returns (n,).
    """
    # What is seen faces the viewer; an open mesh may be seen from behind.
    facing = np.where(normals[:, 2:] < 0, -normals, normals)
    return np.asarray(DARKEST + (1 - DARKEST) * np.clip(facing @ LAMP, 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen of a hemisphere, whatever the values: computed once for all maps.

    Parameters
    ----------
    box : tuple of 4 floats
        Left, right, bottom and top of the picture, as the camera projects the world, in mm.
    shape : tuple of 2 ints
        Numbers of rows and columns, in samples.
    seen : array of int, shape (n,)
        The samples, in the flattened picture, that show the hemisphere.
    vertices : array of int, shape (n,)
        The vertex nearest to each of them, by barycentric weights.
    greys : array of float, shape (n,)
        How bright the hemisphere itself is there, from 0 to 1.
    """

    box: tuple[float, float, float, float]
    shape: tuple[int, int]
    seen: NDArray[np.intp]
    vertices: NDArray[np.int32]
    greys: FloatArray

    @classmethod
    def of(cls, relief: Relief, shades: FloatArray, camera: Camera, resolution: float) -> Sight:
        """Look at a mesh, whose vertices have `shades` from 0 to 1; `resolution` in mm a pixel."""
        projected = camera.project(relief.mesh.coordinates)
        low, high = projected[:, :2].min(axis=0), projected[:, :2].max(axis=0)
        room = room_around(high - low)
        n_columns, n_rows = (
            _FINER * max(math.ceil(float(span) / resolution), 1) for span in high - low + 2 * room
        )
        step = resolution / _FINER
        middle = (low + high) / 2
        left, bottom = (middle - step * np.array([n_columns, n_rows]) / 2).tolist()
        faces = relief.facing(camera.toward)
        raster = rasterise(projected, faces, (left, bottom), step, (n_rows, n_columns))
        seen = np.flatnonzero(raster.faces.ravel() >= 0)
        corners = faces[raster.faces.ravel()[seen]]
        weights = raster.weights.reshape(-1, 3)[seen]
        normals = np.einsum("ij,ijk->ik", weights, camera.project(relief.normals)[corners])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        bright = light(normals / np.where(lengths > 0, lengths, 1.0))
        return cls(
            (left, left + n_columns * step, bottom, bottom + n_rows * step),
            (n_rows, n_columns),
            seen,
            np.take_along_axis(corners, weights.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0],
            bright * np.einsum("ij,ij->i", weights, shades[corners]),
        )

    def paint(self, values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
        """Return the picture of a map, (n_rows, n_columns, 4), row 0 the lowest.

        A pixel has the value of the vertex nearest to it: nothing is interpolated, so exactly the
        values above the threshold are drawn, in the colours of the bar. Shapes: `values`
        (n_vertices,), NaN where there is none.
        """
        own = values[self.vertices]
        shown = np.flatnonzero(scale.shows(own))  # NaN is not
        samples = np.zeros((self.shape[0] * self.shape[1], 4), np.float32)
        samples[self.seen, :3] = 255 * self.greys[:, np.newaxis]
        samples[self.seen, 3] = 255
        colours = scale.cmap(scale.norm(scale.masked(own[shown])), bytes=True)
        samples[self.seen[shown], :3] = np.asarray(colours)[:, :3]
        return _coarser(samples.reshape(*self.shape, 4))

    def outline(self, inside: NDArray[np.bool_], colour: Sequence[float]) -> NDArray[np.uint8]:
        """Return a picture of the outline of some vertices, transparent elsewhere.

        The line lies within them, and has none along the rim of what is seen. Shapes: `inside`
        (n_vertices,), `colour` (3,) from 0 to 1; returns (n_rows, n_columns, 4), row 0 the lowest.
        """
        from scipy.ndimage import binary_erosion

        within = np.ones(self.shape[0] * self.shape[1], np.bool_)  # what is not seen has no rim
        within[self.seen] = inside[self.vertices]
        kept = binary_erosion(within.reshape(self.shape), iterations=_LINE, border_value=1)
        line = self.seen[(within & ~kept.ravel())[self.seen]]
        samples = np.zeros((self.shape[0] * self.shape[1], 4), np.float32)
        samples[line, :3] = 255 * np.asarray(colour)
        samples[line, 3] = 255
        return _coarser(samples.reshape(*self.shape, 4))


def _coarser(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the means of blocks of samples, which count as much as they are opaque."""
    rows, columns = (length // _FINER for length in samples.shape[:2])
    sums = samples.reshape(rows, _FINER, columns, _FINER, 4).sum(axis=(1, 3))
    opaque = np.maximum(sums[..., 3:] / 255, 1.0)
    sums[..., :3] /= opaque
    sums[..., 3] /= _FINER**2
    return np.asarray(np.round(sums), np.uint8)
