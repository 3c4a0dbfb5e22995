# SPDX-License-Identifier: BSD-3-Clause
"""An array in memory as the rows of a fit: `ArrayRows`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Values

__all__ = ["ArrayRows"]


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """The rows of an array, shape (n_inputs, n_values), in batches of at most `batch_rows`."""

    values: Values
    batch_rows: int | None = None

    @property
    def n_inputs(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def n_values(self) -> int:
        """Length of a row."""
        return int(self.values.shape[1])

    def array(self) -> Values:
        """Return the array."""
        return self.values

    def batches(self) -> Generator[tuple[int, Values], None, None]:
        """Yield the number of a first row and some rows, without a copy."""
        step = self.batch_rows or self.n_inputs
        for first in range(0, self.n_inputs, step):
            yield first, self.values[first : first + step]

    def tiles(
        self, max_bytes: int
    ) -> Generator[tuple[NDArray[np.int64], NDArray[Any]], None, None]:
        """Yield some places and the values of all rows there, without a copy."""
        step = max(1, max_bytes // max(1, self.n_inputs * self.values.itemsize))
        for first in range(0, self.n_values, step):
            places = np.arange(first, min(first + step, self.n_values), dtype=np.int64)
            yield places, self.values[:, first : first + step]
