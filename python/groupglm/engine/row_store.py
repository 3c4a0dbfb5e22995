# SPDX-License-Identifier: BSD-3-Clause
"""All rows of a group, stored while they are needed: `RowStore`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.engine.rows import BATCH_BYTES
from groupglm.runtime.scratch import ScratchFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["RowStore"]


class RowStore:
    """The rows of all inputs: in memory if they fit, else in a scratch file without a name.

    It is filled once, row by row, in the order in which the inputs are read. It is then read in the
    order of the inputs, by rows (some inputs, all places) or by tiles (all inputs, some places).

    Parameters
    ----------
    n_inputs : int
        Number of rows.
    n_values : int
        Length of a row.
    dtype : numpy.dtype
        float32 or float64.
    memory_budget : float
        Bytes that the rows may take in memory: ``n_inputs * n_values * dtype.itemsize`` or none.
    order : array of int, shape (n_inputs,), optional
        The numbers of the inputs in the order in which their rows are put; by default as they are.

    Raises
    ------
    OSError
        If the rows do not fit into memory, and the temporary folder has no room for them.

    Examples
    --------
    >>> import numpy as np
    >>> store = RowStore(3, 5, np.dtype(np.float32), memory_budget=1e6)
    >>> store.put(0, np.arange(15, dtype=np.float32).reshape(3, 5))
    >>> for places, values in store.tiles(max_bytes=3 * 4 * 4):
    ...     print(places, values.shape, values[:, 0])
    [0 1 2 3] (3, 4) [ 0.  5. 10.]
    [4] (3, 1) [ 4.  9. 14.]
    """

    def __init__(
        self,
        n_inputs: int,
        n_values: int,
        dtype: np.dtype[Any],
        *,
        memory_budget: float,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.n_inputs = n_inputs
        self.n_values = n_values
        self.dtype = dtype
        self._memory_budget = memory_budget
        self._order = order
        self._make_room()

    def _make_room(self) -> None:
        self._array: Rows | None = None
        self._file: ScratchFile | None = None
        if self._fits_in_memory:
            self._array = np.empty((self.n_inputs, self.n_values), self.dtype)
        else:
            self._file = ScratchFile(self.n_inputs, self._row_bytes)

    @property
    def _fits_in_memory(self) -> bool:
        return self.n_inputs * self._row_bytes <= self._memory_budget

    @property
    def _row_bytes(self) -> int:
        return self.n_values * self.dtype.itemsize

    @property
    def is_in_memory(self) -> bool:
        """Whether the rows are in memory, and not in a scratch file."""
        return self._file is None

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of memory that the rows take; 0 in a scratch file."""
        return self.n_inputs * self._row_bytes if self.is_in_memory else 0

    def put(self, first: int, rows: Rows) -> None:
        """Store the rows of inputs that are read one after the other, shape (n_rows, n_values).

        The first of them is read after `first` others.
        """
        if self._order is not None:
            numbers = self._order[first : first + len(rows)]
            if self._array is not None:
                self._array[numbers] = rows
            elif self._file is not None:
                for number, row in zip(numbers.tolist(), rows, strict=True):
                    self._file.write(number, row.astype(self.dtype, copy=False))
        elif self._array is not None:
            self._array[first : first + len(rows)] = rows
        elif self._file is not None:
            self._file.write(first, rows.astype(self.dtype, copy=False))

    def keeping(
        self, batches: Generator[tuple[int, NDArray[Any]], None, None]
    ) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the batches, and store each of them before it is yielded."""
        # Closed explicitly: after an error, its traceback would keep the reading threads alive.
        with closing(batches):
            for first, rows in batches:
                self.put(first, rows)
                yield first, rows

    def batches(self, max_bytes: int = BATCH_BYTES) -> Generator[tuple[int, Rows], None, None]:
        """Yield the rows, some at a time.

        Yields the number of the first input, and the rows, shape (n_rows, n_values).
        """
        n_rows = max(1, max_bytes // max(1, self._row_bytes))
        buffer = None
        for first in range(0, self.n_inputs, n_rows):
            last = min(first + n_rows, self.n_inputs)
            if self._array is not None:
                yield first, self._array[first:last]
            elif self._file is not None:
                if buffer is None:
                    buffer = np.empty((last - first, self.n_values), self.dtype)
                rows = buffer[: last - first]
                self._file.read(first, rows)
                yield first, rows

    def tiles(self, max_bytes: int) -> Generator[tuple[NDArray[np.int64], Rows], None, None]:
        """Yield all inputs' values of some places at a time.

        Yields the places, shape (n_places,), and the values, shape (n_inputs, n_places).
        """
        n_places = max(1, max_bytes // max(1, self.n_inputs * self.dtype.itemsize))
        buffer = None
        for first in range(0, self.n_values, n_places):
            places = np.arange(first, min(first + n_places, self.n_values), dtype=np.int64)
            if self._array is not None:
                yield places, self._array[:, first : first + len(places)]
            elif self._file is not None:
                if buffer is None:
                    buffer = np.empty((self.n_inputs, min(n_places, self.n_values)), self.dtype)
                values = buffer[:, : len(places)]
                for number, row in enumerate(values):
                    self._file.read(number, row, offset=first * self.dtype.itemsize)
                yield places, values

    def array(self) -> Rows:
        """Return all rows, shape (n_inputs, n_values); they must not be written to.

        Of a scratch file, the system loads the pages that are used, and drops them when memory is
        short.
        """
        if self._array is not None:
            return self._array
        assert self._file is not None  # noqa: S101  (one of the two)
        mapped: Rows = self._file.mapped().view(self.dtype).reshape(self.n_inputs, self.n_values)
        return mapped

    def select(self, places: NDArray[np.int64]) -> None:
        """Keep only the values at some places, given in increasing order; free the other memory.

        Shapes: `places` (n_places,).
        """
        n_kept = len(places)
        kept_bytes = n_kept * self.dtype.itemsize
        row = np.empty(self.n_values, self.dtype)
        for number in range(self.n_inputs):
            # A shorter row ends before the next longer row begins, so it overwrites only values
            # that were read already.
            if self._array is not None:
                flat = self._array.reshape(-1)
                flat[number * n_kept : (number + 1) * n_kept] = self._array[number].take(places)
            elif self._file is not None:
                self._file.read(number, row)
                chosen = row.take(places)
                self._file.write(0, chosen, offset=number * kept_bytes)
        self.n_values = n_kept
        if self._array is not None:
            del flat
            self._array.resize((self.n_inputs, n_kept), refcheck=False)
        elif self._file is not None:
            self._file.resize(self.n_inputs, kept_bytes)

    def spread(self, places: NDArray[np.int64], n_values: int, n_put: int) -> None:
        """Lengthen the `n_put` rows that are filled; the new values are zero.

        Rows that are then too long for the memory go to a scratch file.

        Shapes: `places` (old n_values,): the positions of the old values in the longer row.
        """
        n_before, bytes_before = self.n_values, self._row_bytes
        longer = np.zeros(n_values, self.dtype)
        row = np.empty(n_before, self.dtype)
        self.n_values = n_values
        if n_put == 0:  # nothing is stored yet, and the rows may be shorter
            self._make_room()
            return
        if self._array is not None and not self._fits_in_memory:
            self._file, array, self._array = (
                ScratchFile(self.n_inputs, self._row_bytes),
                self._array,
                None,
            )
            for number in self._put_so_far(n_put):
                longer[places] = array[number]
                self._file.write(number, longer)
            return
        if self._array is not None:
            self._array.resize((self.n_inputs, n_values), refcheck=False)
        elif self._file is not None:
            self._file.resize(self.n_inputs, self._row_bytes)
        # From last to first, so that each longer row overwrites only values that were read already.
        for number in reversed(self._put_so_far(n_put)):
            if self._array is not None:
                flat = self._array.reshape(-1)
                longer[places] = flat[number * n_before : (number + 1) * n_before]
                self._array[number] = longer
            elif self._file is not None:
                self._file.read(0, row, offset=number * bytes_before)
                longer[places] = row
                self._file.write(number, longer)

    def _put_so_far(self, n_put: int) -> list[int]:
        """Return the numbers of the inputs whose rows were put, ascending."""
        if self._order is None:
            return list(range(n_put))
        return sorted(self._order[:n_put].tolist())
