# SPDX-License-Identifier: BSD-3-Clause
"""What is refused because its squares are beyond double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["refuse_beyond_double", "refuse_squares_beyond_double"]

_MOST = 1e150
"""The largest Q of which the estimators of tau2 can take the square."""

_LEAST = 1e-280
"""Below this, sums of squares have lost digits: the core gives NaN for what needs them."""

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
        f"precision (above {np.finfo(np.float64).max:.0e} or below {_LEAST:g}) at "
        "every place",
        _REMEDY,
    )
