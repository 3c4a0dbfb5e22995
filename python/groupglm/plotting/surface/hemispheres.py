# SPDX-License-Identifier: BSD-3-Clause
"""The hemispheres of a space that can be drawn: `Hemisphere`, `hemispheres_of`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from groupglm.plotting.surface.relief import Relief
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.hemisphere import HemisphereSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["Hemisphere", "hemispheres_of", "members_of"]


@dataclass(frozen=True, eq=False)
class Hemisphere:
    """A hemisphere that can be drawn.

    Parameters
    ----------
    space : HemisphereSpace
        Its vertices, with a mesh.
    own : slice
        Their values in a row.
    """

    space: HemisphereSpace
    own: slice

    @property
    def side(self) -> str:
        """``left`` or ``right``."""
        return self.space.side

    @property
    def mesh(self) -> Mesh:
        """The mesh."""
        return cast("Mesh", self.space.mesh)

    @cached_property
    def relief(self) -> Relief:
        """The shape of the mesh."""
        return Relief(self.mesh)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether a row has each vertex, shape (n_vertices,)."""
        found = np.zeros(self.space.n_vertices, np.bool_)
        found[self.space.numbers()] = True
        return found

    def spread(self, row: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of a row at all vertices, shape (n_vertices,); NaN at the others."""
        found = np.full(self.space.n_vertices, np.nan)
        found[self.space.numbers()] = row[self.own]
        return found


def members_of(space: Space, first: int = 0) -> Iterator[tuple[Space, slice]]:
    """Yield each space that lies side by side with others in a row, and its values in the row."""
    if not isinstance(space, CompositeSpace):
        yield space, slice(first, first + space.n_values)
        return
    for member in space.members.values():
        yield from members_of(member, first)
        first += member.n_values


def hemispheres_of(space: Space) -> list[Hemisphere]:
    """Return the hemispheres of a space that have a mesh, the left one first."""
    found = [
        Hemisphere(member, own)
        for member, own in members_of(space)
        if isinstance(member, HemisphereSpace)
        and member.side in ("left", "right")
        and member.mesh is not None
    ]
    return sorted(found, key=lambda one: one.side)
