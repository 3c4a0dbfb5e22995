# SPDX-License-Identifier: BSD-3-Clause
"""A mask as runs of consecutive voxels, a small form for sending and storing it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["places_in", "runs_of"]


def runs_of(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return increasing places as runs.

    Shapes: `places` (n,); returns (n_runs, 2).

    Examples
    --------
    >>> import numpy as np
    >>> runs_of(np.array([2, 3, 4, 7]))
    array([[2, 3],
           [7, 1]])
    """
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    lengths = np.diff(starts, append=len(places))
    return np.stack([places[starts], lengths], axis=1)


def places_in(runs: NDArray[np.int64], n_voxels: int) -> NDArray[np.int64]:
    """Return the places of runs.

    Shapes: `runs` (n_runs, 2); returns (n,).
    """
    first, lengths = runs[:, 0], runs[:, 1]
    ends = first + lengths
    inside = len(runs) > 0 and first[0] >= 0 and ends[-1] <= n_voxels
    if not inside or (lengths < 1).any() or (first[1:] < ends[:-1]).any():
        raise ValueError("the runs of a mask must increase and be within the grid")
    before = np.cumsum(lengths) - lengths
    places: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(first - before, lengths)
    return places
