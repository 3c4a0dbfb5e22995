# SPDX-License-Identifier: BSD-3-Clause
"""The places of regions that a user gives, as a sparse matrix: `Regions`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.atlases.atlas import Atlas
from groupglm.atlases.finding import as_atlas
from groupglm.atlases.sphere import as_sphere, is_sphere, places_of_sphere
from groupglm.errors import ArgumentError, renamed, warn_caller
from groupglm.runtime.naming import counted, listed
from groupglm.spaces.label_images import open_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["Regions", "places_of_regions"]

_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of a space; they may overlap.

    Attributes
    ----------
    names : list of str
        Their names.
    places : array of int, shape (n,)
        The places of each region, one region after the other.
    starts : array of int, shape (n_regions + 1,)
        Where the places of each region begin.
    """

    names: list[str]
    places: NDArray[np.intp]
    starts: NDArray[np.intp]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many places each region has."""
        return np.diff(self.starts)

    def within(self, inside: NDArray[np.bool_]) -> Regions:
        """Return the same regions in the numbering of some places, which hold all of theirs."""
        numbers = np.cumsum(inside) - 1
        return Regions(self.names, numbers[self.places], self.starts)


def places_of_regions(given: Any, space: Space, name: str) -> Regions:
    """Find the places of regions; refuse regions none of which has a place.

    Raises
    ------
    ValueError
        If they are of no known form, or lie elsewhere.
    """
    found = _named(given, space, name)
    if not found:
        raise ArgumentError("regions", "empty", remedy="give at least one region")
    empty = [own for own, places in found.items() if not len(places)]
    one, _ = space.place_words
    if len(empty) == len(found):
        raise ArgumentError.about(
            "regions",
            f"no region holds a {one} of {name}: they lie outside the mask",
            "give regions inside it",
        )
    if empty:
        verb = "holds" if len(empty) == 1 else "hold"
        warn_caller(
            f"{counted(len(empty), 'region')} {verb} no {one} of {name}, because of its mask, and "
            f"{'is' if len(empty) == 1 else 'are'} left out: {listed(empty, _MOST_NAMED)}"
        )
    kept = {own: places for own, places in found.items() if len(places)}
    starts = np.cumsum([0, *(len(places) for places in kept.values())])
    return Regions(list(kept), np.concatenate(list(kept.values())), starts.astype(np.intp))


def _named(given: Any, space: Space, name: str) -> dict[str, NDArray[np.intp]]:
    """Return the places of each region, by its name."""
    if is_sphere(given):
        given = [given]
    if isinstance(given, Mapping) and not _are_hemispheres(given):
        return {str(own): _places(one, str(own), space, name) for own, one in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, str) and _are_spheres(given):
        spheres = [as_sphere(own, "regions") for own in given]
        if len({own.words for own in spheres}) < len(spheres):
            raise ArgumentError("regions", "a sphere given twice", remedy="give each once", verb="")
        return {own.words: places_of_sphere(own, space, "regions", name) for own in spheres}
    atlas = as_atlas(given, "regions")
    labels = atlas.at(space, name)
    names = dict(atlas.names)
    if len(names) == 1 and all(own == str(number) for number, own in names.items()):
        names = dict.fromkeys(names, _stem(atlas))  # a mask, which needs no number
    members = np.flatnonzero(labels)
    order = members[np.argsort(labels[members], kind="stable")]
    numbers = np.array(sorted(names))
    ends = np.searchsorted(labels[order], numbers, side="right")
    begins = np.searchsorted(labels[order], numbers, side="left")
    return {
        names[number]: order[begin:end]
        for number, begin, end in zip(numbers.tolist(), begins, ends, strict=True)
    }


def _are_hemispheres(given: Mapping[Any, Any]) -> bool:
    """Return whether a mapping is one atlas in two files; regions may be called left and right."""
    of_regions = any(is_sphere(own) or isinstance(own, Atlas) for own in given.values())
    return bool(given) and set(given) <= {"left", "right"} and not of_regions


def _are_spheres(given: Sequence[Any]) -> bool:
    return len(given) > 0 and all(is_sphere(own) for own in given)


def _places(given: Any, own: str, space: Space, name: str) -> NDArray[np.intp]:
    """Return the places of one region: of a sphere, or of a mask."""
    argument = f"regions[{own!r}]"
    if is_sphere(given):
        return places_of_sphere(as_sphere(given, argument), space, argument, name)
    if isinstance(given, Atlas):
        return np.flatnonzero(given.at(space, name))
    with renamed(image=argument):
        return np.flatnonzero(open_labels(given, argument, own_names=False).at(space, name))


def _stem(atlas: Atlas) -> str:
    return os.path.basename(atlas.name).partition(".")[0]  # noqa: PTH119
