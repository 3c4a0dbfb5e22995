# SPDX-License-Identifier: BSD-3-Clause
"""Labels of some structures at the places of more of them, such as those of a cortex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.spaces.cifti.axes import VOXELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.cifti.space import CiftiSpace

__all__ = ["labels_of_structures"]


def labels_of_structures(
    row: NDArray[np.int32], everywhere: CiftiSpace, space: CiftiSpace
) -> NDArray[np.int32] | None:
    """Return the label of each place that the labels have, shape (n_values,); zero elsewhere.

    `everywhere` are the places of `row`. None if a surface that both have differs in its number of
    vertices, if their voxels have other grids, or if they have no place in common.
    """
    found = np.zeros(space.n_values, np.int32)
    own_first, other_first = _first_places(space), _first_places(everywhere)
    n_known = 0
    for name, member in space.members.items():
        if name not in everywhere.members:
            continue
        if not _have_one_frame(name, everywhere, space):
            return None
        known, wanted = _numbers(name, everywhere.members[name]), _numbers(name, member)
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        is_there = np.flatnonzero(known[at] == wanted)
        found[own_first[name] + is_there] = row[other_first[name] + at[is_there]]
        n_known += len(is_there)
    return found if n_known else None


def _numbers(name: str, member: Any) -> NDArray[np.int64]:
    """Return the vertices, or the voxels, of a member's places; they increase."""
    numbers: NDArray[np.int64] = member.indices if name == VOXELS else member.numbers()
    return numbers


def _first_places(space: CiftiSpace) -> dict[str, int]:
    counts = [member.n_values for member in space.members.values()]
    return dict(zip(space.members, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))


def _have_one_frame(name: str, one: CiftiSpace, other: CiftiSpace) -> bool:
    """Return whether a number names the same place in both."""
    if name != VOXELS:
        return one.axis.n_vertices[name] == other.axis.n_vertices[name]
    grids = (one.axis.grid, other.axis.grid)
    return grids[0] is not None and grids[1] is not None and not grids[0].difference(grids[1])
