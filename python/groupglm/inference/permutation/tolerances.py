# SPDX-License-Identifier: BSD-3-Clause
"""Differences in the design of a permutation test that are rounding: one name for each question.

The bases are orthonormal, so no entry is above 1.
"""

from __future__ import annotations

from groupglm import _core

__all__ = ["LOG_COUNT", "NO_ENTRY", "NO_FREEDOM", "SAME_ENTRIES"]

NO_ENTRY: float = _core.RANK_TOLERANCE
"""An image has no part in a vector of unit length whose entry there is at most this: the same part
of its length at which a column of the design is taken for one of the others."""

SAME_ENTRIES = 1e-10
"""Two images are alike, so that to exchange them changes nothing, if no entry of theirs differs by
as much. Where their rows of the design are equal, a QR leaves them apart by the rounding of a
double (2e-16) times the condition of the columns, which this lets be some 5e5; and a difference so
small could not be seen in data of float32 (6e-8)."""

NO_FREEDOM = 1e-8
"""A group of images has no residuals of its own if its sum of 1 - leverage is less. Leverages are
sums of squares of entries: of up to a hundred columns, each right to `SAME_ENTRIES`."""

LOG_COUNT = 1e-8
"""Logarithms of numbers of rearrangements, sums of logarithms of factorials, are equal within this:
they are some 1e5 at most, each right to a double's rounding times its number of terms."""
