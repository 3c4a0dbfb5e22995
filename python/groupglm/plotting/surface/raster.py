# SPDX-License-Identifier: BSD-3-Clause
"""Which triangle of a mesh is in front at each pixel: `rasterise`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Raster", "rasterise"]

FloatArray: TypeAlias = "NDArray[np.float64]"
IntArray: TypeAlias = "NDArray[np.int64]"

_AT_ONCE = 500_000  # pairs of a triangle and a pixel of its box: some 100 bytes each
_MOST = 60_000_000  # such pairs of a picture: some 5 s. A picture of a brain has a thirtieth.
_EDGE_ON = 1e-9  # pixels^2: twice the area, in the picture, of a triangle seen from its edge
_ROUNDING = 1e-9  # of a weight, so that no pixel on an edge falls between two triangles


@dataclass(frozen=True, eq=False)
class Raster:
    """The triangle in front at each pixel of a picture; row 0 is the lowest.

    Parameters
    ----------
    faces : array of int32, shape (n_rows, n_columns)
        The number of the triangle; -1 where there is none.
    weights : array of float64, shape (n_rows, n_columns, 3)
        The barycentric weights of its corners; zero where there is none.
    """

    faces: NDArray[np.int32]
    weights: FloatArray


def rasterise(
    projected: FloatArray,
    faces: NDArray[np.int32],
    corner: tuple[float, float],
    step: float,
    shape: tuple[int, int],
) -> Raster:
    """Find the triangle in front at the middle of each pixel, by comparing depths.

    Parameters
    ----------
    projected : array, shape (n_vertices, 3)
        How far to the right, how far up and how near each vertex is.
    faces : array of int, shape (n_faces, 3)
        The vertices of each triangle. Both sides of a triangle are seen.
    corner : tuple of 2 floats
        Where the lower left corner of the picture is.
    step : float
        The edge of a pixel.
    shape : tuple of 2 ints
        Numbers of rows and columns.

    Returns
    -------
    Raster
        The triangles. Of equally near ones, the one with the largest number.
    """
    n_rows, n_columns = shape
    # From here on in pixels: the middle of the first one is at zero.
    corners = projected[faces]
    across = (corners[..., 0] - corner[0]) / step - 0.5
    up = (corners[..., 1] - corner[1]) / step - 0.5
    boxes = _Boxes.of(across, up, shape)
    if boxes.total > _MOST and min(shape) > 1:
        # Large triangles all behind each other would take hours at this resolution.
        half = (n_rows + 1) // 2, (n_columns + 1) // 2
        coarse = rasterise(projected, faces, corner, 2 * step, half)
        both = np.ix_(np.arange(n_rows) // 2, np.arange(n_columns) // 2)
        return Raster(coarse.faces[both], coarse.weights[both])
    to_weights = _to_weights(across, up)
    depth = np.full(n_rows * n_columns, -np.inf)
    front = np.full(n_rows * n_columns, -1, np.int32)
    for numbers, x, y in boxes.pixels():
        second, third = (
            slope_x[numbers] * x + slope_y[numbers] * y + start[numbers]
            for slope_x, slope_y, start in to_weights
        )
        first = 1.0 - second - third
        inside = np.flatnonzero((np.minimum(np.minimum(first, second), third)) >= -_ROUNDING)
        own, at = numbers[inside], y[inside] * n_columns + x[inside]
        nears = corners[own, :, 2]
        near = first[inside] * nears[:, 0] + second[inside] * nears[:, 1]
        near += third[inside] * nears[:, 2]
        np.maximum.at(depth, at, near)
        wins = near == depth[at]
        front[at[wins]] = -1  # what was in front before is behind one of these, or as near
        np.maximum.at(front, at[wins], own[wins].astype(np.int32))
    return Raster(front.reshape(shape), _weights_at(front, to_weights, shape))


def _to_weights(across: FloatArray, up: FloatArray) -> list[tuple[FloatArray, ...]]:
    """Return, of the second and the third corner, the weight's slopes in x and y and its start.

    The weights of a triangle that is seen from its edge are NaN, so that it has no pixel.
    """
    x, y = across - across[:, :1], up - up[:, :1]
    twice_area = x[:, 1] * y[:, 2] - x[:, 2] * y[:, 1]
    twice_area = np.where(np.abs(twice_area) > _EDGE_ON, twice_area, np.nan)
    slopes = [
        (y[:, 2] / twice_area, -x[:, 2] / twice_area),
        (-y[:, 1] / twice_area, x[:, 1] / twice_area),
    ]
    return [(in_x, in_y, -(in_x * across[:, 0] + in_y * up[:, 0])) for in_x, in_y in slopes]


def _weights_at(
    front: NDArray[np.int32], to_weights: list[tuple[FloatArray, ...]], shape: tuple[int, int]
) -> FloatArray:
    weights = np.zeros((front.size, 3))
    (drawn,) = np.nonzero(front >= 0)
    own, (y, x) = front[drawn], np.divmod(drawn, shape[1])
    for corner, (slope_x, slope_y, start) in enumerate(to_weights, start=1):
        weights[drawn, corner] = slope_x[own] * x + slope_y[own] * y + start[own]
    weights[drawn, 0] = 1.0 - weights[drawn, 1] - weights[drawn, 2]
    return weights.reshape(*shape, 3)


@dataclass(frozen=True, eq=False)
class _Boxes:
    """The pixels whose middle is in the box around each triangle.

    Parameters
    ----------
    left, bottom : array of int, shape (n_faces,)
        The first column and row.
    width, height : array of int, shape (n_faces,)
        Numbers of columns and rows; zero if the box has no middle of a pixel.
    """

    left: IntArray
    bottom: IntArray
    width: IntArray
    height: IntArray

    @classmethod
    def of(cls, across: FloatArray, up: FloatArray, shape: tuple[int, int]) -> _Boxes:
        """Find the boxes of triangles, of which those beyond the picture are cut."""
        found = []
        for places, n in ((across, shape[1]), (up, shape[0])):
            low = np.clip(np.ceil(places.min(axis=1)), 0, n).astype(np.int64)
            high = np.clip(np.floor(places.max(axis=1)), -1, n - 1).astype(np.int64)
            found.append((low, np.maximum(high - low + 1, 0)))
        (left, width), (bottom, height) = found
        return cls(left, bottom, width, height)

    @property
    def total(self) -> int:
        """How many pixels all boxes have together."""
        return int((self.width * self.height).sum())

    def pixels(self) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Yield the triangle, column and row of every pixel, some at once, by triangle."""
        counts = self.width * self.height
        ends = np.cumsum(counts)
        first = 0
        while first < len(counts):
            before = ends[first] - counts[first]
            last = max(int(np.searchsorted(ends, before + _AT_ONCE)), first + 1)
            numbers = np.repeat(np.arange(first, last), counts[first:last])
            within = np.arange(before, ends[last - 1]) - (ends - counts)[numbers]
            y, x = np.divmod(within, self.width[numbers])
            yield numbers, x + self.left[numbers], y + self.bottom[numbers]
            first = last
