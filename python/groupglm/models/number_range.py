# SPDX-License-Identifier: BSD-3-Clause
"""What is refused because its squares are beyond double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["refuse_beyond_double", "refuse_squares_beyond_double", "report_squares_beyond_double"]

_MOST = 1e150
"""The largest Q of which the estimators of tau2 can take the square."""

_LEAST = 1e-280
"""Below this, sums of squares have lost digits: the core gives NaN for what needs them."""

_RANGE = f"above {np.finfo(np.float64).max:.0e} or below {_LEAST:g}"

_REMEDY = (
    "scale the values, and their variances by the square of the factor, and give NaN for what is "
    "not measured"
)


def refuse_beyond_double(q: NDArray[np.float64], n_present: NDArray[np.integer]) -> None:
    """Refuse values whose squares are too large, beside their variances, to estimate tau2."""
    beyond = (n_present > 0) & ~(q <= _MOST)
    if not beyond.any():
        return
    raise ArgumentError.about(
        "variances",
        f"the squares of the values are more than {_MOST:g} times their variances at "
        f"{counted(int(beyond.sum()), 'place')} of {beyond.size:,}, which is beyond double "
        "precision",
        _REMEDY,
    )


def report_squares_beyond_double(
    rss: NDArray[np.float64], total: NDArray[np.float64], n_values: int
) -> None:
    """Say at how many places a statistic is NaN because double cannot hold the weighted squares.

    `rss` and `total` are those of the places that have images enough, and no statistic. Data that
    the design explains entirely have squares of 0, which are no loss.
    """
    underflow = (rss == 0) & (total != 0) & (np.abs(total) < np.sqrt(_LEAST))
    lost = ~np.isfinite(rss) | ((rss > 0) & (rss < _LEAST)) | underflow
    if lost.any():
        warn_caller(
            f"at {counted(int(lost.sum()), 'place')} of {n_values:,} the weighted squares of the "
            f"values are beyond double precision ({_RANGE}): statistics are NaN there; {_REMEDY}"
        )


def refuse_squares_beyond_double(rss: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    """Refuse to test data whose weighted squares double cannot hold at any place.

    `total`: the sum of the values, which are not all 0 where it is not 0.
    """
    lost = (rss < _LEAST) & ((rss > 0) | (total != 0))
    if not rss.size or not (lost | ~np.isfinite(rss)).all():
        return
    raise ArgumentError.about(
        "contrast",
        "the contrast cannot be tested: the weighted squares of the values are beyond double "
        f"precision ({_RANGE}) at every place",
        _REMEDY,
    )
