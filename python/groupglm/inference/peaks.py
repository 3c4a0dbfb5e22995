# SPDX-License-Identifier: BSD-3-Clause
"""Peaks and subpeaks of the clusters of a volume."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.labelling import label_clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Clusters", "Extreme", "Peaks", "extremes", "find_clusters", "to_mm"]


@dataclass(frozen=True)
class Extreme:
    """The strongest value of one sign.

    Attributes
    ----------
    value : float
        May be infinite.
    position : tuple of 3 floats
        In mm.
    """

    value: float
    position: tuple[float, float, float]


def extremes(
    volume: NDArray[np.floating], affine: NDArray[np.float64]
) -> tuple[Extreme | None, Extreme | None]:
    """Find the strongest positive and the strongest negative value of a map.

    Parameters
    ----------
    volume : array, shape (n_x, n_y, n_z)
        The map; NaN where there is none.
    affine : array, shape (4, 4)
        From voxels to mm.

    Returns
    -------
    positive, negative : Extreme or None
        None where no value has that sign; of equal ones the first.
    """
    found: list[Extreme | None] = []
    for sign in (1, -1):
        signed = np.where(np.isnan(volume), 0, sign * volume)
        value = float(signed.max())
        if value <= 0:
            found.append(None)
            continue
        at = np.flatnonzero(signed == value)
        # Connected voxels of one value are one place, their middle, as in a table of clusters.
        voxels, _, _ = _plateaus(signed, np.zeros(volume.shape, np.int32), at)
        x, y, z = to_mm(voxels[:1], affine)[0].tolist()
        found.append(Extreme(sign * value, (x, y, z)))
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of one tail of a map, the highest peak first.

    Attributes
    ----------
    labels : array of int32, shape (n_x, n_y, n_z)
        Zero outside, then 1 to k.
    sizes : array of int, shape (k,)
        Their numbers of voxels.
    peaks : list of Peaks
        Of each cluster.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]
    peaks: list[Peaks]


@dataclass(frozen=True, eq=False)
class Peaks:
    """The peak of a cluster, and after it its subpeaks.

    Attributes
    ----------
    voxels : array of int, shape (n, 3)
        Where they are.
    heights : array of float64, shape (n,)
        The statistic there, decreasing.
    """

    voxels: NDArray[np.int64]
    heights: NDArray[np.float64]


def find_clusters(
    volume: NDArray[np.float64],
    threshold: float,
    affine: NDArray[np.float64],
    *,
    min_distance: float,
    most: int,
) -> Clusters:
    """Find the clusters above a threshold, and their peaks.

    Parameters
    ----------
    volume : array of float64, shape (n_x, n_y, n_z)
        The map, in C order.
    threshold : float
        At least zero; a voxel is in a cluster if its value is larger.
    affine : array, shape (4, 4)
        From voxels to mm.
    min_distance : float
        How far apart two peaks must be, in mm.
    most : int
        Number of peaks and subpeaks to keep of a cluster.

    Returns
    -------
    Clusters
        In decreasing order of their largest value; equal ones in the order of their first voxel.
    """
    flat = np.flatnonzero(volume > threshold)
    # In C order the last axis varies fastest, which is the first one of the shape turned round.
    members, n_clusters = label_clusters(flat, volume.shape[::-1])
    labels = np.zeros(volume.shape, np.int32)
    labels.ravel()[flat] = members
    values = volume.ravel()[flat]
    largest = np.full(n_clusters + 1, -np.inf)
    smallest = np.full(n_clusters + 1, np.inf)
    np.maximum.at(largest, members, values)
    np.minimum.at(smallest, members, values)
    order = np.argsort(-largest[1:], kind="stable")
    rank = np.zeros(n_clusters + 1, np.int32)
    rank[order + 1] = np.arange(1, n_clusters + 1)
    # A cluster of one value has no peak but its middle, so all of it counts.
    is_flat = np.isclose(largest, smallest)[members] if n_clusters else np.zeros(0, np.bool_)
    is_peak = _local_maxima(volume, labels, flat, is_flat)
    voxels, peak_values, owners = _plateaus(volume, labels, flat[is_peak])
    grouped = _by_cluster(rank[owners], peak_values)
    peaks = [
        _spread(Peaks(voxels[part], peak_values[part]), affine, min_distance, most)
        for part in grouped
    ]
    sizes = np.bincount(members, minlength=n_clusters + 1)[1:][order]
    return Clusters(rank[labels], sizes, peaks)


def _local_maxima(
    volume: NDArray[np.float64],
    labels: NDArray[np.int32],
    flat: NDArray[np.intp],
    is_flat: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell which voxels no neighbour in their cluster exceeds.

    All 26 neighbours count. Inside a plateau, where all of them are equal, there is no peak
    (unless the whole cluster is one).
    """
    # One voxel around the grid saves asking at every voxel which neighbours it has.
    around = np.pad(labels, 1, constant_values=-1)
    heights = np.pad(volume, 1)
    here = np.ravel_multi_index(
        tuple(axis + 1 for axis in np.unravel_index(flat, volume.shape)), around.shape
    )
    label, height = around.ravel()[here], heights.ravel()[here]
    is_peak = np.ones(flat.size, np.bool_)
    on_plateau = ~is_flat
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step == (0, 0, 0):
            continue
        there = here + (step[0] * around.shape[1] + step[1]) * around.shape[2] + step[2]
        neighbour, other = around.ravel()[there], heights.ravel()[there]
        same = neighbour == label
        is_peak &= ~(same & (other > height))
        on_plateau &= (same & (other == height)) | (neighbour < 0)
    return is_peak & ~on_plateau


