# SPDX-License-Identifier: BSD-3-Clause
"""The parcels of a parcellated CIFTI file: `ParcelSpace`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import nibabel as nib
import numpy as np

from groupglm.spaces.base import RowStream, Space
from groupglm.spaces.cifti.images import cifti_image
from groupglm.spaces.cifti.nibabel_places import parcel_mapping
from groupglm.spaces.cifti.opening import PARCELS
from groupglm.spaces.cifti.saving import save_rows
from groupglm.spaces.cifti.source import AbsentMap, CiftiSource
from groupglm.spaces.surface.values import values_of_rows
from groupglm.spaces.table.space import RegionSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.cifti.parcel_axis import ParcelAxis
    from groupglm.spaces.statistic import Statistic

__all__ = ["ParcelSpace"]

_INTENT = "ConnParcelScalr"


@dataclass(frozen=True, eq=False)
class ParcelSpace(RegionSpace):
    """Some parcels of a file: regions with names, whose results are images on the file's axes.

    Parameters
    ----------
    table, places, zero_is_missing
        As of `RegionSpace`.
    axis : ParcelAxis
        All parcels of the file.
    """

    tag: ClassVar[str] = "cifti parcels"
    place_words: ClassVar[tuple[str, str]] = ("parcel", "parcels")
    input_words: ClassVar[tuple[str, str]] = ("image", "images")
    placement_word: ClassVar[str] = "axes"

    axis: ParcelAxis = field(kw_only=True)

    @classmethod
    def whole(cls, axis: ParcelAxis, *, zero_is_missing: bool = False) -> ParcelSpace:
        """Return the space of all parcels of a file."""
        return cls(axis.table, None, zero_is_missing, axis=axis)

    @property
    def positions(self) -> NDArray[np.int64]:
        """The position of each value of a row in a map of the file, shape (n_values,)."""
        return np.arange(len(self.table)) if self.places is None else self.places

    def describe_placement(self) -> str:
        """Say how many parcels the file has."""
        return self.axis.extent

    def read_stored(  # type: ignore[override]
        self, source: CiftiSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read a map into a row; it may be NaN everywhere."""
        out[...] = source.read()[self.positions]

    def _in_file(self, values: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """Return rows as the maps of a file, zero outside the mask."""
        n_places = self.axis.n_places
        return values_of_rows(values, self.positions, n_places, dtype).reshape(-1, n_places)

    @cached_property
    def _mapping(self) -> bytes:
        return parcel_mapping(self.axis)

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn results into an image on the axes of the file, one map for each row."""
        data = self._in_file(np.asarray(values), dtype)
        return cifti_image(self._mapping, data, descrip, statistic, _INTENT)

    def together(self, images: Mapping[str, Any]) -> Any:
        """Put images of results together in a dict, as those of other files."""
        return Space.together(self, images)

    def mask_image(self) -> Any:
        """Return the places as an image of uint8: one here, zero elsewhere."""
        return Space.mask_image(self)

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Turn rows that come one by one into an image of many maps, in memory or in a file."""
        if out is None:
            with closing(make_rows()) as rows:
                values = np.array([np.array(row) for row in rows])
            return self.to_image(values, descrip)

        def in_file() -> RowStream:
            with closing(make_rows()) as rows:
                for row in rows:
                    yield self._in_file(np.asarray(row, np.float64), np.float64)[0]

        def to_image(data: NDArray[Any]) -> Any:
            return cifti_image(self._mapping, data, descrip, None, _INTENT)

        save_rows(in_file, n_rows, self.axis.n_places, to_image, out, PARCELS)
        return nib.load(out)

    def absent_source(self, name: str, saved_in: str) -> Any:
        """Return an image of which only the name is known."""
        return AbsentMap(name, self.axis, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the space in a form to store, with what the parcels are made of."""
        facts, arrays = super().stored()
        facts["surfaces"] = [list(surface) for surface in self.axis.surfaces]
        arrays["content"] = self.axis.content
        if self.axis.grid is not None:
            facts["grid"] = list(self.axis.grid.shape)
            arrays["affine"] = self.axis.grid.affine
        return facts, arrays
