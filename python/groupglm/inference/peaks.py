# SPDX-License-Identifier: BSD-3-Clause
"""The clusters of a row of values, with their peaks and subpeaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core
from groupglm.inference.labelling import label_clusters, restricted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["Clusters", "Extreme", "Peaks", "extremes", "find_clusters"]

_AROUND = 26  # a peak exceeds every voxel that shares a face, an edge or a corner with it
_DIGITS = 6  # digits of a distance, in mm or in steps of a lattice


@dataclass(frozen=True)
class Extreme:
    """The strongest value of one sign.

    Attributes
    ----------
    value : float
        May be infinite.
    place : int
        Its place in the row.
    position : tuple of 3 floats
        Its position in mm.
    where : str
        The position in words.
    """

    value: float
    place: int
    position: tuple[float, float, float]
    where: str


def extremes(space: Space, row: NDArray[np.floating]) -> tuple[Extreme | None, Extreme | None]:
    """Find the strongest positive and the strongest negative value of a map.

    Shapes: `row` (n_values,).
    """
    found: list[Extreme | None] = []
    for sign in (1, -1):
        signed = np.where(np.isnan(row), 0, sign * row)
        value = float(signed.max())
        if value <= 0:
            found.append(None)
            continue
        at = np.flatnonzero(signed == value)
        # Connected places of equal value are one peak at their middle, as in a table of clusters.
        # One place alone needs no neighbours, which surfaces without their mesh do not know.
        place = int(at[0] if len(at) == 1 else at[_middles(space, at, signed[at])[0]])
        x, y, z = space.coordinates(np.array([place]))[0].tolist()
        found.append(Extreme(sign * value, place, (x, y, z), space.describe_place(place)))
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of one tail of a map, the highest peak first.

    Attributes
    ----------
    labels : array of int32, shape (n_values,)
        Zero outside, then 1 to k.
    sizes : array, shape (k,)
        Number of places of each cluster, or the sum of their weights.
    measures : list of k floats
        Their extents in the space's `measure_unit`.
    counts : array of int, shape (k,)
        Number of places of each cluster.
    peaks : list of k Peaks
        The peaks of each cluster that a table lists.
    maxima : array of float64, shape (m,)
        The statistic at all peaks of all clusters.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64] | NDArray[np.float64]
    measures: list[float]
    counts: NDArray[np.intp]
    peaks: list[Peaks]
    maxima: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Peaks:
    """The peak of a cluster, and after it its subpeaks.

    Attributes
    ----------
    places : array of int, shape (n,)
        Their places in the row.
    heights : array of float64, shape (n,)
        The statistic at these places, decreasing.
    """

    places: NDArray[np.intp]
    heights: NDArray[np.float64]


def find_clusters(
    space: Space, row: NDArray[np.float64], threshold: float, *, min_distance: float, most: int
) -> Clusters:
    """Find the clusters above a threshold, and their peaks.

    Shapes: `row` (n_values,).
    """
    labels = np.zeros(space.n_values, np.int32)
    members = np.flatnonzero(row > threshold)
    if members.size == 0:
        return Clusters(labels, np.zeros(0, np.int64), [], np.zeros(0, np.intp), [], np.zeros(0))
    heights = row[members]
    found, sizes = label_clusters(space, members)
    owner = found - 1
    largest = np.full(len(sizes), -np.inf)
    smallest = np.full(len(sizes), np.inf)
    np.maximum.at(largest, owner, heights)
    np.minimum.at(smallest, owner, heights)
    order = np.lexsort((_first_listed(space.layout(members), owner, len(sizes)), -largest))
    rank = np.empty(len(sizes), np.int32)
    rank[order] = np.arange(len(sizes))
    owner = rank[owner]
    labels[members] = owner + 1
    # A cluster of one value has its peak at its middle, so that all of its places count.
    is_flat = np.isclose(largest, smallest)[order]
    at = _local_maxima(space, members, owner, heights, is_flat[owner])
    at = at[_middles(space, members[at], heights[at])]
    places, peak_heights = members[at], heights[at]
    return Clusters(
        labels,
        sizes[order],
        [space.measure(part) for part in _by_cluster(owner, members)],
        np.bincount(owner),
        [
            _spread(space, Peaks(places[part], peak_heights[part]), min_distance, most)
            for part in _by_cluster(owner[at], np.arange(len(at)), -peak_heights)
        ],
        peak_heights,
    )


def _listing(layout: NDArray[np.number]) -> NDArray[np.intp]:
    """Return the order in which equally strong places are listed: by their layout's columns."""
    return np.lexsort(layout.T[::-1])


