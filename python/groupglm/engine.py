# SPDX-License-Identifier: BSD-3-Clause
"""The one engine: a map-reduce of images into an OLS state.

Threads read images into a batch of rows; while the next batch is being read, the compiled core
takes the last one up into the state. Memory is two batches and the state, whatever the number of
images:

    2 * min(n_images, batch) * n_values * itemsize  +  8 * (n_columns + 2) * n_values   bytes

besides one inflated image a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from groupglm import _core
from groupglm.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces import Space

__all__ = ["Source", "fit_state", "read_rows"]

# One batch of rows: enough rows that taking up a batch costs little more than its arithmetic.
_BATCH_BYTES = 40 * 2**20


class Source(Protocol):
    """An opened input: what the engine asks of it."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest of float32 and float64 that holds its values exactly."""
        ...


def fit_state(
    sources: Sequence[Any],
    space: Space[Any],
    design: _core.Design,
    *,
    n_threads: int,
    fill: float | None = None,
    advance: Callable[[int], object] | None = None,
) -> _core.OlsState:
    """Read every input once and take it up into a state.

    Parameters
    ----------
    sources : sequence of Source
        Opened inputs that the space can read, in the order of the design's rows.
    space : Space
        Turns an input into a row of values.
    design : _core.Design
        The factorised design, one row an input.
    n_threads : int
        Number of threads, at least 1.
    fill : float, optional
        Put in the place of missing values.
    advance : callable, optional
        Called with the number of inputs that have just been read.

    Returns
    -------
    _core.OlsState
        The same bits for any number of threads.

    Raises
    ------
    groupglm.errors.ImageError
        If an input cannot be read, or holds infinite values.
    """
    state = _core.OlsState(design.n_working, space.n_values)
    for first, rows in read_rows(sources, space, n_threads=n_threads, fill=fill, advance=advance):
        _take_up(state, design, first, rows, sources, n_threads)
    return state


def read_rows(
    sources: Sequence[Any],
    space: Space[Any],
    *,
    n_threads: int,
    fill: float | None = None,
    advance: Callable[[int], object] | None = None,
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Read inputs in parallel, a batch ahead of the caller.

    Parameters
    ----------
    sources : sequence of Source
        Opened inputs that the space can read.
    space : Space
        Turns an input into a row of values.
    n_threads : int
        Number of threads, at least 1.
    fill : float, optional
        Put in the place of missing values.
    advance : callable, optional
        Called with the number of inputs that have just been read.

    Yields
    ------
    first : int
        Place of the batch's first input.
    rows : array of float32 or float64, shape (n_rows, n_values)
        The batch; valid until the next one is asked for.

    Raises
    ------
    groupglm.errors.ImageError
        If an input cannot be read.
    """
    dtype = np.result_type(*{source.dtype for source in sources})
    row_bytes = max(1, space.n_values * dtype.itemsize)
    n_rows = int(np.clip(_BATCH_BYTES // row_bytes, 1, len(sources)))
    buffers = [np.empty((n_rows, space.n_values), dtype=dtype) for _ in range(2)]

    def read(source: Any, row: NDArray[Any]) -> None:
        space.read_row(source, row)
        if fill is not None:
            row[np.isnan(row)] = fill

    def submit(first: int, buffer: NDArray[Any]) -> list[Future[None]]:
        batch = sources[first : first + n_rows]
        return [pool.submit(read, source, row) for source, row in zip(batch, buffer, strict=False)]

    with ThreadPoolExecutor(n_threads) as pool:
        try:
            pending = submit(0, buffers[0])
            for number, first in enumerate(range(0, len(sources), n_rows)):
                for row in pending:
                    row.result()
                    if advance is not None:
                        advance(1)
                count = len(pending)
                pending = submit(first + n_rows, buffers[(number + 1) % 2])
                yield first, buffers[number % 2][:count]
        except BaseException:
            # Also when interrupted: what has not begun is not begun.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _take_up(
    state: _core.OlsState,
    design: _core.Design,
    first: int,
    rows: NDArray[Any],
    sources: Sequence[Source],
    n_threads: int,
) -> None:
    try:
        state.update(design, first, rows, n_threads)
    except _core.InfiniteValueError as error:
        row, count = error.args
        raise ImageError(
            f"{sources[first + row].name}: {count} values are infinite; replace them by NaN to "
            "treat them as missing, or give a mask that leaves them out"
        ) from None
