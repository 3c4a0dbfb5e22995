# SPDX-License-Identifier: BSD-3-Clause
"""Vertices of one hemisphere or of both, inside a mask: `SurfaceSpace`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from groupglm.errors import ArgumentError, ImageError
from groupglm.spaces.base import RowStream
from groupglm.spaces.checks import checked_rows
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.form import Form
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.source import SurfaceSource
from groupglm.spaces.surface.values import values_of_rows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.zeros import Zeros

__all__ = ["SurfaceSpace"]


@dataclass(frozen=True, eq=False)
class SurfaceSpace(CompositeSpace):
    """The vertices of one hemisphere or of both that are inside a mask, or all of them.

    Parameters
    ----------
    members : mapping of str to HemisphereSpace
        Those hemispheres, "left" and "right", that have vertices inside the mask.
    form : Form
        What images of results are.
    hemispheres : mapping of str to HemisphereSpace, optional
        All hemispheres of the data, with all vertices; by default the members.
    """

    tag: ClassVar[str] = "surface"
    placement_word: ClassVar[str] = "mesh"
    place_words: ClassVar[tuple[str, str]] = ("vertex", "vertices")

    members: Mapping[str, HemisphereSpace]
    form: Form = field(default_factory=lambda: Form("gifti"))
    hemispheres: Mapping[str, HemisphereSpace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.hemispheres:
            object.__setattr__(self, "hemispheres", dict(self.members))

    only_zeros_are_outside: ClassVar[bool] = True

    @property
    def preparation_options(self) -> Mapping[str, Any]:
        """What is done to images before they are a row."""
        return next(iter(self.members.values())).preparation_options

    def read_row(
        self, source: SurfaceSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read both hemispheres into a row.

        GridMismatchError if the image is of other hemispheres or numbers of vertices.
        """
        zeros = super().read_row(source.opened(), out)
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
        self, source: SurfaceSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read both hemispheres as they are stored."""
        super().read_stored(source.opened(), out)

    def restrict(self, keep: NDArray[np.bool_]) -> Self:
        """Return the space of some vertices; results still have all hemispheres of the data."""
        if not np.any(keep):
            raise ArgumentError.about(
                "mask_img", "the mask is empty: no vertex is inside", "give one that has vertices"
            )
        return super().restrict(keep)

    def onto(self, other: Self) -> Self:
        """Return the space of those vertices of another space that are here too."""
        members = {
            side: space.onto(other.members[side])
            for side, space in self.members.items()
            if side in other.members
        }
        return replace(other, members=members)

    def on_surfaces(self, geometry: Geometry) -> Self:
        """Return the space of the same vertices on other meshes, or with other areas."""
        from groupglm.spaces.surface.meshes import open_meshes, refuse_after_smoothing

        refuse_after_smoothing(self, geometry)
        n_vertices = {side: space.n_vertices for side, space in self.hemispheres.items()}
        found = open_meshes(geometry, list(n_vertices), n_vertices)
        return replace(
            self,
            members={side: found[side].under(space) for side, space in self.members.items()},
            hemispheres={side: found[side].under(own) for side, own in self.hemispheres.items()},
        )

    def counted_in_vertices(self) -> Self:
        """Return the space in which the size of a cluster is its number of vertices."""
        members = {
            side: replace(space, counts_vertices=True) for side, space in self.members.items()
        }
        return replace(self, members=members)

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn results into an image like the inputs: one row into one map, `k` into several.

        Zero outside the mask. The values are float32 by default, or float64 where a finite value
        would leave the range of float32.
        """
        rows = checked_rows(values, self.n_values)
        by_side = {name: (self.members[name], own) for name, _, own in self._stretches}
        spread = {}
        for side, whole in self.hemispheres.items():
            n_vertices = whole.n_vertices
            if side in by_side:
                space, own = by_side[side]
                spread[side] = values_of_rows(rows[..., own], space.vertices, n_vertices, dtype)
            else:
                spread[side] = np.zeros((*rows.shape[:-1], n_vertices), dtype or np.float32)
        meshes = {
            side: space.mesh
            for side, space in self.hemispheres.items()
            if isinstance(space, HemisphereSpace) and space.mesh is not None
        }
        return self.form.image(spread, descrip, statistic, meshes)

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Turn rows that come one by one into an image of several maps, in memory or in files."""
        rows = np.empty((n_rows, self.n_values), np.float32)
        wide: NDArray[np.float64] | None = None
        with closing(make_rows()) as stream:
            for number, row in enumerate(stream):
                if wide is None and not _fits(row):
                    wide = rows.astype(np.float64)
                (rows if wide is None else wide)[number] = row
        image = self.to_image(rows if wide is None else wide, descrip)
        if out is not None:
            from groupglm.spaces.surface.saving import save_map

            save_map(image, out)
        return image

    def place_at(self, position: Sequence[float]) -> int | None:
        """Return the vertex nearest to a position in mm, of both hemispheres; None far from all."""
        best: tuple[float, int] | None = None
        for _, space, own in self._stretches:
            found = space.nearest(position) if isinstance(space, HemisphereSpace) else None
            place = None if found is None else space.place_at(position)
            if found is not None and place is not None and (best is None or found[1] < best[0]):
                best = (found[1], int(own.start) + place)
        return None if best is None else best[1]

    def describe_placement(self) -> str:
        """Say how many vertices each mesh has."""
        return " and ".join(space.describe_placement() for space in self.hemispheres.values())

    def describe_place(self, place: int) -> str:
        """Name a vertex by its number and its hemisphere: ``vertex 4012, left``."""
        _, space, own = self._at(place)
        return space.describe_place(own)

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first vertices of each hemisphere."""
        return "; ".join(space.name_places(own) for _, space, own in self._within(places))

    def absent_source(self, name: str, saved_in: str) -> SurfaceSource:
        """Return an image of which only the name is known."""
        members = {
            side: space.absent_source(f"{name} ({side})", saved_in)
            for side, space in self.hemispheres.items()
        }
        return SurfaceSource(name, members, self.form)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the hemispheres in a form to store; results of a loaded model are nibabel's."""
        facts, arrays = super().stored()
        facts["form"] = "gifti" if self.form.kind == "surface_image" else self.form.kind
        facts["is_pair"] = self.form.is_pair
        facts["hemispheres"] = {side: space.n_vertices for side, space in self.hemispheres.items()}
        return facts, arrays


def _fits(row: NDArray[np.float64]) -> bool:
    """Return whether float32 holds the values of a row, by the rule of images of results."""
    places = np.arange(len(row))
    return bool(values_of_rows(row, places, len(row), None).dtype == np.float32)
