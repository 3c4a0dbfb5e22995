# SPDX-License-Identifier: BSD-3-Clause
"""Places at which some input is not zero: `Occupied`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Occupied"]

_BLOCK = 16
"""Places of a block. Whole blocks are occupied: a row is then a few long runs, and grows seldom."""


@dataclass(frozen=True, eq=False)
class Occupied:
    """Some places of a row, in blocks; all others are zero in every input so far.

    Most of the box around a brain is zero in every image. What is zero everywhere adds nothing to
    a sum of products, so neither its rows nor its sums need to be kept.

    Parameters
    ----------
    n_values : int
        Length of a whole row.
    blocks : array of bool, shape (n_blocks,)
        Which blocks of 16 places are occupied.

    Examples
    --------
    >>> import numpy as np
    >>> row = np.zeros(100)
    >>> row[[3, 50]] = 1.0
    >>> occupied = Occupied.of(row)
    >>> occupied.n_places, occupied.runs.tolist()
    (32, [[0, 16], [48, 16]])
    >>> out = np.empty(32)
    >>> occupied.gather(row, out), np.flatnonzero(out).tolist()
    (True, [3, 18])
    >>> row[99] = 1.0
    >>> occupied.gather(row, out), occupied.with_values(row).n_places
    (False, 36)
    """

    n_values: int
    blocks: NDArray[np.bool_]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Occupied:
        """Return the places of the blocks in which a whole row is not +0 throughout."""
        n_values = len(values)
        # By bits: -0 and NaN are not zero.
        bits = values.view(np.dtype(f"i{values.itemsize}"))
        whole = n_values // _BLOCK * _BLOCK
        blocks = np.zeros(-(-n_values // _BLOCK), dtype=np.bool_)
        blocks[: n_values // _BLOCK] = bits[:whole].reshape(-1, _BLOCK).any(axis=1)
        if whole < n_values:
            blocks[-1] = bits[whole:].any()
        return cls._within_half(n_values, blocks)

    @classmethod
    def everywhere(cls, n_values: int) -> Occupied:
        """Return all places of a row."""
        return cls(n_values, np.ones(-(-n_values // _BLOCK), dtype=np.bool_))

    @classmethod
    def _within_half(cls, n_values: int, blocks: NDArray[np.bool_]) -> Occupied:
        """Return the places of some blocks, or all places if little would be left out."""
        if 2 * np.count_nonzero(blocks) > len(blocks):
            blocks = np.ones_like(blocks)
        return cls(n_values, blocks)

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """First place and length of each run, shape (n_runs, 2)."""
        edges = np.diff(np.concatenate(([0], self.blocks.view(np.int8), [0])))
        starts = np.flatnonzero(edges == 1) * _BLOCK
        ends = np.minimum(np.flatnonzero(edges == -1) * _BLOCK, self.n_values)
        return np.column_stack((starts, ends - starts)).astype(np.int64)

    @cached_property
    def n_places(self) -> int:
        """Number of places."""
        return int(self.runs[:, 1].sum())

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which places of a whole row are occupied, shape (n_values,)."""
        return np.repeat(self.blocks, _BLOCK)[: self.n_values]

    def gather(self, values: NDArray[Any], out: NDArray[Any]) -> bool:
        """Fill a row of the places with those of a whole row; tell whether the rest is zero."""
        return _core.gather_rest_is_zero(values, self.runs, out)

    def with_values(self, values: NDArray[Any]) -> Occupied:
        """Return these places and those at which a whole row, or a mask, is not zero."""
        return self._within_half(self.n_values, self.blocks | Occupied.of(values).blocks)

    def within(self, larger: Occupied) -> NDArray[np.int64]:
        """Return where these places are among those of a larger set, shape (n_places,)."""
        return np.flatnonzero(self.mask[larger.mask])

    def spread(self, row: NDArray[Any], rest: Any = 0) -> NDArray[Any]:
        """Return a whole row of a row of these places, with one value at all others."""
        whole = np.full(self.n_values, rest, dtype=row.dtype)
        whole[self.mask] = row
        return whole
