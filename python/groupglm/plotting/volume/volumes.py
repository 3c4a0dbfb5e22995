# SPDX-License-Identifier: BSD-3-Clause
"""Values on a grid, and their look-up at places in mm: `Volume`, `Bounds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.errors import ArgumentTypeError
from groupglm.spaces.registry import kind_of
from groupglm.spaces.volume import Grid, ImageLike, open_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["IN_PLANE", "Bounds", "Volume"]

FloatArray: TypeAlias = "NDArray[np.float64]"

IN_PLANE = {"x": (1, 2), "y": (0, 2), "z": (0, 1)}
"""The two axes of the world in a plane, by the axis perpendicular to the plane."""

_MAX_SIDE = 400  # samples along a side of a plane, more than a screen shows
_MAX_POINTS = 8_000_000


@dataclass(frozen=True)
class Bounds:
    """A box in millimetres.

    Parameters
    ----------
    low, high : tuple of 3 floats
        Its corners.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def union(self, other: Bounds) -> Bounds:
        """Return the smallest box that holds both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Bounds(_triple(low), _triple(high))

    def grown(self, margin: float) -> Bounds:
        """Return the box with a margin on each side, in mm."""
        return Bounds(_triple(np.subtract(self.low, margin)), _triple(np.add(self.high, margin)))

    def ticks(self, axis: int, step: float) -> FloatArray:
        """Return places along an axis, `step` apart, from one face to the other."""
        count = max(2, int(np.ceil((self.high[axis] - self.low[axis]) / step)) + 1)
        return np.asarray(self.low[axis] + step * np.arange(count), dtype=np.float64)


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


@dataclass(frozen=True, eq=False)
class Volume:
    """Values on a grid.

    Parameters
    ----------
    data : array, shape (n_x, n_y, n_z)
        The values; zero where there is nothing.
    affine : array, shape (4, 4)
        From voxel indices to millimetres.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.zeros((3, 3, 3))
    >>> values[2, 1, 0] = 5.0
    >>> flipped = np.diag([-2.0, 2.0, 2.0, 1.0])
    >>> Volume(values, flipped).at((-4.0, 2.0, 0.0))
    5.0
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, image: ImageLike, name: str) -> Volume:
        """Read an image."""
        if kind_of(image).tag == "table":
            raise ArgumentTypeError.about(
                name,
                f"{name} holds regions of a table, which have no place in a brain",
                "draw them with groupglm.plotting.plot_regions",
            )
        if kind_of(image).tag in ("surface", "cifti"):
            raise ArgumentTypeError.about(
                name,
                f"{name} holds vertices of a surface, and a picture of voxels is wanted",
                "draw them with groupglm.plotting.plot_surf_stat_map",
            )
        source = open_image(image, name=name)
        values = np.empty(source.grid.n_voxels, dtype=source.dtype)
        source.read_into(values)
        values[np.isnan(values)] = 0
        return cls(values.reshape(source.grid.shape, order="F"), source.grid.affine)

    @classmethod
    def of_row(cls, space: Space, row: NDArray[Any]) -> Volume:
        """Make the volume of a row of voxels, shape (n_values,); zero outside the mask."""
        image = space.to_image(row, dtype=row.dtype)
        return cls(np.asarray(image.dataobj), image.affine)

    @property
    def grid(self) -> Grid:
        """The grid of the voxels."""
        x, y, z = self.data.shape
        return Grid((x, y, z), self.affine)

    @property
    def edges(self) -> FloatArray:
        """Lengths of a voxel's edges in mm, shape (3,)."""
        lengths: FloatArray = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return lengths

    def reach(self) -> Bounds:
        """Return a box that holds the whole grid."""
        return Volume(np.zeros(self.data.shape, np.bool_), self.affine).bounds()

    def bounds(self) -> Bounds:
        """Return a box that holds every voxel that is not zero, or the grid if all are."""
        inside = self.data != 0
        faces = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            found = np.flatnonzero(inside.any(axis=others))
            ends = (found[0], found[-1]) if len(found) else (0, self.data.shape[axis] - 1)
            faces.append((ends[0] - 0.5, ends[1] + 0.5))
        corners = np.stack(np.meshgrid(*faces, indexing="ij"), axis=-1).reshape(-1, 3)
        places = corners @ self.affine[:3, :3].T + self.affine[:3, 3]
        return Bounds(_triple(places.min(axis=0)), _triple(places.max(axis=0)))

    def at(self, place: tuple[float, float, float]) -> float:
        """Return the value of the voxel that holds a place in mm; zero outside the grid."""
        x, y, z = (np.array([coordinate]) for coordinate in place)
        return float(self.nearest(x, y, z)[0])

    def nearest(self, x: FloatArray, y: FloatArray, z: FloatArray) -> NDArray[Any]:
        """Return the value of the voxel that holds each place, without interpolation."""
        inside: NDArray[np.bool_] = np.ones(
            (1, 1, 1)[: max(x.ndim, y.ndim, z.ndim)], dtype=np.bool_
        )
        indices = []
        for place, length in zip(self._indices(x, y, z), self.data.shape, strict=True):
            index = np.floor(place + 0.5)
            inside = inside & (index >= 0) & (index < length)
            indices.append(np.clip(index, 0, length - 1).astype(np.intp))
        i, j, k = indices
        found: NDArray[Any] = np.where(inside, self.data[i, j, k], self.data.dtype.type(0))
        return found

    def linear(self, x: FloatArray, y: FloatArray, z: FloatArray) -> NDArray[Any]:
        """Interpolate between the eight voxels around each place."""
        from scipy.ndimage import map_coordinates

        places = np.stack(np.broadcast_arrays(*self._indices(x, y, z)))
        values: NDArray[Any] = map_coordinates(
            self.data, places, order=1, mode="grid-constant", output=np.float32
        )
        return values

    def _indices(self, x: FloatArray, y: FloatArray, z: FloatArray) -> list[FloatArray]:
        """Return the voxel indices, not rounded, of places in mm.

        An index has the shape of the coordinates that it depends on. On a grid along the axes of
        the world each index is a line, so that a box needs no arithmetic for each place.
        """
        found = []
        for row in np.linalg.inv(self.affine)[:3]:
            terms = [slope * place for slope, place in zip(row, (x, y, z), strict=False) if slope]
            found.append(sum(terms[1:], start=terms[0] + row[3]))
        return found

    def plane(
        self,
        axis: str,
        coordinate: float,
        bounds: Bounds,
        *,
        linear: bool = False,
        like: Volume | None = None,
    ) -> tuple[NDArray[Any], tuple[float, float, float, float]]:
        """Look up a plane perpendicular to an axis of the world, at the places of another volume.

        Returns `values` (n_v, n_u).
        """
        first, second = IN_PLANE[axis]
        sides = [bounds.high[side] - bounds.low[side] for side in (first, second)]
        finest = float((self if like is None else like).edges.min())
        step = max(min(1.0, finest), max(sides) / _MAX_SIDE)
        u, v = bounds.ticks(first, step), bounds.ticks(second, step)
        places: list[FloatArray] = [np.full((1, 1), coordinate)] * 3
        places[first], places[second] = u[np.newaxis, :], v[:, np.newaxis]
        look_up = self.linear if linear else self.nearest
        extent = (u[0] - step / 2, u[-1] + step / 2, v[0] - step / 2, v[-1] + step / 2)
        return look_up(*places), extent

    def upright(self, bounds: Bounds, step: float, *, keep_peaks: bool = True) -> Volume:
        """Resample to a grid along the axes of the world, by the voxel at each place."""
        spans = np.subtract(bounds.high, bounds.low)
        step = max(step, float((spans.prod() / _MAX_POINTS) ** (1 / 3)), float(spans.max()) / 1000)
        x, y, z = (bounds.ticks(axis, step) for axis in range(3))
        values = self.nearest(
            x[:, np.newaxis, np.newaxis], y[np.newaxis, :, np.newaxis], z[np.newaxis, np.newaxis, :]
        )
        affine = np.diag([step, step, step, 1.0])
        affine[:3, 3] = bounds.low
        if keep_peaks:
            self._put_centres(values, affine)
        return Volume(values, affine)

    def _put_centres(self, values: NDArray[Any], affine: FloatArray) -> None:
        """Write each voxel's value at its centre; larger values replace smaller ones."""
        voxels = np.argwhere(self.data != 0)
        found = self.data[tuple(voxels.T)]
        places = voxels @ self.affine[:3, :3].T + self.affine[:3, 3]
        targets = np.floor((places - affine[:3, 3]) / affine[0, 0] + 0.5).astype(np.intp)
        inside = ((targets >= 0) & (targets < values.shape)).all(axis=1)
        targets, found = targets[inside], found[inside]
        order = np.argsort(np.abs(found), kind="stable")
        where, found = tuple(targets[order].T), found[order]
        # If several values are given for one place, NumPy keeps the last.
        larger = np.abs(found) > np.abs(values[where])
        values[tuple(index[larger] for index in where)] = found[larger]
