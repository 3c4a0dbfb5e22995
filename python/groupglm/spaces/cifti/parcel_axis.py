# SPDX-License-Identifier: BSD-3-Clause
"""The places of a parcellated CIFTI matrix: parcels, each of vertices and voxels, `ParcelAxis`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import printable
from groupglm.runtime.naming import counted
from groupglm.spaces.cifti.brain_models import (
    MOST_VERTICES,
    STRUCTURE,
    GivenVolume,
    check_range,
    grid_of,
)
from groupglm.tabular.region_tables import RegionNames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["GivenParcel", "ParcelAxis", "parcel_axis"]

_VOXELS = -1  # in the place of the number of a structure


@dataclass(frozen=True, eq=False)
class GivenParcel:
    """One parcel, as a file or an object declares it.

    Attributes
    ----------
    name : str
        Its name.
    vertices : sequence of (str, array of int)
        The structure of each surface, with its prefix, and the parcel's vertices there.
    voxels : array of int, shape (n, 3)
        Its voxels.
    """

    name: str
    vertices: Sequence[tuple[str, NDArray[np.int64]]]
    voxels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ParcelAxis:
    """The parcels of a file.

    Parameters
    ----------
    table : RegionNames
        Their names.
    surfaces : tuple of (str, int)
        The structures that have surfaces, without their prefix, and their numbers of vertices.
    grid : Grid or None
        That of the voxels.
    content : array of int, shape (n, 3)
        What the parcels are made of: the number of the parcel, that of the structure among
        `surfaces`, or -1 for voxels, and the vertex or voxel.
    """

    table: RegionNames
    surfaces: tuple[tuple[str, int], ...]
    grid: Grid | None
    content: NDArray[np.int64]

    @property
    def n_places(self) -> int:
        """Number of parcels."""
        return len(self.table)

    @property
    def extent(self) -> str:
        """How many parcels there are, in words."""
        return counted(self.n_places, "parcel")

    def difference(self, other: ParcelAxis) -> str | None:
        """Say in words how the parcels differ from those of another axis; None if they do not."""
        if self is other:
            return None
        names = self.table.difference(other.table)
        if names is not None:
            return names.replace("region", "parcel")
        if not self.table.is_like(other.table):
            return "it has the same parcels in another order"
        if self.surfaces != other.surfaces:
            mine, theirs = (
                ", ".join(f"{name} of {n} vertices" for name, n in axis.surfaces) or "no surface"
                for axis in (self, other)
            )
            return f"its parcels lie on {mine}, not on {theirs}"
        if self.grid is not None and other.grid is not None:
            difference = self.grid.difference(other.grid)
            if difference is not None:
                return f"the volume of its voxels: {difference}"
        return self._other_content(other)

    def _other_content(self, other: ParcelAxis) -> str | None:
        mine, theirs = _sorted(self.content), _sorted(other.content)
        if np.array_equal(mine, theirs):
            return None
        for number, name in enumerate(self.table.names):
            own, same = (content[content[:, 0] == number] for content in (mine, theirs))
            if not np.array_equal(own, same):
                return f"its parcel {name!r} is made of other vertices or voxels"
        return None


def _sorted(content: NDArray[np.int64]) -> NDArray[np.int64]:
    return content[np.lexsort(content.T[::-1])]


def parcel_axis(
    parcels: Iterable[GivenParcel],
    surfaces: Sequence[tuple[str, int]],
    volume: GivenVolume | None,
) -> ParcelAxis:
    """Check parcels, and make an axis of them; ValueError says what is wrong."""
    grid = None if volume is None else grid_of(volume)
    known = {name: (number, n) for number, (name, n) in enumerate(surfaces)}
    for name, n_vertices in surfaces:
        if not 0 < n_vertices <= MOST_VERTICES:
            raise ValueError(f"its surface {printable(name)} has {n_vertices} vertices")
    names: dict[str, int] = {}
    content = [np.empty((0, 3), np.int64)]
    for number, parcel in enumerate(parcels):
        called = repr(printable(parcel.name))
        if not parcel.name.strip():
            raise ValueError(f"its parcel {number + 1} has no name")
        if parcel.name in names:
            raise ValueError(f"it has two parcels of the name {called}")
        names[parcel.name] = number
        content += _content(number, parcel, known, grid)
    if not names:
        raise ValueError("it has no parcels")
    whole = np.concatenate(content)
    whole.setflags(write=False)
    own = tuple((printable(name).removeprefix(STRUCTURE), n) for name, n in surfaces)
    return ParcelAxis(RegionNames(tuple(map(printable, names))), own, grid, whole)


def _content(
    number: int, parcel: GivenParcel, known: Mapping[str, tuple[int, int]], grid: Grid | None
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of `ParcelAxis.content` of a parcel."""
    called = f"parcel {printable(parcel.name)!r}"
    for structure, vertices in parcel.vertices:
        if structure not in known:
            raise ValueError(
                f"its {called} has vertices of {printable(structure)}, for which it declares no "
                "surface"
            )
        place, n_vertices = known[structure]
        if vertices.size:
            check_range(called, vertices, n_vertices, "vertex")
        yield _rows(number, place, vertices)
    if parcel.voxels.size:
        yield _rows(number, _VOXELS, _flat(parcel, grid, called))


def _rows(number: int, structure: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.empty((len(indices), 3), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = number, structure, indices
    return rows


def _flat(parcel: GivenParcel, grid: Grid | None, called: str) -> NDArray[Any]:
    """Return the flat indices of a parcel's voxels."""
    if grid is None:
        raise ValueError(f"its {called} has voxels, but it declares no volume for them")
    for axis, length in enumerate(grid.shape):
        check_range(called, parcel.voxels[:, axis], length, f"voxel index {'ijk'[axis]}")
    i, j, k = parcel.voxels.T
    return np.asarray(i + grid.shape[0] * (j + grid.shape[1] * k))