def _plateaus(
    volume: NDArray[np.float64], labels: NDArray[np.int32], flat: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]:
    """Make one peak of connected maxima: the voxel at their middle.

    Returns
    -------
    voxels : array of int, shape (n_peaks, 3)
        Where the peaks are, in the order of their first voxel.
    values : array of float64, shape (n_peaks,)
        Their values.
    owners : array of int32, shape (n_peaks,)
        Labels of their clusters.
    """
    plateau_of, n_peaks = label_clusters(flat, volume.shape[::-1])
    member = plateau_of - 1
    places = np.stack(np.unravel_index(flat, volume.shape), axis=1)
    height = volume.ravel()[flat]
    # Weighted by the (equal) values: a middle between two voxels then rounds as centres of mass do.
    mass = np.where(np.isinf(height), 1.0, height)
    weight = np.bincount(member, mass, n_peaks)
    middle = np.stack(
        [np.bincount(member, mass * axis, n_peaks) / weight for axis in places.T], axis=1
    )
    voxels = np.rint(middle).astype(np.int64)
    middle_at = np.ravel_multi_index(tuple(voxels.T), volume.shape)
    found = np.minimum(np.searchsorted(flat, middle_at), len(flat) - 1)
    inside = (flat[found] == middle_at) & (member[found] == np.arange(n_peaks))
    for peak in np.flatnonzero(~inside):
        own = places[member == peak]
        voxels[peak] = own[np.argmin(np.linalg.norm(own - voxels[peak], axis=1))]
    at = tuple(voxels.T)
    return voxels, volume[at], labels[at]


def _by_cluster(rank: NDArray[np.int32], values: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
    """Yield the places of each cluster's peaks, the highest first."""
    order = np.lexsort((-values, rank))
    ends = np.cumsum(np.bincount(rank)[1:])
    return (
        order[start:end]
        for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False)
    )


def _spread(peaks: Peaks, affine: NDArray[np.float64], min_distance: float, most: int) -> Peaks:
    """Keep the highest peak, then each that is far enough from the one kept before it."""
    if len(peaks.heights) == 1:
        return peaks
    places = to_mm(peaks.voxels, affine)
    kept = [0]
    while len(kept) < most:
        last = kept[-1]
        distances = np.linalg.norm(places[last + 1 :] - places[last], axis=1)
        far = np.flatnonzero(distances > min_distance)
        if far.size == 0:
            break
        kept.append(last + 1 + int(far[0]))
    return Peaks(peaks.voxels[kept], peaks.heights[kept])


def to_mm(voxels: NDArray[np.int64], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coordinates of voxels in mm, shape (n, 3)."""
    return np.asarray(voxels @ affine[:3, :3].T + affine[:3, 3])
