# SPDX-License-Identifier: BSD-3-Clause
"""Noise of the simulated studies: Gaussian, smooth in space, of unit variance in every voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.brain import FWHM_PER_SIGMA, Brain

__all__ = ["SmoothNoise"]

FloatArray = NDArray[np.float64]


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
