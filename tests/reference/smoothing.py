# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing from its definition: Gaussian, one axis after the other; means of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]


def gaussian(volume: npt.NDArray[Any], sigma: Sequence[float]) -> FloatArray:
    """Smooth every axis, continuing the volume by its mirror image.

    Parameters
    ----------
    volume : array of any number of axes
        Finite values.
    sigma : sequence of float
        Standard deviation along each axis, in voxels; 0 leaves it alone.

    Returns
    -------
    array of float64, same shape
        The smoothed volume.
    """
    out = volume.astype(np.float64)
    for axis, width in enumerate(sigma):
        radius = int(4.0 * width + 0.5)
        if radius == 0:
            continue
        offsets = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (offsets / width) ** 2)
        weights /= weights.sum()
        margins = [(0, 0)] * out.ndim
        margins[axis] = (radius, radius)
        mirrored = np.pad(out, margins, mode="symmetric")
        n = out.shape[axis]
        shifted = [mirrored.take(np.arange(n) + k, axis=axis) for k in range(2 * radius + 1)]
        out = sum(w * part for w, part in zip(weights, shifted, strict=True))
    return out


def gaussian_of_present(volume: npt.NDArray[Any], sigma: Sequence[float]) -> FloatArray:
    """Smooth what is present: each present voxel is the weighted mean of the present voxels.

    Parameters
    ----------
    volume : array of any number of axes
        NaN where a value is missing.
    sigma : sequence of float
        Standard deviation along each axis, in voxels.

    Returns
    -------
    array of float64, same shape
        The smoothed volume; NaN where `volume` is.
    """
    present = ~np.isnan(volume)
    sums = gaussian(np.where(present, volume, 0.0), sigma)
    weights = gaussian(present, sigma)
    return np.where(present, sums / np.where(present, weights, 1.0), np.nan)


def neighbour_means(
    values: npt.NDArray[Any], adjacency: csr_array[Any, Any], n_iterations: int
) -> FloatArray:
    """Repeat the mean of each place and its neighbours, of those that are present.

    Parameters
    ----------
    values : array, shape (n,)
        NaN where a value is missing.
    adjacency : sparse array, shape (n, n)
        One where two places are neighbours.
    n_iterations : int
        How often.

    Returns
    -------
    array of float64, shape (n,)
        NaN where `values` is.
    """
    out = values.astype(np.float64)
    dense = adjacency.toarray() != 0
    for _ in range(n_iterations):
        before = out.copy()
        for place in np.flatnonzero(~np.isnan(values)):
            around = [before[place], *before[dense[place]]]
            out[place] = np.nanmean(around)
    return out
