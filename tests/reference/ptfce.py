# SPDX-License-Identifier: BSD-3-Clause
"""pTFCE of one tail, voxel by voxel and integral by integral (Spisak et al. 2019)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, ndimage, stats

__all__ = ["ptfce_evidence"]

LEAST = 1.3


def ptfce_evidence(
    z: NDArray[np.float64], mask: NDArray[np.bool_], resels_per_voxel: float, n_thresholds: int
) -> NDArray[np.float64]:
    """Return -log p of the voxels of a mask; `z` and `mask` are volumes."""
    root_of_lambda = resels_per_voxel * (4 * math.log(2)) ** 1.5  # per voxel

    def mean_size(h: float) -> float:
        clusters = root_of_lambda * (h**2 - 1) * math.exp(-(h**2) / 2) / (2 * math.pi) ** 2
        return float(stats.norm.sf(h) / clusters)

    def joint(h: float, size: int) -> float:
        rate = (mean_size(h) / math.gamma(2.5)) ** (-2 / 3)
        return float(stats.norm.pdf(h) * rate * math.exp(-rate * size ** (2 / 3)))

    @cache
    def p_of(level: float, size: int) -> float:
        h = float(stats.norm.isf(math.exp(-level)))
        options: Any = {"epsabs": 0, "epsrel": 1e-10, "limit": 500}
        above = integrate.quad(joint, h, h + 12, args=(size,), **options)[0]
        below = integrate.quad(joint, LEAST, h, args=(size,), **options)[0]
        return float(above / (above + below))

    evidence = np.where(mask, -stats.norm.logsf(z), 0.0)
    levels = np.linspace(0, evidence[mask].max(), n_thresholds)
    total = np.zeros(z.shape)
    for level in levels:
        passing = mask & (evidence > level)
        if stats.norm.isf(math.exp(-level)) <= LEAST:
            total[passing] += level
            continue
        labels, n = ndimage.label(passing)
        for number in range(1, n + 1):
            cluster = labels == number
            total[cluster] -= math.log(p_of(level, int(cluster.sum())))
    step = levels[1]
    found = 0.5 * (np.sqrt(step * (8 * total + step)) - step)
    return np.asarray(found[mask])
