# SPDX-License-Identifier: BSD-3-Clause
"""Clusters and threshold-free cluster enhancement of volumes: slow, obvious, by scipy's labels.

Volumes are 3-D arrays of doubles; what is NaN is outside the mask. Places are numbered in Fortran
order, which is the C order of the transposed volume: hence the transposes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

RANK = {6: 1, 18: 2, 26: 3}


def label(inside: npt.NDArray[np.bool_], connectivity: int) -> IntArray:
    """Number the connected parts from 1, in Fortran order of their first voxel; 0 outside."""
    structure = ndimage.generate_binary_structure(3, RANK[connectivity])
    labelled: Any = ndimage.label(inside.T, structure)
    return np.asarray(labelled[0], dtype=np.int64).T


def clusters(
    volume: FloatArray, threshold: float, connectivity: int, *, two_sided: bool
) -> tuple[IntArray, IntArray, FloatArray, int]:
    """Labels (of the volume's shape), sizes, masses, and how many of the clusters are positive."""
    values = np.nan_to_num(volume)
    labels = label(values > threshold, connectivity)
    n_positive = int(labels.max(initial=0))
    if two_sided:
        negative = label(-values > threshold, connectivity)
        labels = np.where(negative > 0, negative + n_positive, labels)
    numbers = range(1, int(labels.max(initial=0)) + 1)
    sizes = np.array([np.sum(labels == k) for k in numbers], dtype=np.int64)
    masses = np.array([np.sum(np.abs(values[labels == k]) - threshold) for k in numbers], float)
    return labels, sizes, masses, n_positive


def _both_signs(volume: FloatArray, two_sided: bool) -> list[tuple[int, FloatArray]]:
    values = np.nan_to_num(volume)
    return [(1, np.maximum(values, 0)), (-1, np.maximum(-values, 0))][: 2 if two_sided else 1]


def _extents(part: FloatArray, height: float, connectivity: int) -> FloatArray:
    """Size of each voxel's cluster among those at the height or above; zero below it."""
    labels = label(part >= height, connectivity)
    sizes = np.bincount(labels.ravel()).astype(float)
    sizes[0] = 0
    return sizes[labels]


def tfce(
    volume: FloatArray, connectivity: int, e: float, h: float, *, two_sided: bool
) -> FloatArray:
    """The integral, level by level: between two values of the map no extent changes."""
    total = np.zeros(volume.shape)
    for sign, part in _both_signs(volume, two_sided):
        low = 0.0
        for high in np.unique(part[part > 0]).tolist():
            extents = _extents(part, high, connectivity)
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
