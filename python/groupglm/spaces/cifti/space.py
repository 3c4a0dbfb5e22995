# SPDX-License-Identifier: BSD-3-Clause
"""Grayordinates: vertices of surfaces and voxels in one row, `CiftiSpace`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import nibabel as nib
import numpy as np

from groupglm.errors import ImageError
from groupglm.spaces.cifti.axes import VOXELS, BrainAxis, side_of
from groupglm.spaces.cifti.cortex import cortex_meshes
from groupglm.spaces.cifti.images import cifti_image
from groupglm.spaces.cifti.member_sources import member_sources
from groupglm.spaces.cifti.nibabel_places import brain_mapping
from groupglm.spaces.cifti.opening import GRAYORDINATES
from groupglm.spaces.cifti.saving import save_rows
from groupglm.spaces.cifti.source import AbsentMap, CiftiSource
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.meshes import refuse_after_smoothing
from groupglm.spaces.surface.values import values_of_rows
from groupglm.spaces.volume.space import VolumeSpace
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.base import RowStream
    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.surface.mesh import Mesh
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["CiftiSpace"]

_INTENT = "ConnDenseScalar"


class _SomeVoxels(VolumeSpace):
    """Voxels that may all lack values, because an image has vertices too."""

    def _check_any_finite(self, source: VolumeSource, row: NDArray[Any]) -> None:
        """Leave it to the space of all grayordinates."""


@dataclass(frozen=True, eq=False)
class CiftiSpace(CompositeSpace):
    """The grayordinates of a file that are inside a mask, or all of them.

    A row has the vertices of each surface, then all voxels, in increasing order. Users see them in
    the order of the file (`public_order`).

    Parameters
    ----------
    members : mapping of str to Space
        ``cortex_left``, ``cortex_right`` and the other surfaces of the file, whose places are
        vertices; ``subcortex``, whose places are the voxels of all structures.
    axis : BrainAxis
        The places of the file, also those outside the mask.
    """

    tag: ClassVar[str] = "cifti"
    only_zeros_are_outside: ClassVar[bool] = True
    placement_word: ClassVar[str] = "axes"

    axis: BrainAxis

    @classmethod
    def whole(
        cls,
        axis: BrainAxis,
        meshes: Mapping[str, Mesh] | None = None,
        areas: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> CiftiSpace:
        """Make the space of all places of an axis, with meshes and areas by the members' names."""
        members: dict[str, Any] = {}
        for name in axis.members:
            indices, _ = axis.in_order[name]
            n_vertices = axis.n_vertices.get(name)
            if n_vertices is None and axis.grid is not None:
                members[name] = VolumeSpace(axis.grid, indices)
            elif n_vertices is not None:
                mesh, own = (meshes or {}).get(name), (areas or {}).get(name)
                members[name] = HemisphereSpace(side_of(name), n_vertices, indices, mesh, own)
        return cls(members, axis)

    def on_surfaces(self, geometry: Geometry) -> Self:
        """Return the space of the same places with other meshes of the cortex, or other areas."""
        refuse_after_smoothing(self, geometry)
        found = cortex_meshes(self.axis, geometry)
        members: dict[str, Any] = dict(self.members)
        members |= {
            name: own.under(members[name]) for name, own in found.items() if name in members
        }
        return replace(self, members=members)

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """The position of each value of a row in a map of the file, shape (n_values,)."""
        found = []
        for name, space in self.members.items():
            indices, positions = self.axis.in_order[name]
            own: Any = space
            kept = own.indices if name == VOXELS else own.numbers()
            found.append(positions[np.searchsorted(indices, kept)])
        return np.concatenate(found)

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.positions)

    @property
    def public_order(self) -> NDArray[np.intp] | None:
        """The places of a row in the order of the file; None if the row has that order."""
        is_same = np.array_equal(self._order, np.arange(self.n_values))
        return None if is_same else self._order

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for places: of one kind, or grayordinates."""
        words = {space.place_words for space in self.members.values()}
        return words.pop() if len(words) == 1 else ("grayordinate", "grayordinates")

    @property
    def preparation_options(self) -> Mapping[str, Any]:
        """What is done to images before they are a row: all members are prepared alike."""
        return next(iter(self.members.values())).preparation_options

    def describe_placement(self) -> str:
        """Say how many grayordinates there are, and of which structures."""
        return f"{self.axis.extent} of {', '.join(model.structure for model in self.axis.models)}"

    @cached_property
    def _structures(self) -> NDArray[np.object_]:
        return np.asarray(self.axis.structures()[self.positions], object)

    def structure(self, places: NDArray[np.integer]) -> NDArray[np.object_]:
        """Return the file's name of the structure of each place: ``CORTEX_LEFT``."""
        return np.asarray(self._structures[places], object)

    def describe_place(self, place: int) -> str:
        """Name a place: ``vertex 4012, CORTEX_LEFT``, ``(-9, -18, 6) mm, THALAMUS_LEFT``."""
        name, space, own = self._at(place)
        words, structure = space.describe_place(own), self._structures[place]
        # Of a vertex the words have the side, which the structure tells too.
        side = f", {side_of(name)}"
        return (
            words.replace(side, f", {structure}", 1) if side in words else f"{words}, {structure}"
        )

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first vertices of each structure, and the first voxels."""
        words = {
            name: space.name_places(own).removesuffix(f", {side_of(name)}")
            for name, space, own in self._within(places)
        }
        return "; ".join(
            own if name == VOXELS else f"{own} of {name.upper()}" for name, own in words.items()
        )

    @property
    def _fill(self) -> float | None:
        """The value that replaces missing values before smoothing."""
        members: Any = self.members.values()
        fills = {own.preparation.fill for own in members if own.preparation is not None} - {None}
        return fills.pop() if fills else None

    @cached_property
    def _without_fill(self) -> CompositeSpace:
        """The members, which leave missing values as they are."""
        members: dict[str, Any] = dict(self.members)
        for name, own in members.items():
            preparation = own.preparation and replace(own.preparation, fill=None)
            if isinstance(own, VolumeSpace):
                members[name] = _SomeVoxels(own.grid, own.indices, preparation)
            else:
                members[name] = replace(own, preparation=preparation)
        return CompositeSpace(members)

    def read_row(
        self, source: CiftiSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read a map into a row."""
        zeros = None
        if self.mixes_places:
            own = member_sources(source, self.axis, self.members, self._fill)
            zeros = self._without_fill.read_row(own, out)
        else:
            self.read_stored(source, out)
            if self.zero_is_missing:
                zeros = Zeros.of(out)
                out[zeros.places] = np.nan
        # Nearly every image begins with a finite value; then no search is needed.
        if not np.isfinite(out[0]) and not np.isfinite(out).any():
            what = "NaN or infinite"
            if self.zero_is_missing:
                what = "NaN, infinite or zero, which zero_is_missing=True takes for missing"
            raise ImageError(
                f"{source.name}: all {self.n_values} values are {what}; leave the image out or "
                "give another mask"
            )
        return zeros

    def read_stored(
        self, source: CiftiSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read a map into a row, as it is stored."""
        values = source.read()
        if values.dtype == out.dtype:
            # "raise" would make numpy gather into a buffer first; all positions are of the map.
            np.take(values, self.positions, out=out, mode="clip")
        else:
            out[...] = values.take(self.positions, mode="clip")

    def bytes_to_read(self, source: CiftiSource) -> int:
        """Return the bytes that one map takes while it is read, and prepared by its members."""
        n_bytes = 8 * source.axis.n_places
        if self.mixes_places:
            sizes = [*self.axis.n_vertices.values()]
            sizes += [self.axis.grid.n_voxels * 3] if self.axis.grid is not None else []
            n_bytes += 8 * 2 * sum(sizes)
        return n_bytes

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the places that have values in enough images, and not zero in all of them."""
        del n_images
        with np.errstate(invalid="ignore"):
            return np.asarray((np.abs(mean) > 0) & (n_observations >= min_observations))

    def _in_file(self, values: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """Return rows as the maps of a file, zero outside the mask."""
        in_order = values[..., self._order]
        return values_of_rows(
            in_order, self.positions[self._order], self.axis.n_places, dtype
        ).reshape(-1, self.axis.n_places)

    @cached_property
    def _mapping(self) -> bytes:
        return brain_mapping(self.axis)

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn results into an image on the axes of the file, one map for each row.

        Zero outside the mask; float32, or float64 where a finite value would leave its range.
        """
        data = self._in_file(np.asarray(values), dtype)
        return cifti_image(self._mapping, data, descrip, statistic, _INTENT)

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Turn rows that come one by one into an image of many maps, in memory or in a file."""
        if out is None:
            return super().series_image(make_rows, n_rows, descrip, None)

        def in_file() -> RowStream:
            with closing(make_rows()) as rows:
                for row in rows:
                    yield self._in_file(np.asarray(row, np.float64), np.float64)[0]

        def to_image(data: NDArray[Any]) -> Any:
            return cifti_image(self._mapping, data, descrip, None, _INTENT)

        save_rows(in_file, n_rows, self.axis.n_places, to_image, out, GRAYORDINATES)
        return nib.load(out)

    def absent_source(self, name: str, saved_in: str) -> AbsentMap:  # type: ignore[override]
        """Return an image of which only the name is known."""
        return AbsentMap(name, self.axis, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the space in a form to store: its members, and the axis of the file."""
        facts, arrays = super().stored()
        facts["models"] = [
            {
                "structure": model.structure,
                "first": model.first,
                "count": len(model.indices),
                "n_vertices": model.n_vertices,
            }
            for model in self.axis.models
        ]
        arrays["indices"] = np.concatenate([model.indices for model in self.axis.models])
        if self.axis.grid is not None:
            facts["grid"] = list(self.axis.grid.shape)
            arrays["affine"] = self.axis.grid.affine
        return facts, arrays
