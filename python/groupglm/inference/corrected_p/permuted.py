# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a permutation test: corrected p by what was tested, and the test's own clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.inference.corrected_p.names import PREFIX
from groupglm.inference.found_clusters import main_rows
from groupglm.messages import argument
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.spaces.base import Space

    Floats = NDArray[np.float64]

__all__ = ["PermutedMaps", "maps_by_kind", "read_permuted_row"]

_SAME_SIZE = 1e-5
"""Sizes in images are float32, whose relative precision is 6e-8; those of areas are sums."""


def maps_by_kind(images: Any) -> dict[str, Any]:
    """Return maps of corrected p by what they are of: "voxel", "size", "mass", "tfce".

    `images` is what `groupglm.non_parametric_inference` returns: a mapping, or the one map of
    voxels.
    """
    if not isinstance(images, Mapping):
        return {"voxel": images}
    names = [str(name) for name in images if str(name).startswith(PREFIX)]
    return {_kind(name): images[name] for name in names}


def _kind(name: str) -> str:
    own = name.removeprefix(PREFIX)
    return "voxel" if own in ("t", "F") else own


def read_permuted_row(image: Any, space: Space, name: str) -> Floats:
    """Return the values of a map of a permutation test in a space; NaN where nothing was tested."""
    source, _ = kind_of(image).open_map(image, name)
    difference = source.difference(space)
    if difference is not None:
        raise GridMismatchError(
            f"{name} is not on the {space.placement_word} of the fit: {difference}; give the test "
            "of the same images"
        )
    row = np.empty(space.n_values, dtype=np.float64)
    space.read_stored(source, row)
    return row


@dataclass(frozen=True, eq=False)
class PermutedMaps:
    """The rows of a permutation test's maps.

    Attributes
    ----------
    logp : dict of str to array, shape (n_values,)
        -log10 of corrected p, by the tested quantity.
    sizes : array, shape (n_values,), or None
        The size of each place's cluster in the test, zero outside; None if it is not known.
    """

    logp: dict[str, Floats]
    sizes: Floats | None

    @classmethod
    def read(cls, images: Any, space: Space) -> PermutedMaps:
        """Read the maps; refuse images that hold no corrected p."""
        maps = maps_by_kind(images)
        if not maps:
            raise ArgumentError(
                "permutations",
                "no map of corrected p-values",
                remedy=f"give the {PREFIX}... maps that non_parametric_inference returns",
                verb="has",
            )

        def row(image: Any, what: str) -> Floats:
            return read_permuted_row(image, space, f"the permutation's map of {what}")

        own = images["size"] if isinstance(images, Mapping) and "size" in images else None
        return cls(
            {kind: row(image, kind) for kind, image in maps.items()},
            None if own is None else np.nan_to_num(row(own, "sizes")),
        )

    @property
    def tests_clusters(self) -> bool:
        """Whether clusters were tested."""
        return "size" in self.logp or "mass" in self.logp

    @property
    def members(self) -> NDArray[np.bool_] | None:
        """Which places are in clusters of the test, shape (n_values,); None if not known."""
        return None if self.sizes is None else self.sizes > 0

    def places_below(self, alpha: float) -> NDArray[np.bool_]:
        """Return which places have a corrected p below a level, shape (n_values,)."""
        limit = -np.log10(alpha)
        below = np.zeros(len(next(iter(self.logp.values()))), np.bool_)
        for logp in self.logp.values():
            below |= logp > limit
        return below

    def check_same_clusters(self, found: FoundClusters) -> None:
        """Refuse clusters that are not those which the test formed, and whose p it has not."""
        if not self.tests_clusters or not len(found.table) or found.find_all is None:
            return
        places = found.places[main_rows(found.table)]
        every = found.find_all()
        own = every.labels[places]
        alike = np.ones(len(places), np.bool_)
        if self.sizes is not None:
            wanted = every.sizes[own - 1]
            alike = np.abs(self.sizes[places] - wanted) <= _SAME_SIZE * wanted
        for kind in ("size", "mass"):
            if kind in self.logp:
                alike &= _is_constant(self.logp[kind], every.labels)[own]
        if alike.all():
            return
        where = found.space.describe_place(int(places[~alike][0]))
        raise ArgumentError.about(
            "permutations",
            f"the cluster of {where} is not one of those that the permutation test formed",
            "leave out "
            + argument("stat_threshold")
            + " for the clusters of the test (of connectivity 6), and list the tails that it "
            "tested",
        )


def _is_constant(values: Floats, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether all places of each cluster have one value, by its number."""
    members = np.flatnonzero(labels)
    least, most = np.full(labels.max() + 1, np.inf), np.full(labels.max() + 1, -np.inf)
    np.minimum.at(least, labels[members], values[members])
    np.maximum.at(most, labels[members], values[members])
    return np.isnan(most) | (most - least <= _SAME_SIZE * np.abs(most))
