# SPDX-License-Identifier: BSD-3-Clause
"""Clusters and threshold-free cluster enhancement: slow, obvious, by scipy's labels.

A weight is what a place counts for in the extent of a cluster; without weights, one.

Volumes are 3-D arrays of doubles; what is NaN is outside the mask. Places are numbered in Fortran
order, which is the C order of the transposed volume: hence the transposes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]
    Graph = sparse.csr_array[Any, Any]

RANK = {6: 1, 18: 2, 26: 3}


def label(inside: npt.NDArray[np.bool_], connectivity: int) -> IntArray:
    """Number the connected parts from 1, in Fortran order of their first voxel; 0 outside."""
    structure = ndimage.generate_binary_structure(3, RANK[connectivity])
    labelled: Any = ndimage.label(inside.T, structure)
    return np.asarray(labelled[0], dtype=np.int64).T


def clusters(
    volume: FloatArray,
    threshold: float,
    connectivity: int,
    *,
    two_sided: bool,
    weights: FloatArray | None = None,
) -> tuple[IntArray, FloatArray, FloatArray, int]:
    """Labels (of the volume's shape), sizes, masses, and how many of the clusters are positive."""
    values = np.nan_to_num(volume)
    labels = label(values > threshold, connectivity)
    n_positive = int(labels.max(initial=0))
    if two_sided:
        negative = label(-values > threshold, connectivity)
        labels = np.where(negative > 0, negative + n_positive, labels)
    numbers = range(1, int(labels.max(initial=0)) + 1)
    weight = np.ones(volume.shape) if weights is None else weights
    excess = weight * (np.abs(values) - threshold)
    sizes = np.array([np.sum(weight[labels == k]) for k in numbers], float)
    masses = np.array([np.sum(excess[labels == k]) for k in numbers], float)
    return labels, sizes, masses, n_positive


def local_maxima(volume: FloatArray, labels: IntArray, connectivity: int) -> IntArray:
    """How many neighbours of its label are equal to each voxel, -1 where one of them is larger."""
    steps = np.argwhere(ndimage.generate_binary_structure(3, RANK[connectivity])) - 1
    found = np.full(volume.shape, -1, np.int64)
    for at in np.ndindex(volume.shape):
        others = steps + at
        inside = ((others >= 0) & (others < volume.shape)).all(axis=1)
        own = [tuple(other) for other in others[inside] if labels[tuple(other)] == labels[at]]
        if not np.isnan(volume[at]) and not any(volume[other] > volume[at] for other in own):
            found[at] = sum(volume[other] == volume[at] for other in own) - 1  # less itself
    return found


def _both_signs(volume: FloatArray, two_sided: bool) -> list[tuple[int, FloatArray]]:
    values = np.nan_to_num(volume)
    return [(1, np.maximum(values, 0)), (-1, np.maximum(-values, 0))][: 2 if two_sided else 1]


def _extents(
    part: FloatArray, height: float, connectivity: int, weights: FloatArray | None = None
) -> FloatArray:
    """Size of each voxel's cluster among those at the height or above; zero below it."""
    labels = label(part >= height, connectivity)
    weight = None if weights is None else weights.ravel()
    sizes = np.bincount(labels.ravel(), weight).astype(float)
    sizes[0] = 0
    return sizes[labels]


def tfce(
    volume: FloatArray,
    connectivity: int,
    e: float,
    h: float,
    *,
    two_sided: bool,
    weights: FloatArray | None = None,
) -> FloatArray:
    """The integral, level by level: between two values of the map no extent changes."""
    total = np.zeros(volume.shape)
    for sign, part in _both_signs(volume, two_sided):
        low = 0.0
        for high in np.unique(part[part > 0]).tolist():
            extents = _extents(part, high, connectivity, weights)
            width = (high ** (h + 1) - low ** (h + 1)) / (h + 1)
            total += sign * np.where(extents > 0, extents**e, 0) * width
            low = high
    return total


def tfce_riemann(
    volume: FloatArray, connectivity: int, e: float, h: float, *, n_heights: int
) -> FloatArray:
    """The integral by the midpoint rule: no closed form, no knowledge of where extents change."""
    total = np.zeros(volume.shape)
    step = float(np.nanmax(np.abs(volume))) / n_heights
    for sign, part in _both_signs(volume, two_sided=True):
        for k in range(n_heights):
            height = (k + 0.5) * step
            extents = _extents(part, height, connectivity)
            total += sign * np.where(extents > 0, extents**e, 0) * height**h * step
    return total


def graph_labels(graph: Graph, inside: npt.NDArray[np.bool_]) -> IntArray:
    """Number the connected parts of a graph's places from 1, by their first place; 0 outside."""
    labels = np.zeros(len(inside), np.int64)
    members = np.flatnonzero(inside)
    _, found = csgraph.connected_components(graph[members][:, members], directed=False)
    first = np.unique(found, return_index=True)[1]
    labels[members] = np.argsort(np.argsort(first))[found] + 1
    return labels


def graph_clusters(
    stat: FloatArray, graph: Graph, weights: FloatArray, threshold: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Labels, sizes and masses of the positive clusters, then of the negative ones."""
    labels = graph_labels(graph, stat > threshold)
    negative = graph_labels(graph, -stat > threshold)
    labels = np.where(negative > 0, negative + labels.max(), labels)
    excess = weights * (np.abs(stat) - threshold)
    sizes, masses = (np.bincount(labels, each).astype(float)[1:] for each in (weights, excess))
    return labels, sizes, masses


def graph_tfce(
    stat: FloatArray, graph: Graph, weights: FloatArray, e: float, h: float
) -> FloatArray:
    """The integral, level by level, of both signs."""
    total = np.zeros(len(stat))
    for sign in (1, -1):
        part = sign * stat
        low = 0.0
        for high in np.unique(part[part > 0]).tolist():
            labels = graph_labels(graph, part >= high)
            extents = np.bincount(labels, weights)[labels] ** e
            width = (high ** (h + 1) - low ** (h + 1)) / (h + 1)
            total += sign * np.where(labels > 0, extents, 0) * width
            low = high
    return total
