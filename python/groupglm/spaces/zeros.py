# SPDX-License-Identifier: BSD-3-Clause
"""Exact zeros: where an input has them, and how many inputs have them at each place.

Many programs write zero outside the brain of a subject. As a value of that subject such a zero is
wrong; as a number of lesions it is right. Nothing here decides which: it counts.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ZeroTally", "Zeros", "check_zero_is_missing"]

_SAMPLE = 4096  # values examined first, in search of a fraction
_MOST_OF_A_BYTE = 255


def check_zero_is_missing(zero_is_missing: object, missing: str) -> bool:
    """Return whether zeros are missing values; refuse a wrong value of the option."""
    is_missing = check_truth("zero_is_missing", zero_is_missing)
    if is_missing and missing == "zero":
        raise ArgumentError.about(
            "zero_is_missing",
            argument("zero_is_missing", True)
            + " takes zeros for missing values, and "
            + argument("missing", "zero")
            + " takes missing values for zeros",
            "give "
            + argument("missing", "omit")
            + ", 'intersect' or 'raise', or leave "
            + argument("zero_is_missing", True)
            + " out",
        )
    return is_missing


@dataclass(frozen=True, eq=False)
class Zeros:
    """The exact zeros of one input, as it is stored: before resampling and smoothing.

    Parameters
    ----------
    places : array of bool, shape (n_values,)
        Where it is zero.
    all_whole : bool
        Whether all its finite values are whole numbers, as counts and labels are.
    """

    places: NDArray[np.bool_]
    all_whole: bool

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        room: NDArray[np.bool_] | None = None,
        *,
        may_be_whole: bool = True,
    ) -> Zeros:
        """Find the zeros of a row or a volume of values.

        The zeros are written to `room`, if it is given. If some input is known to have fractions,
        `may_be_whole` is False, and this one is not searched for fractions.
        """
        sample = values[:: max(1, len(values) // _SAMPLE)]
        all_whole = may_be_whole and _all_whole(sample) and _all_whole(values)
        return cls(np.equal(values, 0, out=room), all_whole)

    def at(self, places: NDArray[Any] | None) -> Zeros:
        """Return the zeros at some places, numbered as in a row."""
        if places is None:
            return self
        return Zeros(self.places.take(places, mode="clip"), self.all_whole)


def _all_whole(values: NDArray[Any]) -> bool:
    """Return whether all finite values are whole numbers."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        fractions = values - np.rint(values)
    return not bool((np.abs(fractions) > 0).any())  # NaN is not larger than zero


class ZeroTally:
    """How many inputs are exactly zero at each place.

    Takes 5 bytes a place, and one more for each thread. Threads may add to it at the same time; the
    order does not matter.

    Parameters
    ----------
    n_values : int
        Number of places.

    Attributes
    ----------
    all_whole : bool
        Whether all finite values of all inputs so far are whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> tally = ZeroTally(3)
    >>> for row in ([0.0, 1.5, 2.0], [0.0, 0.0, 3.0]):
    ...     tally.add(Zeros.of(np.array(row)))
    >>> tally.counts, tally.all_whole
    (array([2, 1, 0], dtype=int32), False)
    """

    def __init__(self, n_values: int) -> None:
        self._counts = np.zeros(n_values, dtype=np.int32)
        # Adding bytes to bytes is several times faster than adding bytes to wider integers.
        self._recent = np.zeros(n_values, dtype=np.uint8)
        self._n_recent = 0
        self._n_added = 0
        self.all_whole = True
        self._lock = threading.Lock()
        self._own = threading.local()  # one row's room for each thread

    def add_row(self, row: NDArray[Any], zeros: Zeros | None) -> None:
        """Count the zeros of one input, or those of its row if the row holds them."""
        if zeros is not None:
            self.add(zeros)
            return
        # Fresh memory for each row would take longer than finding its zeros.
        if not hasattr(self._own, "room"):
            self._own.room = np.empty(len(row), dtype=np.bool_)
        self.add(Zeros.of(row, self._own.room, may_be_whole=self.all_whole))

    def add(self, zeros: Zeros) -> None:
        """Add the zeros of one input."""
        with self._lock:
            if self._n_recent == _MOST_OF_A_BYTE:
                self._settle()
            self._recent += zeros.places.view(np.uint8)
            self._n_recent += 1
            self._n_added += 1
            self.all_whole = self.all_whole and zeros.all_whole

    def spread(self, places: NDArray[np.int64], n_values: int) -> None:
        """Enlarge the tally; every input so far was zero at the new places. For one thread only.

        Shapes: `places` (old n_values,): the positions of the old places among all places.
        """
        counts = self.counts
        self._counts = np.full(n_values, self._n_added, dtype=np.int32)
        self._counts[places] = counts
        self._recent = np.zeros(n_values, dtype=np.uint8)
        self._own = threading.local()

    def merge(self, counts: NDArray[np.int32], *, all_whole: bool) -> None:
        """Add the counts of another process."""
        self._counts += counts
        self.all_whole = self.all_whole and all_whole

    @property
    def counts(self) -> NDArray[np.int32]:
        """The number of inputs that are zero at each place, shape (n_values,)."""
        with self._lock:
            self._settle()
        return self._counts

    def _settle(self) -> None:
        if self._n_recent:
            self._counts += self._recent
            self._recent[:] = 0
            self._n_recent = 0
