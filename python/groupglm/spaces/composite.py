# SPDX-License-Identifier: BSD-3-Clause
"""Spaces side by side in one row: two hemispheres, or grayordinates.

A row of a `CompositeSpace` is the rows of its members, one after the other. Its input, a
`CompositeSource`, holds one input for each member, by name. Places are neighbours only within a
member, so no cluster reaches from one member into another. A kind of data that is made of parts
inherits from `CompositeSpace`; its `join` says what its images are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import joblib
import numpy as np

from groupglm._core import Neighbours
from groupglm.errors import ArgumentError
from groupglm.runtime.scratch import ScratchFile
from groupglm.spaces.base import Part, RowStream, Space
from groupglm.spaces.checks import checked_keep, checked_rows
from groupglm.spaces.composite_source import CompositeSource
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.statistic import Statistic

__all__ = ["CompositeSpace", "load_composite"]

_MIXED = "places"  # the unit if the members have several units


@dataclass(frozen=True, eq=False)
class CompositeSpace(Space):
    """Spaces side by side.

    Parameters
    ----------
    members : mapping of str to Space
        By name, in the order of a row. Names are those of the inputs' members.
    """

    tag: ClassVar[str] = "composite"

    members: Mapping[str, Space]

    def join(self, images: Mapping[str, Any]) -> Any:
        """Make one image from the members' images by name; here a dict of them."""
        return dict(images)

    def files_of(self, out: Path) -> Mapping[str, Path]:
        """Name the file of each member of an image that the user calls `out`."""
        return {name: out.with_name(f"{name}_{out.name}") for name in self.members}

    @cached_property
    def _ends(self) -> list[int]:
        return [int(end) for end in np.cumsum([s.n_values for s in self.members.values()])]

    @property
    def _stretches(self) -> Iterator[tuple[str, Space, slice]]:
        """Yield each member with its name and its stretch of a row."""
        starts = [0, *self._ends]
        for number, (name, space) in enumerate(self.members.items()):
            yield name, space, slice(starts[number], self._ends[number])

    def _at(self, place: int) -> tuple[str, Space, int]:
        """Return the member that has a place, and the place's number in that member."""
        for name, space, own in self._stretches:
            if place < own.stop:
                return name, space, place - own.start
        raise IndexError(f"place {place} of {self.n_values}")

    @property
    def n_values(self) -> int:
        """Length of a row: the places of all members."""
        return self._ends[-1]

    @property
    def zero_is_missing(self) -> bool:
        """Whether exact zeros are missing values in some member."""
        return any(space.zero_is_missing for space in self.members.values())

    @property
    def resamples(self) -> bool:
        """Whether some member resamples its inputs."""
        return any(space.resamples for space in self.members.values())

    @property
    def mixes_places(self) -> bool:
        """Whether a value may come from several places of an input in some member."""
        return any(space.mixes_places for space in self.members.values())

    @property
    def preparation_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """What became of the preparation in each member."""
        found: dict[str, dict[str, Any]] = {}
        for space in self.members.values():
            for fact, own in space.preparation_facts.items():
                found.setdefault(fact, {}).update(own)
        return found

    @property
    def public_order(self) -> NDArray[np.intp] | None:
        """The order in which users see the values of each member, member by member."""
        orders = [space.public_order for space in self.members.values()]
        if all(order is None for order in orders):
            return None
        return np.concatenate(
            [
                own.start + (np.arange(space.n_values) if order is None else order)
                for order, (_, space, own) in zip(orders, self._stretches, strict=True)
            ]
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all members; a member of one part gives the part its name."""
        parts = []
        for name, space, own in self._stretches:
            for part in space.parts:
                called = name if len(space.parts) == 1 else f"{name} {part.name}"
                first, end = part.first + own.start, part.end + own.start
                parts.append(replace(part, name=called, first=first, end=end))
        return tuple(parts)

    @property
    def unit(self) -> str:
        """The unit of clusters, if all members have the same."""
        return _one({space.unit for space in self.members.values()})

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for places, if all members have the same."""
        words = {space.place_words for space in self.members.values()}
        return words.pop() if len(words) == 1 else super().place_words

    @property
    def measure_unit(self) -> str:
        """The unit of `measure`, if all members have the same; else the number of places."""
        return _one({space.measure_unit for space in self.members.values()})

    def reader_of(self, role: str) -> Self:
        """Return the members that read what lies beside an image."""
        members = {name: space.reader_of(role) for name, space in self.members.items()}
        return replace(self, members=members)

    def read_row(self, source: Any, out: NDArray[np.float32] | NDArray[np.float64]) -> Zeros | None:
        """Read the members' inputs into their stretches of a row."""
        found = [
            space.read_row(source.members[name], out[own]) for name, space, own in self._stretches
        ]
        if all(zeros is None for zeros in found):
            return None
        every = [
            Zeros.of(out[own]) if zeros is None else zeros
            for zeros, (_, _, own) in zip(found, self._stretches, strict=True)
        ]
        return Zeros(
            np.concatenate([zeros.places for zeros in every]),
            all(zeros.all_whole for zeros in every),
        )

    def read_stored(self, source: Any, out: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Read the members' inputs as they are stored."""
        for name, space, own in self._stretches:
            space.read_stored(source.members[name], out[own])

    def bytes_to_read(self, source: Any) -> int:
        """Return the bytes of the largest member: members are read one after the other."""
        return max(space.bytes_to_read(source.members[name]) for name, space, _ in self._stretches)

    def restrict(self, keep: NDArray[np.bool_]) -> Self:
        """Return the space of some places; a member that loses all its places is left out."""
        keep = checked_keep(keep, self.n_values)
        kept = {
            name: space.restrict(keep[own])
            for name, space, own in self._stretches
            if keep[own].any()
        }
        if not kept:
            raise ArgumentError.about(
                "mask_img", "the mask is empty: no place is inside", "give one that has places"
            )
        return replace(self, members=kept)

    def onto(self, other: Self) -> Self:
        """Move each member to the places of the member of the same name."""
        members = {name: space.onto(other.members[name]) for name, space, _ in self._stretches}
        return replace(self, members=members)

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the places of each member that are not background."""
        return np.concatenate(
            [
                space.background(
                    mean[own],
                    n_observations[own],
                    n_images=n_images,
                    min_observations=min_observations,
                )
                for _, space, own in self._stretches
            ]
        )

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn results into an image of each member, joined by `join`."""
        values = checked_rows(values, self.n_values)
        return self.join(
            {
                name: space.to_image(values[..., own], descrip, dtype=dtype, statistic=statistic)
                for name, space, own in self._stretches
            }
        )

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Make an image of rows that come one by one; in memory, or in one file a member."""
        if out is None:
            values = np.empty((n_rows, self.n_values))
            with closing(make_rows()) as rows:
                for number, row in enumerate(rows):
                    values[number] = row
            return self.to_image(values, descrip)
        # The rows can be asked for only once. They wait on disk for the members that are written
        # later.
        waiting = ScratchFile(n_rows, 8 * self.n_values)
        with closing(make_rows()) as rows:
            for number, row in enumerate(rows):
                waiting.write(number, np.asarray(row, np.float64))
        files = self.files_of(out)
        return self.join(
            {
                name: space.series_image(
                    partial(_stretch_of_rows, waiting, n_rows, own), n_rows, descrip, files[name]
                )
                for name, space, own in self._stretches
            }
        )

    @property
    def has_neighbours(self) -> bool:
        """Whether the places of all members may have neighbours."""
        return all(space.has_neighbours for space in self.members.values())

    def neighbours(self, connectivity: int) -> Neighbours:
        """Return the neighbours within each member."""
        return Neighbours.joined(
            [space.neighbours(connectivity) for space in self.members.values()]
        )

    def weights(self) -> NDArray[np.float64] | None:
        """Return the weights of all places; one for each place of a member without weights."""
        own = [space.weights() for space in self.members.values()]
        if all(weights is None for weights in own):
            return None
        return np.concatenate(
            [
                np.ones(space.n_values) if weights is None else weights
                for weights, space in zip(own, self.members.values(), strict=True)
            ]
        )

    def measure(self, places: NDArray[np.integer]) -> float:
        """Return the extent of some places: the sum over members, or a number if units differ."""
        if self.measure_unit == _MIXED:
            return float(len(places))
        return sum(space.measure(own) for _, space, own in self._within(places))

    def _within(self, places: NDArray[np.integer]) -> Iterator[tuple[str, Space, Any]]:
        """Yield the members that have some of the places, and these places' numbers there."""
        for name, space, own in self._stretches:
            inside = places[(places >= own.start) & (places < own.stop)]
            if len(inside):
                yield name, space, inside - own.start

    def coordinates(self, places: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return where places lie in mm, shape (n, 3)."""
        if places is None:
            return np.concatenate([space.coordinates() for space in self.members.values()])
        found = np.empty((len(places), 3))
        for _, space, own in self._stretches:
            inside = (places >= own.start) & (places < own.stop)
            found[inside] = space.coordinates(places[inside] - own.start)
        return found

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return the number of each place's member, and the place's layout in that member."""
        found = np.zeros((len(places), 1), np.int64)
        for number, (_, space, own) in enumerate(self._stretches):
            inside = (places >= own.start) & (places < own.stop)
            if not inside.any():
                continue
            layout = space.layout(places[inside] - own.start)
            missing = max(layout.shape[1] + 1 - found.shape[1], 0)
            # If one member has fractional coordinates, all coordinates are stored as fractions.
            found = np.pad(found, ((0, 0), (0, missing))).astype(np.result_type(found, layout))
            found[inside, 0] = number
            found[inside, 1 : layout.shape[1] + 1] = layout
        return found

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers of neighbours that some places have without a mask."""
        found = np.zeros(len(places), np.int64)
        for _, space, own in self._stretches:
            inside = (places >= own.start) & (places < own.stop)
            found[inside] = space.degrees(connectivity, places[inside] - own.start)
        return found

    def place_at(self, position: Sequence[float]) -> int | None:
        """Return the place that holds a position, in the first member that has such a place."""
        for _, space, own in self._stretches:
            place = space.place_at(position)
            if place is not None:
                return int(own.start) + place
        return None

    def describe_place(self, place: int) -> str:
        """Name a place as its member does, and say which member it is in."""
        name, space, own = self._at(place)
        return f"{space.describe_place(own)}, {name}"

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first places in each member."""
        return "; ".join(
            f"{space.name_places(own)} of {name}" for name, space, own in self._within(places)
        )

    def value_names(self) -> NDArray[np.object_]:
        """Return the name of each place, with its member before it."""
        return np.array(
            [f"{name}_{own}" for name, space, _ in self._stretches for own in space.value_names()],
            object,
        )

    def identity(self) -> str:
        """Return a text that is equal for composites whose members read equal rows."""
        identities = [(name, space.identity()) for name, space, _ in self._stretches]
        return str(joblib.hash(identities))

    def absent_source(self, name: str, saved_in: str) -> CompositeSource:
        """Return an input of which only the name is known."""
        members = {
            own: space.absent_source(f"{name} ({own})", saved_in)
            for own, space, _ in self._stretches
        }
        return CompositeSource(name, members)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the members, with their names and the tags of their kinds, in a form to store."""
        members, arrays = [], {}
        for number, (name, space, _) in enumerate(self._stretches):
            facts, own = space.stored()
            members.append({"name": name, "space": space.tag, "facts": facts})
            arrays.update({f"{number}/{key}": array for key, array in own.items()})
        return {"members": members}, arrays


def load_composite(
    facts: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    loaders: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], Space]],
) -> dict[str, Space]:
    """Make the members of a composite from what its `stored` returned.

    `loaders` has the function that makes a member of what its own `stored` returned, by the tags of
    the spaces that the composite may have.
    """
    members: dict[str, Space] = {}
    for number, own in enumerate(facts["members"]):
        name = own["name"]
        if not isinstance(name, str) or name in members:
            raise ValueError(f"its members are called {name!r} twice, or not by a text")
        beginning = f"{number}/"
        mine = {
            key.removeprefix(beginning): array
            for key, array in arrays.items()
            if key.startswith(beginning)
        }
        if own["space"] not in loaders:
            raise ValueError(f"its member {name!r} is of the kind {own['space']!r}")
        members[name] = loaders[own["space"]](own["facts"], mine)
    if not members:
        raise ValueError("it has no members")
    return members


def _stretch_of_rows(rows: ScratchFile, n_rows: int, own: slice) -> RowStream:
    """Yield the values of one member in each row."""
    for number in range(n_rows):
        values = np.empty(own.stop - own.start)
        rows.read(number, values, 8 * own.start)
        yield values


def _one(units: set[str]) -> str:
    return units.pop() if len(units) == 1 else _MIXED
