# SPDX-License-Identifier: BSD-3-Clause
"""Noise of the simulated studies: Gaussian, smooth in space, of unit variance in every place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.brain import FWHM_PER_SIGMA, Brain
from groupglm.errors import ArgumentError

__all__ = ["SmoothNoise", "SmoothSurfaceNoise"]

FloatArray = NDArray[np.float64]

_REACH = 3.0  # standard deviations of the kernel at which it is cut off on a surface
_MOST_PAIRS = 30_000_000  # of vertices within reach of each other: 0.5 GB


class SmoothNoise:
    """Draws volumes of smooth noise for a grid.

    Parameters
    ----------
    brain : Brain
        The grid.
    fwhm : float
        Full width at half maximum of the smoothing, in mm.
    """

    def __init__(self, brain: Brain, fwhm: float) -> None:
        self._shape = brain.shape
        self._sigma = fwhm / brain.voxel_size / FWHM_PER_SIGMA
        impulse = np.zeros(brain.shape)
        impulse[0, 0, 0] = 1.0
        # The standard deviation of white noise of unit variance after smoothing.
        self._gain = float(np.linalg.norm(self._smooth(impulse)))

    def draw(self, generator: np.random.Generator) -> FloatArray:
        """Return one volume, with mean 0 and standard deviation 1 in each voxel."""
        return self._smooth(generator.standard_normal(self._shape)) / self._gain

    def _smooth(self, values: FloatArray) -> FloatArray:
        from scipy.ndimage import gaussian_filter

        # The grid wraps around, so that voxels near its border average as many values as the
        # others.
        smooth: FloatArray = gaussian_filter(values, self._sigma, mode="wrap")
        return smooth


class SmoothSurfaceNoise:
    """Draws maps of smooth noise for two hemispheres that mirror each other.

    Parameters
    ----------
    coordinates : array, shape (n_vertices, 3)
        The vertices of one of them, in mm.
    fwhm : float
        Full width at half maximum of the Gaussian that smooths over straight distances, in mm.

    Raises
    ------
    groupglm.errors.ArgumentError
        If the Gaussian is so wide that the memory would not hold it.
    """

    def __init__(self, coordinates: FloatArray, fwhm: float) -> None:
        from scipy.sparse import csr_array
        from scipy.spatial import KDTree

        tree = KDTree(coordinates)
        sigma = fwhm / FWHM_PER_SIGMA
        n_pairs = int(tree.count_neighbors(tree, _REACH * sigma))
        if n_pairs > _MOST_PAIRS:
            raise ArgumentError(
                "noise_fwhm",
                f"{fwhm} mm, which takes {n_pairs:,} weights on {len(coordinates):,} vertices",
                f"at most {_MOST_PAIRS:,} weights",
                "give less of it, or fewer n_divisions",
            )
        pairs = tree.query_pairs(_REACH * sigma, output_type="ndarray")
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
        pairs = np.concatenate([pairs, np.repeat(np.arange(len(coordinates))[:, None], 2, axis=1)])
        distance = np.linalg.norm(coordinates[pairs[:, 0]] - coordinates[pairs[:, 1]], axis=1)
        weights = np.exp(-0.5 * (distance / sigma) ** 2)
        # The sum of squared weights is the variance of smoothed white noise.
        gain = np.sqrt(np.bincount(pairs[:, 0], weights**2))
        self._kernel = csr_array((weights / gain[pairs[:, 0]], (pairs[:, 0], pairs[:, 1])))

    def draw(self, generator: np.random.Generator) -> FloatArray:
        """Return one map, shape (2, n_vertices), of mean 0 and standard deviation 1 everywhere."""
        white = generator.standard_normal((self._kernel.shape[0], 2))
        smooth: FloatArray = (self._kernel @ white).T
        return smooth
