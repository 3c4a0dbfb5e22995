# SPDX-License-Identifier: BSD-3-Clause
"""How far an estimate strays from the truth anywhere on a boundary: a wild bootstrap of t."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core
from groupglm.inference.permutation.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm.inference.confidence_sets.boundary import Boundary

__all__ = ["bootstrap_maxima", "critical_value"]

_POINT_BYTES = 32 * 2**20
"""Residuals at so many points are interpolated at once."""

_PRODUCTS = 1_000_000_000
"""Work between two looks for Ctrl-C: about a quarter of a second of one core's arithmetic."""


def bootstrap_maxima(
    residuals: NDArray[np.floating],
    boundary: Boundary,
    n_bootstraps: int,
    seed: int,
    n_threads: int,
    advance: Callable[[int], object] = lambda _: None,
) -> NDArray[np.float64]:
    r"""Return the largest :math:`|t|` on the boundary in each bootstrap, shape (n_bootstraps,).

    A bootstrap flips the signs of images at random, of an image at all points alike, and

    .. math:: t(s) = \frac{\sum_i g_i R_i(s)}{\sqrt{n}\, \mathrm{sd}(g_i R_i(s))}

    of the residuals R with the flips g, whose standard deviation is that of the bootstrap itself
    (Telschow & Schwartzman 2022; Bowring et al. 2019). The cost is one product of the matrices
    (n_bootstraps, n_images) and (n_images, n_points) in the compiled core, and the memory that of
    the residuals, and 8 bytes per bootstrap and image.

    Parameters
    ----------
    residuals : array, shape (n_images, n_places)
        At the places of the boundary; their scale at a point has no effect. NaN where an image has
        no value.
    boundary : Boundary
        The points.
    n_bootstraps, seed : int
        The same seed gives the same bits for any number of threads.
    n_threads : int
        Number of threads.
    advance : callable
        Is told of so many points that are done, of `len(boundary)`.
    """
    n_images = len(residuals)
    units = np.arange(n_images)[:, np.newaxis]
    signs = Exchange(n_images, (units,), flips=True).draw((seed,), 0, n_bootstraps)[1]
    best = np.zeros(n_bootstraps)
    n_points = max(1, _POINT_BYTES // (8 * n_images))
    for first in range(0, len(boundary), n_points):
        values = boundary.interpolated(residuals, slice(first, first + n_points))
        present = ~np.isnan(values)
        counts = present.sum(axis=0)
        values = np.where(present, values, 0.0)
        for count in np.unique(counts[counts > 1]).tolist():
            own = np.ascontiguousarray(values[:, counts == count])
            step = max(1, _PRODUCTS * max(1, n_threads) // own.size)
            for start in range(0, n_bootstraps, step):
                end = min(start + step, n_bootstraps)
                t = _largest_t(own, signs[start:end], count, n_threads)
                np.maximum(best[start:end], t, out=best[start:end])
        advance(values.shape[1])
    return best


def _largest_t(
    values: NDArray[np.float64], signs: NDArray[np.float64], count: int, n_threads: int
) -> NDArray[np.float64]:
    """Return the largest absolute one-sample t of values with these signs, shape (n,).

    So many images have a value; the others are 0. The sum of squares is that of any signs.
    """
    rows = np.ascontiguousarray(signs[:, np.newaxis, :]) / math.sqrt(count)
    none = np.empty((0, len(values)))
    return _core.permuted_statistics(
        values, none, rows, 1, float(count - 1), True, None, None, n_threads
    )


def critical_value(maxima: NDArray[np.float64], alpha: float) -> float:
    """Return the least maximum that at most a share of alpha of the maxima exceeds.

    Examples
    --------
    >>> critical_value(np.arange(1.0, 101.0), 0.05)
    95.0
    """
    rank = math.ceil((1 - alpha) * len(maxima) - 1e-9)
    return float(np.partition(maxima, rank - 1)[rank - 1])
