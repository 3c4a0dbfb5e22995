# SPDX-License-Identifier: BSD-3-Clause
"""The boundary of the set where a map is at least zero, between neighbouring places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["Boundary", "boundary_of", "edges_of"]

_FACES = 6  # voxels that share a face are neighbours, as in Bowring et al. (2019)


@dataclass(frozen=True, eq=False)
class Boundary:
    """Points on edges between places, at which the linear interpolation of a map is zero.

    Attributes
    ----------
    places : array of int, shape (n_places,)
        The ends of the edges, in increasing order.
    ends : array of int, shape (2, n_points)
        The two ends of each edge, as numbers in `places`.
    share : array, shape (n_points,)
        How far from the first end to the second a point lies, from 0 to 1.
    """

    places: NDArray[np.int64]
    ends: NDArray[np.int64]
    share: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.share)

    def interpolated(self, rows: NDArray[np.floating], points: slice) -> NDArray[np.float64]:
        """Return rows of values, shape (n_rows, n_places), at some points.

        NaN at one end is NaN at the point.
        """
        (one, other), share = self.ends[:, points], self.share[points]
        found: NDArray[np.float64] = rows[:, one] * (1 - share) + rows[:, other] * share
        return found


def edges_of(space: Space) -> NDArray[np.int32]:
    """Return each pair of neighbours once, shape (2, n); refuse places that have none."""
    try:
        neighbours = space.neighbours(_FACES)
    except ArgumentError as error:
        if error.argument == "surfaces":  # a surface without its mesh says so itself
            raise
        _, many = space.place_words
        raise ArgumentError.about(
            "images",
            f"{many} have no neighbours, so that there is no boundary between those that have the "
            "effect and those that have not",
            "take the interval of each, 'ci_low' and 'ci_high'",
        ) from None
    starts, places = neighbours.adjacency()
    own = np.repeat(np.arange(space.n_values, dtype=np.int32), np.diff(starts))
    once = own < places
    return np.stack([own[once], places[once]])


def boundary_of(excess: NDArray[np.float64], edges: NDArray[np.int32]) -> Boundary:
    """Find where a map passes zero.

    Parameters
    ----------
    excess : array, shape (n_values,)
        The map; edges to NaN do not count.
    edges : array of int32, shape (2, n_edges)
        The two places of each edge.

    Examples
    --------
    >>> line = np.array([[0, 1, 2], [1, 2, 3]], np.int32)
    >>> boundary = boundary_of(np.array([-3.0, -1.0, 3.0, np.nan]), line)
    >>> boundary.places.tolist(), boundary.share.tolist()
    ([1, 2], [0.25])
    """
    one, other = excess[edges]
    passes = ((one >= 0) != (other >= 0)) & np.isfinite(one) & np.isfinite(other)
    crossing = edges[:, passes].astype(np.int64)
    places, ends = np.unique(crossing, return_inverse=True)
    one, other = one[passes], other[passes]
    # Halves, so that the difference of huge values is finite.
    share = 0.5 * one / (0.5 * one - 0.5 * other)
    return Boundary(places, ends.reshape(crossing.shape), share)
