# SPDX-License-Identifier: BSD-3-Clause
"""Spaces side by side in one row: two hemispheres, or grayordinates.

A row of a `CompositeSpace` is the rows of its members, one after the other. Its input, a
`CompositeSource`, holds one input for each member, by name. Places are neighbours only within a
member, so no cluster reaches from one member into another. A kind of data that is made of parts
inherits from `CompositeSpace`; its `join` says what its images are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import joblib
import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.scratch import ScratchFile
from groupglm.spaces.base import RowStream, Space
from groupglm.spaces.checks import checked_keep, checked_rows
from groupglm.spaces.composite_places import CompositePlaces
from groupglm.spaces.composite_source import CompositeSource
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.statistic import Statistic

__all__ = ["CompositeSpace", "load_composite"]


@dataclass(frozen=True, eq=False)
class CompositeSpace(CompositePlaces, Space):
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

    def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
        """Return the names of the members' inputs that have some of the places."""
        members = getattr(source, "members", {})
        return " and ".join(
            dict.fromkeys(
                members[name].name if name in members else source.name
                for name, _, own in self._stretches
                if inside[own].any()
            )
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
