# SPDX-License-Identifier: BSD-3-Clause
"""Connected places: the only module that decides how clusters are formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = [
    "keep_large_clusters",
    "label_clusters",
    "limits_clusters",
    "restricted",
]

_CONNECTIVITY = 6  # voxels that share a face, as in nilearn


def restricted(space: Space, members: NDArray[np.intp]) -> Space:
    """Return the space of some of the places; there must be at least one."""
    keep = np.zeros(space.n_values, np.bool_)
    keep[members] = True
    return space.restrict(keep)


def limits_clusters(space: Space, smallest: float | NDArray[np.float64]) -> bool:
    """Return whether a cluster can be too small: a single place counts one, or its weight."""
    return bool(np.max(smallest) > (1 if space.weights() is None else 0))


def label_clusters(
    space: Space, members: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.int64] | NDArray[np.float64]]:
    """Label the clusters that some places of a space form.

    Shapes: `members` (n,); returns `labels` (n,), `sizes` (k,).

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.spaces.volume import Grid
    >>> from groupglm.spaces.volume.space import VolumeSpace
    >>> labels, sizes = label_clusters(VolumeSpace(Grid((4, 1, 1), np.eye(4))), np.array([0, 2, 3]))
    >>> labels.tolist(), sizes.tolist()
    ([1, 2, 2], [1, 2])
    """
    if len(members) == 0:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    own = restricted(space, members)
    ones, neighbours = np.ones(len(members), np.float32), own.neighbours(_CONNECTIVITY)
    return _core.label_clusters(ones, neighbours, 0.0, False, own.weights())[:2]


def keep_large_clusters(
    row: NDArray[np.float64], space: Space, smallest: float | NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Set to zero the clusters of either sign that are too small.

    Shapes: `row` (n_values,); `smallest` () or (n_values,), the same for all of a part.
    """
    kept = row.copy()
    largest = 0.0
    least = np.broadcast_to(smallest, row.shape)
    for inside in (row > 0, row < 0):
        members = np.flatnonzero(inside)
        labels, sizes = label_clusters(space, members)
        kept[members[sizes[labels - 1] < least[members]]] = 0
        largest = max(largest, float(sizes.max(initial=0)))
    return kept, largest
