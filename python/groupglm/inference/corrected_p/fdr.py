# SPDX-License-Identifier: BSD-3-Clause
"""False discovery rates at which tests are discoveries: q-values of Benjamini and Hochberg."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["q_at", "q_values"]


def q_values(p: Floats) -> Floats:
    """Return for each test the smallest false discovery rate at which it is a discovery.

    Parameters
    ----------
    p : array, shape (n,)
        The p-values of all tests.

    Returns
    -------
    array, shape (n,)
        The smallest of ``p[k] n / rank(k)`` over all tests k whose p is as large, at most one.

    References
    ----------
    Benjamini and Hochberg (1995). Controlling the false discovery rate. J R Stat Soc B 57, 289-300.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    return q_at(p, p)


def q_at(p: Floats, tests: Floats) -> Floats:
    """Return the q-value of some of the tests, by their p-values.

    Parameters
    ----------
    p : array, shape (m,)
        p-values of tests that are among all.
    tests : array, shape (n,)
        p-values of all.

    Returns
    -------
    array, shape (m,)
        Their q-values; NaN of NaN.
    """
    n = len(tests)
    if n == 0:
        return np.ones(len(p))
    ordered = np.sort(tests)
    # Of equal p-values, the last has the rank of all of them.
    ranks = np.searchsorted(ordered, ordered, side="right")
    smallest = np.minimum.accumulate((ordered * (n / ranks))[::-1])[::-1]
    at = np.clip(np.searchsorted(ordered, p, side="left"), 0, n - 1)
    return np.where(np.isnan(p), np.nan, np.minimum(smallest[at], 1.0))
