# SPDX-License-Identifier: BSD-3-Clause
"""The evidence at a voxel given the sizes of its clusters, at all heights: pTFCE of one tail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.random_fields.smoothness import PartSmoothness
    from groupglm.spaces.base import Space

__all__ = ["LEAST_HEIGHT", "HeightGivenSize", "enhanced_evidence"]

LEAST_HEIGHT = 1.3
"""The z below which a cluster's size tells nothing: random field theory does not hold there."""

_OF_RESEL = (4 * math.log(2)) ** 1.5 / (2 * math.pi) ** 2
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_FAR = np.concatenate([[0.0], np.geomspace(0.25, 60.0, 12)])
"""Ends of the panels beyond the highest z h, in units of 1 / h: e^-60 is left out."""

_BLOCK = 256  # sizes whose integrands are computed together: 16 MB for 100 heights
_CONNECTIVITY = 6  # voxels that share a face


class HeightGivenSize:
    """The probability that a voxel is as high, given the size of the cluster that it is in.

    By Bayes' rule, with the density of z as the prior and the density of the size of a cluster
    above each height as the likelihood (Spisak et al. 2019, equations 3 to 7):
    ``P(Z >= h | c) = I(h, c) / I(1.3, c)``, where I is the integral of
    ``phi(x) lambda(x) exp(-lambda(x) c^(2/3))`` from h on, and lambda follows from the mean size of
    clusters above x. Integrals are sums over panels of 16 nodes; logarithms throughout, so that
    probabilities far below the smallest double are told apart.

    Parameters
    ----------
    heights : array, shape (n,)
        The heights in question, increasing, above 1.3.
    part : PartSmoothness
        Of the voxels.
    """

    def __init__(self, heights: NDArray[np.float64], part: PartSmoothness) -> None:
        far = heights[-1] + _FAR[1:] / heights[-1]
        ends = np.concatenate([[LEAST_HEIGHT], heights, far])
        half = np.diff(ends)[:, None] / 2
        x = half * (_NODES + 1) + ends[:-1, None]
        # The mean size in voxels: the expected number of voxels above x over that of clusters,
        # which is the density of three dimensions in `densities`; both underflow far out.
        clusters = math.log(part.resels_per_unit * _OF_RESEL) + np.log(x**2 - 1) - x**2 / 2
        mean_size = special.log_ndtr(-x) - clusters
        self._rate = np.exp(-2 / 3 * (mean_size - math.lgamma(2.5)))
        self._log = np.log(half * _WEIGHTS * self._rate) - x**2 / 2
        self._n = len(heights)
        self._known: dict[int, NDArray[np.float64]] = {}

    def evidence(self, sizes: NDArray[np.int64], number: int) -> NDArray[np.float64]:
        """Return -log of the probability at the height of a number, for some sizes in voxels.

        Shapes: `sizes` (k,), distinct; returns (k,).
        """
        unknown = [size for size in sizes.tolist() if size not in self._known]
        for first in range(0, len(unknown), _BLOCK):
            block = unknown[first : first + _BLOCK]
            self._known.update(zip(block, self._of_sizes(np.array(block, np.float64)), strict=True))
        return np.array([self._known[size][number] for size in sizes.tolist()])

    def _of_sizes(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log of the probability at all heights, shape (n_sizes, n_heights)."""
        powers = (sizes ** (2 / 3))[:, None, None]
        panels = special.logsumexp(self._log - self._rate * powers, axis=2)
        tails = np.logaddexp.accumulate(panels[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(tails[:, :1] - tails[:, 1 : self._n + 1])


def enhanced_evidence(
    z: NDArray[np.float64], space: Space, part: PartSmoothness, n_thresholds: int
) -> NDArray[np.float64]:
    """Return -log p of each voxel, enhanced by the sizes of its clusters; of the upper tail.

    Parameters
    ----------
    z : array, shape (n_values,)
        NaN is in no cluster and stays NaN; infinite values stay infinite.
    space : Space
        The voxels.
    part : PartSmoothness
        Their smoothness.
    n_thresholds : int
        Number of heights, at equal steps of -log p from 0 to that of the largest finite z.

    Returns
    -------
    array, shape (n_values,)
        ``(sqrt(d (8 S + d)) - d) / 2``, where S is the sum over heights below z of -log p given the
        cluster there, and d the step (equation 11). The evidence itself up to a z of 1.3.
    """
    plain = -special.log_ndtr(-z)
    finite = np.isfinite(plain)
    if not finite.any() or not plain[finite].max() > 0:
        return np.asarray(plain)
    levels = np.linspace(0.0, plain[finite].max(), n_thresholds)
    heights = -special.ndtri_exp(-levels)
    is_low = heights <= LEAST_HEIGHT
    of_low = levels[is_low].sum()
    levels, step = levels[~is_low], levels[1]
    # Below the first of these heights a size tells nothing, so that p stays what it is; the sum
    # would round it to a step.
    first = levels[0] if len(levels) else np.inf
    high = np.flatnonzero(np.nan_to_num(plain, nan=0.0) > first)
    if not len(high):
        return np.asarray(plain)
    total = of_low + _of_clusters(plain[high], space, high, levels, heights[~is_low], part)
    enhanced = plain.copy()
    enhanced[high] = (np.sqrt(step * (8 * total + step)) - step) / 2
    return np.where(finite, enhanced, plain)


def _of_clusters(
    plain: NDArray[np.float64],
    space: Space,
    places: NDArray[np.intp],
    levels: NDArray[np.float64],
    heights: NDArray[np.float64],
    part: PartSmoothness,
) -> NDArray[np.float64]:
    """Return the sum over high levels of -log p given the cluster, at some places."""
    keep = np.zeros(space.n_values, np.bool_)
    keep[places] = True
    neighbours = space.restrict(keep).neighbours(_CONNECTIVITY)
    given = HeightGivenSize(heights, part)
    stat = np.where(np.isinf(plain), np.finfo(np.float64).max, plain)
    total = np.zeros(len(places))
    for number, level in enumerate(levels.tolist()):
        labels, sizes, _, _ = _core.label_clusters(stat, neighbours, level, False)
        inside = labels > 0
        if not inside.any():
            break
        distinct, which = np.unique(sizes, return_inverse=True)
        total[inside] += given.evidence(distinct, number)[which][labels[inside] - 1]
    return total
