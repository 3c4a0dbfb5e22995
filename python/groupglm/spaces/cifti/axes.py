# SPDX-License-Identifier: BSD-3-Clause
"""The places of a CIFTI matrix: vertices and voxels of structures of the brain, `BrainAxis`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["VOXELS", "BrainAxis", "BrainModel", "side_of"]

VOXELS = "subcortex"
"""The name of the member that has the voxels of all structures."""


def side_of(member: str) -> str:
    """Return the side of a member's structure; its name if it has no side.

    Examples
    --------
    >>> side_of("cortex_left"), side_of("cerebellum")
    ('left', 'cerebellum')
    """
    side = member.rpartition("_")[2]
    return side if side in ("left", "right") else member


@dataclass(frozen=True, eq=False)
class BrainModel:
    """One structure of the brain: a stretch of the values of each map.

    Parameters
    ----------
    structure : str
        Its name in the file, without ``CIFTI_STRUCTURE_``.
    first : int
        The place of its first value.
    indices : array of int, shape (n,)
        The vertices of its surface, or its voxels: flat indices whose first axis varies fastest.
    n_vertices : int or None
        Vertices of the surface; None of voxels.
    """

    structure: str
    first: int
    indices: NDArray[np.int64]
    n_vertices: int | None

    @property
    def member(self) -> str:
        """The name of the member of the space that has its places."""
        return VOXELS if self.n_vertices is None else self.structure.lower()

    @property
    def places(self) -> slice:
        """The positions of its values in a map."""
        return slice(self.first, self.first + len(self.indices))

    @property
    def words(self) -> str:
        """What it is, for messages."""
        if self.n_vertices is None:
            return f"{self.structure} with {counted(len(self.indices), 'voxel')}"
        return f"{self.structure} with {len(self.indices)} of {self.n_vertices} vertices"


@dataclass(frozen=True, eq=False)
class BrainAxis:
    """The structures of a file, one after the other.

    Parameters
    ----------
    models : tuple of BrainModel
        In the order of their values.
    grid : Grid or None
        That of the voxels.
    """

    models: tuple[BrainModel, ...]
    grid: Grid | None

    @property
    def n_places(self) -> int:
        """Number of values of a map."""
        return int(self.models[-1].places.stop)

    @property
    def extent(self) -> str:
        """How many places there are, in words."""
        return f"{self.n_places} grayordinates"

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names of the members of a space, in the order in which the file has them."""
        return tuple(dict.fromkeys(model.member for model in self.models))

    @cached_property
    def in_order(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The vertices or voxels of each member, increasing, and the positions of their values.

        Shapes: both (n,); the positions are those in a map of the file.
        """
        return {member: self._in_order(member) for member in self.members}

    def _in_order(self, member: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        models = [model for model in self.models if model.member == member]
        indices = np.concatenate([model.indices for model in models])
        positions = np.concatenate([np.arange(m.places.start, m.places.stop) for m in models])
        order = np.argsort(indices, kind="stable")
        return indices[order], positions[order]

    @property
    def n_vertices(self) -> dict[str, int]:
        """The number of vertices of the surface of each member that has one."""
        return {m.member: m.n_vertices for m in self.models if m.n_vertices is not None}

    def structures(self) -> NDArray[np.object_]:
        """Return the name of the structure of each value, shape (n_places,)."""
        names = np.empty(self.n_places, object)
        for model in self.models:
            names[model.places] = model.structure
        return names

    def difference(self, other: BrainAxis) -> str | None:
        """Say in words how the places differ from those of another axis; None if they do not."""
        if self is other:
            return None
        return (
            self._other_structures(other) or self._other_grid(other) or self._other_indices(other)
        )

    def _other_structures(self, other: BrainAxis) -> str | None:
        mine = {model.structure: model for model in self.models}
        theirs = {model.structure: model for model in other.models}
        for names, missing, has in ((mine, theirs, "it has"), (theirs, mine, "it has no")):
            extra = [model for name, model in names.items() if name not in missing]
            if extra:
                return f"{has} {extra[0].words}{_and_others(extra)}"
        for name, model in mine.items():
            if model.words != theirs[name].words:
                return f"it has {model.words}, not {theirs[name].words.removeprefix(f'{name} ')}"
        return None

    def _other_grid(self, other: BrainAxis) -> str | None:
        if self.grid is None or other.grid is None:
            return None
        difference = self.grid.difference(other.grid)
        return None if difference is None else f"the volume of its voxels: {difference}"

    def _other_indices(self, other: BrainAxis) -> str | None:
        theirs = {model.structure: model for model in other.models}
        in_same_order = True
        for place, model in enumerate(self.models):
            same = theirs[model.structure].indices
            if not np.array_equal(np.sort(model.indices), np.sort(same)):
                kind = "voxels" if model.n_vertices is None else "vertices"
                return f"it has other {kind} of {model.structure}"
            is_there = model.structure == other.models[place].structure
            in_same_order = in_same_order and is_there and np.array_equal(model.indices, same)
        return None if in_same_order else "it has the same places in another order"


def _and_others(models: list[BrainModel]) -> str:
    n_others = len(models) - 1
    return f" (and {counted(n_others, 'other structure')})" if n_others else ""
