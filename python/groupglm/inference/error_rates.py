# SPDX-License-Identifier: BSD-3-Clause
"""The z from which on a place is significant, for an error rate of places one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PlacewiseControl", "threshold_of"]

PlacewiseControl = Literal["fpr", "fdr", "bonferroni"]


def threshold_of(
    z: NDArray[np.floating],
    alpha: float,
    height_control: PlacewiseControl,
    *,
    two_sided: bool = True,
) -> float:
    """Find the smallest z that is significant.

    Shapes: `z` (n,).

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([4.0, -3.5, 2.8, 2.5, 1.9, 1.2])
    >>> round(threshold_of(z, 0.001, "fpr"), 4)
    3.2905
    >>> round(threshold_of(z, 0.05, "bonferroni"), 4)
    2.6383
    >>> round(threshold_of(z, 0.05, "fdr"), 4)
    2.5
    """
    tail = alpha / 2 if two_sided else alpha
    if height_control == "bonferroni":
        tail /= len(z)
    level = -float(special.ndtri(tail))
    if height_control != "fdr":
        return level
    # A discovery has p <= alpha k / n <= alpha, so only those are sorted.
    values = np.abs(z) if two_sided else z
    candidates = np.sort(values[values >= level].astype(np.float64))[::-1]
    ranks = np.arange(1, len(candidates) + 1)
    found = np.flatnonzero(special.ndtr(-candidates) <= tail * ranks / len(z))
    if found.size == 0:
        return math.inf
    last = int(found[-1])
    if math.isinf(candidates[last]):
        # All discoveries are infinite. The threshold is the z of the p that they are compared with.
        # It is above every other z; otherwise that z would be a discovery too.
        return -float(special.ndtri(tail * (last + 1) / len(z)))
    # The largest double below the smallest discovery, which then passes ">" as well as ">=".
    return float(np.nextafter(candidates[last], -math.inf))