def _first_listed(
    layout: NDArray[np.number], owner: NDArray[np.int32], n_clusters: int
) -> NDArray[np.intp]:
    """Return the rank in the list of the first place of each cluster."""
    order = _listing(layout)
    first = np.full(n_clusters, len(order))
    np.minimum.at(first, owner[order], np.arange(len(order)))
    return first


def _local_maxima(
    space: Space,
    members: NDArray[np.intp],
    owner: NDArray[np.int32],
    heights: NDArray[np.float64],
    is_flat: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return the places that no neighbour in their cluster exceeds.

    A place inside a plateau, whose neighbours are all in the cluster and equal to it, is not a
    peak, unless the whole cluster is one plateau. `members` are the places in clusters.
    """
    graph = restricted(space, members).neighbours(_AROUND)
    n_equal = _core.local_maxima(heights, owner, graph, 1)
    maxima = np.flatnonzero(n_equal >= 0)
    # At the edge of a plateau, some neighbours in the grid are lower or not in the cluster.
    at_edge = n_equal[maxima] < space.degrees(_AROUND, members[maxima])
    return maxima[is_flat[maxima] | at_edge]


def _middles(space: Space, at: NDArray[np.intp], heights: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return, for each set of connected maxima, the one at their middle, as their only peak.

    `at` are the maxima, as places in the row, and `heights` their values. The middles come in the
    order in which the first maximum of each set is listed.
    """
    order = _listing(space.layout(at))
    if not space.has_neighbours:
        return order
    layout, mass = space.middle_layout(at)[order], heights[order]
    labels, sizes = label_clusters(space, at)
    labels, n_plateaus = labels[order] - 1, len(sizes)
    first = np.full(n_plateaus, len(at))
    np.minimum.at(first, labels, np.arange(len(at)))
    rank = np.empty(n_plateaus, np.intp)
    rank[np.argsort(first)] = np.arange(n_plateaus)
    plateau = rank[labels]
    # Weighted by the (equal) values, so that a middle between two voxels rounds as a centre of
    # mass.
    mass = np.where(np.isinf(mass), 1.0, mass)
    total = np.bincount(plateau, mass, n_plateaus)
    middle = np.stack(
        [np.bincount(plateau, mass * axis, n_plateaus) / total for axis in layout.T], axis=1
    )
    if np.issubdtype(layout.dtype, np.integer):
        middle = np.rint(middle)
    # Two places are equally far from their middle, except for rounding.
    distance = np.round(np.linalg.norm(layout - middle[plateau], axis=1), _DIGITS)
    nearest = np.lexsort((distance, plateau))
    starts = np.searchsorted(plateau[nearest], np.arange(n_plateaus))
    return order[nearest[starts]]


def _by_cluster(
    owner: NDArray[np.int32], items: NDArray[np.intp], key: NDArray[np.float64] | None = None
) -> Iterator[NDArray[np.intp]]:
    """Yield the items of each cluster, in the order of a key if there is one."""
    order = np.argsort(owner, kind="stable") if key is None else np.lexsort((key, owner))
    ends = np.cumsum(np.bincount(owner)).tolist()
    return (items[order[first:end]] for first, end in zip([0, *ends[:-1]], ends, strict=True))


def _spread(space: Space, peaks: Peaks, min_distance: float, most: int) -> Peaks:
    """Keep the highest peak, then each next peak that is far enough from the last one kept."""
    if len(peaks.heights) == 1:
        return peaks
    kept = [0]
    while len(kept) < most and kept[-1] + 1 < len(peaks.places):
        last = kept[-1]
        distances = space.distances_from(
            int(peaks.places[last]), peaks.places[last + 1 :], min_distance
        )
        far = np.flatnonzero(distances > min_distance)
        if far.size == 0:
            break
        kept.append(last + 1 + int(far[0]))
    return Peaks(peaks.places[kept], peaks.heights[kept])
