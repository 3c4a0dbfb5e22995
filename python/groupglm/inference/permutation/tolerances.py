# SPDX-License-Identifier: BSD-3-Clause
"""Tolerances for rounding in the design of a permutation test, one for each question.

The bases are orthonormal, so no entry is above 1.
"""

from __future__ import annotations

from groupglm import _core

__all__ = ["LOG_COUNT", "NO_ENTRY", "NO_FREEDOM", "SAME_ENTRIES"]

NO_ENTRY: float = _core.RANK_TOLERANCE
"""An image does not count in a vector of unit length if its entry is at most this. It is the rule
of rank: at the same share of its length a column of the design counts as dependent on the
others."""

SAME_ENTRIES = 1e-10
"""Two images are equal, so that exchanging them changes nothing, if no two of their entries differ
by as much. If their rows of the design are equal, a QR leaves them apart by the rounding of a
double (2e-16) times the condition of the columns, which may thus be some 5e5. So small a difference
could not be seen in data of float32 (6e-8)."""

NO_FREEDOM = 1e-8
"""A group of images has no residuals of its own if its sum of 1 - leverage is less. Leverages are
sums of squares of entries: of up to a hundred columns, each right to `SAME_ENTRIES`."""

LOG_COUNT = 1e-8
"""Logarithms of numbers of rearrangements are equal within this. They are sums of logarithms of
factorials, at most some 1e5, each right to a double's rounding times its number of terms."""
