# SPDX-License-Identifier: BSD-3-Clause
"""Lower bounds for the number of true discoveries: closed testing with Simes' tests, on arrays.

Of any set S of tests, at least

    d(S) = max over u = 1 .. |S| of  1 - u + #{i in S : h p_i <= u alpha}

are true discoveries, for all sets at once with probability 1 - alpha (Goeman, Meijer, Krebs &
Solari 2019, Biometrika 106, 841-856, theorem 1; for brain images Rosenblatt et al. 2018, NeuroImage
181, 786-796). h is Hommel's value: the size of the largest set of tests that Simes' test does not
reject. The bounds hold where Simes' inequality does: for independent tests, and for positively
dependent ones such as smooth maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Discoveries", "hommel_value", "p_values"]


def p_values(z: NDArray[np.float64], *, two_sided: bool) -> NDArray[np.float64]:
    """Return the p-values of z-values: of the upper tail, or of both."""
    return np.asarray(2 * special.ndtr(-np.abs(z)) if two_sided else special.ndtr(-z))


def hommel_value(p: NDArray[np.float64], alpha: float) -> int:
    """Find the size of the largest set of tests that Simes' test does not reject.

    Shapes: `p` (n,).

    Notes
    -----
    The h largest p-values lie above a line that falls from (n, alpha) to (n - h, 0) just when its
    slope alpha / h is larger than every (alpha - p_(i)) / (n - i): h is the largest such number
    (Meijer, Krebs & Goeman 2019, Biometrical Journal 61, 73-82). Rounding may move that by one,
    so the definition itself decides between neighbours. O(n log n) for sorting the p-values up to
    alpha; the others never set the slope.

    Examples
    --------
    >>> import numpy as np
    >>> hommel_value(np.array([0.001, 0.01, 0.04, 0.5]), 0.05)
    2
    """
    n = len(p)
    small = np.sort(p[p <= alpha])
    if small.size == 0:
        return n
    if small.size == n:
        # Then Simes' test rejects every set, even that of the largest p-value alone.
        return 0
    slopes = (alpha - small) / (n - 1.0 - np.arange(small.size))
    steepest = slopes.max()
    guess = n if steepest * n <= alpha else int(alpha / steepest)
    h = min(guess + 1, n)
    while h > 0 and not _is_kept(small, n, alpha, h):
        h -= 1
    return h


def _is_kept(small: NDArray[np.float64], n: int, alpha: float, h: int) -> bool:
    """Return whether Simes' test keeps the h largest of n p-values.

    `small` are the p-values up to alpha. A larger p cannot reject: h p > h alpha >= j alpha.
    """
    first = n - h
    if first >= small.size:
        return True
    among = small[first:]
    return bool((h * among > np.arange(1, among.size + 1) * alpha).all())


@dataclass(frozen=True, eq=False)
class Discoveries:
    """Bounds for any set of tests, after the work that is common to all sets.

    Attributes
    ----------
    hommel : int
        Hommel's value of all tests.
    steps : array of int64, shape (n,)
        For each test, the smallest u of 1 .. n + 1 with ``h p <= u alpha``.
    """

    hommel: int
    steps: NDArray[np.int64]

    @classmethod
    def of(cls, p: NDArray[np.float64], alpha: float) -> Discoveries:
        """Prepare the bounds.

        Shapes: `p` (n,).

        Examples
        --------
        >>> import numpy as np
        >>> found = Discoveries.of(np.array([0.001, 0.01, 0.04, 0.5]), 0.05)
        >>> found.bound(np.array([0, 1, 2, 3])), found.bound(np.array([2, 3]))
        (2, 0)
        """
        hommel = hommel_value(p, alpha)
        steps = np.clip(np.ceil(hommel * p / alpha), 1, len(p) + 1).astype(np.int64)
        return cls(hommel, steps)

    def bound(self, members: NDArray[np.intp]) -> int:
        """Return the least number of true discoveries among some tests.

        Shapes: `members` (m,).
        """
        return int(self.bounds(members, np.ones(len(members), np.int64), 1)[0])

    def bounds(
        self, members: NDArray[np.intp], labels: NDArray[np.integer], n_sets: int
    ) -> NDArray[np.int64]:
        """Return the least number of true discoveries of several sets at once.

        Shapes: `members` (m,), `labels` (m,); returns (n_sets,).

        Notes
        -----
        The maximum over u is found at one of the steps: if the tests of S are sorted by them, it is
        the largest of 1 - (step of the r-th test) + r. O(m log m) for all sets together.
        """
        sizes = np.bincount(labels, minlength=n_sets + 1)[1:]
        order = np.lexsort((self.steps[members], labels))
        starts = np.cumsum(sizes) - sizes
        owner = np.asarray(labels)[order]
        rank = np.arange(1, len(order) + 1) - starts[owner - 1]
        found = np.zeros(n_sets + 1, np.int64)
        np.maximum.at(found, owner, 1 - self.steps[members][order] + rank)
        return found[1:]
