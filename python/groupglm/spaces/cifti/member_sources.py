# SPDX-License-Identifier: BSD-3-Clause
"""The values of one map for each member of a space, for what prepares them member by member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.spaces.cifti.axes import side_of
from groupglm.spaces.composite_source import CompositeSource
from groupglm.spaces.surface.hemisphere_source import HemisphereSource
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.reading.source import VolumeSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.cifti.axes import BrainAxis
    from groupglm.spaces.cifti.source import CiftiSource

__all__ = ["member_sources"]


def member_sources(
    source: CiftiSource, axis: BrainAxis, members: Mapping[str, Space], fill: float | None = None
) -> CompositeSource:
    """Read a map, and return its values as an input of each member; NaN where it has none.

    Its own missing values are replaced by `fill`, which vertices and voxels beyond the file's axes
    are not: they have no value in any image, and are in no mean of neighbours.
    """
    values = source.read()
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    if fill is not None:
        values = np.where(np.isnan(values), np.asarray(fill, values.dtype), values)
    made: dict[str, Any] = {}
    for name in members:
        indices, positions = axis.in_order[name]
        n_places = axis.n_vertices.get(name)
        if n_places is None and axis.grid is not None:
            whole = np.full(axis.grid.n_voxels, np.nan, dtype)
            whole[indices] = values[positions]
            made[name] = _Voxels(source.name, axis.grid, whole)
        elif n_places is not None:
            whole = np.full(n_places, np.nan, dtype)
            whole[indices] = values[positions]
            made[name] = _Vertices(source.name, side_of(name), whole)
    return CompositeSource(source.name, made)


class _Vertices(HemisphereSource):
    """The values of a surface."""

    def __init__(self, name: str, side: str, values: NDArray[Any]) -> None:
        super().__init__(name, side, len(values), values.dtype)
        self._values = values

    def read(self) -> NDArray[Any]:
        """Return the values."""
        return self._values


class _Voxels(VolumeSource):
    """The values of all voxels of a grid."""

    def __init__(self, name: str, grid: Grid, values: NDArray[Any]) -> None:
        super().__init__(name=name, grid=grid, stored=values.dtype, slope=1.0, inter=0.0)
        self._values = values

    def _stored_values(self) -> NDArray[Any]:
        return self._values
