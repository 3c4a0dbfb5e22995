# SPDX-License-Identifier: BSD-3-Clause
"""The places of several spaces side by side in one row: `CompositePlaces`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm._core import Neighbours
from groupglm.spaces.cells import moved
from groupglm.spaces.part import Part
from groupglm.spaces.places import Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.cells import Cells

__all__ = ["CompositePlaces"]

_MIXED = "places"  # the unit if the members have several units


class CompositePlaces(Places):
    """The places of the members of a composite, one member after the other."""

    members: Mapping[str, Space]

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

    @property
    def has_neighbours(self) -> bool:
        """Whether the places of all members may have neighbours."""
        return all(space.has_neighbours for space in self.members.values())

    def neighbours(self, connectivity: int) -> Neighbours:
        """Return the neighbours within each member."""
        return Neighbours.joined(
            [space.neighbours(connectivity) for space in self.members.values()]
        )

    def cells(self) -> tuple[Cells, ...]:
        """Return the cells of all members; none if one has none."""
        found: list[Cells] = []
        parts = iter(self.parts)
        for _, space, own in self._stretches:
            members = space.cells()
            if not members:
                return ()
            found += [moved(cells, int(own.start), next(parts)) for cells in members]
        return tuple(found)

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

    def _positions_within(
        self, places: NDArray[np.integer]
    ) -> Iterator[tuple[int, NDArray[np.bool_], Space, Any]]:
        """Yield, besides what `_within` does, a member's number and which places it has."""
        for number, (_, space, own) in enumerate(self._stretches):
            inside = (places >= own.start) & (places < own.stop)
            if inside.any():
                yield number, inside, space, places[inside] - own.start

    def coordinates(self, places: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return where places lie in mm, shape (n, 3)."""
        if places is None:
            return np.concatenate([space.coordinates() for space in self.members.values()])
        found = np.empty((len(places), 3))
        for _, inside, space, own in self._positions_within(places):
            found[inside] = space.coordinates(own)
        return found

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return the number of each place's member, and the place's layout in that member."""
        return self._layouts(places, lambda space, own: space.layout(own))

    def middle_layout(self, places: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return the number of each place's member, and the place's `middle_layout` there."""
        return self._layouts(places, lambda space, own: space.middle_layout(own))

    def _layouts(
        self, places: NDArray[np.integer], layout_of: Callable[[Space, Any], NDArray[Any]]
    ) -> NDArray[np.int64] | NDArray[np.float64]:
        found = np.zeros((len(places), 1), np.int64)
        for number, inside, space, own in self._positions_within(places):
            layout = layout_of(space, own)
            missing = max(layout.shape[1] + 1 - found.shape[1], 0)
            # If one member has fractional coordinates, all coordinates are stored as fractions.
            found = np.pad(found, ((0, 0), (0, missing))).astype(np.result_type(found, layout))
            found[inside, 0] = number
            found[inside, 1 : layout.shape[1] + 1] = layout
        return found

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers of neighbours that some places have without a mask."""
        found = np.zeros(len(places), np.int64)
        for _, inside, space, own in self._positions_within(places):
            found[inside] = space.degrees(connectivity, own)
        return found

    def distances_from(
        self, place: int, places: NDArray[np.integer], limit: float
    ) -> NDArray[np.float64]:
        """Return the distances of some places from one, as its member does; no path leaves it."""
        _, member, at = self._at(place)
        found = np.full(len(places), np.inf)
        for _, inside, space, own in self._positions_within(places):
            if space is member:
                found[inside] = member.distances_from(at, own, limit)
        return found

    def ball(self, centre: Sequence[float], radius: float) -> tuple[NDArray[np.intp], float]:
        """Return what the member of the nearest place finds: no ball reaches into another.

        A member that has no place in the ball does not count: the vertices of a medial wall, which
        is outside the mask, lie beside the voxels of other structures.
        """
        found, nearest = np.zeros(0, np.intp), np.inf
        for _, space, own in self._stretches:
            places, distance = space.ball(centre, radius)
            if (not len(places), distance) < (not len(found), nearest):
                found, nearest = places + int(own.start), distance
        return found, nearest

    def structure(self, places: NDArray[np.integer]) -> NDArray[np.object_] | None:
        """Return the structures that the members name; where one names none, the member's name."""
        nowhere = np.zeros(0, np.intp)
        if all(space.structure(nowhere) is None for space in self.members.values()):
            return None
        names, found = list(self.members), np.empty(len(places), object)
        for number, inside, space, own in self._positions_within(places):
            named = space.structure(own)
            found[inside] = names[number] if named is None else named
        return found

    def vertex_numbers(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers that some places have on the surfaces of their members."""
        found = np.full(len(places), -1)
        for _, inside, space, own in self._positions_within(places):
            found[inside] = space.vertex_numbers(own)
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


def _one(units: set[str]) -> str:
    return units.pop() if len(units) == 1 else _MIXED
