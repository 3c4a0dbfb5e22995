# SPDX-License-Identifier: BSD-3-Clause
"""Rows of values, read from opened inputs by threads, a batch ahead of who uses them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.zeros import Zeros, ZeroTally

__all__ = [
    "BATCH_BYTES",
    "CHUNK",
    "CHUNK_OF_SUBJECTS",
    "Reader",
    "ahead",
    "batch_bounds",
    "chunk_ends",
    "read_rows",
    "readers_of",
    "row_dtype",
    "tasks_of",
]

BATCH_BYTES = 40 * 2**20
"""Bytes of one batch of rows: enough that the fixed cost of adding a batch is small."""

CHUNK = 64
"""Images of one accumulator: enough that merging costs little, few enough to occupy workers."""

CHUNK_OF_SUBJECTS = 2 * CHUNK
"""Images at least, where a plan says at which images an accumulator may end.

Such an accumulator holds several states: of fewer images it would be larger than they are.
"""

_TASK_BYTES = 2 * 2**20
"""Bytes of the rows of one task: to hand a small image to a thread would take longer than it."""

_TASKS_A_THREAD = 8
"""Tasks of a batch for each thread, at least, where it has so many rows: no thread waits long."""

_LAST_IMAGES = 8
"""Images of the last batch; few, because no reading runs while they are added."""


class Reader(Protocol):
    """What turns an input into a row: a `groupglm.spaces.base.Space`, or a cache before one."""

    @property
    def n_values(self) -> int:
        """Length of a row."""
        ...

    def read_row(self, source: Any, out: NDArray[Any]) -> Zeros | None:
        """Fill a row; called from several threads at once, with a different row each."""
        ...

    def reader_of(self, role: str) -> Reader:
        """Return what reads a row of that role beside an image, of `groupglm.models.base.ROLES`."""
        ...

    def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
        """Return the name of an input, or of those parts of it that have some of the places."""
        ...


def readers_of(space: Reader, beside: Sequence[str]) -> tuple[Reader, ...]:
    """Return what reads each row of an image: its own, and those of some roles beside it."""
    return (space, *(space.reader_of(role) for role in beside))


def row_dtype(sources: Sequence[Source]) -> np.dtype[Any]:
    """Return the type that holds the values of all sources exactly."""
    return np.result_type(*{source.dtype for source in sources})


def read_rows(
    sources: Sequence[Any],
    space: Reader,
    *,
    n_threads: int,
    fill: float | None = None,
    advance: Callable[[int], object] | None = None,
    batch_bytes: int = BATCH_BYTES,
    dtype: np.dtype[Any] | None = None,
    tally: ZeroTally | None = None,
    beside: Sequence[str] = (),
    chunks: Sequence[int] | None = None,
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    """Read inputs in parallel, a batch ahead of the caller.

    Inputs of the roles `beside` follow each image. An image and what is beside it are in one batch,
    and no batch reaches over the end of a chunk (see `chunk_ends`). Zeros are counted, and missing
    values filled, in the images themselves only.

    Yields the number of a batch's first input, and its rows, shape (n_rows, n_values), which are
    valid until the next batch.
    """
    dtype = dtype or row_dtype(sources)
    row_bytes = max(1, space.n_values * dtype.itemsize)
    readers = readers_of(space, beside)
    bounds = batch_bounds(len(sources), batch_bytes // row_bytes, len(readers), chunks)
    n_rows = max(end - first for first, end in bounds)
    buffers = [np.empty((n_rows, space.n_values), dtype=dtype) for _ in range(2)]

    def read(number: int, source: Any, row: NDArray[Any]) -> None:
        role = number % len(readers)
        zeros = readers[role].read_row(source, row)
        if role > 0:
            return
        if fill is not None:
            row[np.isnan(row)] = fill
        if tally is not None:
            tally.add_row(row, zeros)

    def read_some(numbers: range, rows: NDArray[Any]) -> list[None]:
        for number, row in zip(numbers, rows, strict=True):
            read(number, sources[number], row)
        return [None] * len(numbers)

    def submit(pool: ThreadPoolExecutor, number: int) -> list[Future[list[None]]]:
        first, end = bounds[number]
        rows = buffers[number % 2]
        return [
            pool.submit(read_some, own, rows[own.start - first : own.stop - first])
            for own in tasks_of(first, end, row_bytes, n_threads)
        ]

    with closing(ahead(len(bounds), submit, n_threads, advance)) as batches:
        for number, _ in enumerate(batches):
            first, end = bounds[number]
            yield first, buffers[number % 2][: end - first]


def tasks_of(first: int, end: int, row_bytes: int, n_threads: int) -> list[range]:
    """Divide the inputs of a batch among tasks of the threads; small inputs share one.

    Examples
    --------
    >>> tasks_of(0, 4, 100, 1), [len(task) for task in tasks_of(0, 64, 300_000, 2)][:3]
    ([range(0, 1), range(1, 2), range(2, 3), range(3, 4)], [4, 4, 4])
    """
    fewest = (end - first) // (_TASKS_A_THREAD * n_threads)
    step = max(1, min(_TASK_BYTES // row_bytes, fewest))
    return [range(start, min(start + step, end)) for start in range(first, end, step)]


def ahead(
    n_batches: int,
    submit: Callable[[ThreadPoolExecutor, int], list[Future[list[Any]]]],
    n_threads: int,
    advance: Callable[[int], object] | None,
) -> Generator[list[Any], None, None]:
    """Yield the results of each batch's tasks, while the tasks of the next one run.

    A task returns a result for each of its inputs.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            pending = [submit(pool, number) for number in range(min(2, n_batches))]
            for number in range(n_batches):
                results = []
                for task in pending.pop(0):
                    own = task.result()
                    results += own
                    if advance is not None:
                        advance(len(own))
                yield results
                # Its buffer is free now. The readers are still at the next batch: none ever waits.
                if number + 2 < n_batches:
                    pending.append(submit(pool, number + 2))
        except BaseException:
            # Also when interrupted: no further reading begins.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def chunk_ends(n_images: int, ends: NDArray[np.int64] | None = None) -> list[int]:
    """Return how many images come before the end of each chunk.

    Parameters
    ----------
    n_images : int
        The number of all images.
    ends : array of int, optional
        The numbers of images after which a chunk may end, ascending; by default any.

    Examples
    --------
    >>> import numpy as np
    >>> chunk_ends(150)
    [64, 128, 150]
    >>> chunk_ends(250, np.array([40, 90, 140, 170, 250]))
    [140, 250]
    """
    if ends is None:
        return [*range(CHUNK, n_images, CHUNK), n_images]
    found: list[int] = []
    last = 0
    while last < n_images:
        enough = ends[ends >= last + CHUNK_OF_SUBJECTS]
        last = int(enough[0]) if len(enough) else n_images
        found.append(last)
    return found


def batch_bounds(
    n_sources: int, n_rows: int, together: int = 1, chunks: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """Return the first input of each batch of at most `n_rows`, and the one after its last.

    Inputs that belong together, an image and what is beside it, are in one batch. `chunks` is the
    result of `chunk_ends`, by default for images that may be anywhere.
    """
    n_images = n_sources // together
    n_at_once = int(np.clip(n_rows // together, 1, min(CHUNK, n_images)))
    bounds = _bounds(chunks or chunk_ends(n_images), n_at_once)
    return [(first * together, end * together) for first, end in bounds]


def _bounds(chunks: Sequence[int], n_at_once: int) -> Iterator[tuple[int, int]]:
    """Yield the first image of each batch, and the one after its last."""
    first = 0
    for last in chunks:
        # A chunk that is not full is the last one: what a worker, who sees one chunk, can tell too.
        is_full = last - first >= CHUNK
        while first < last:
            end = min(first + n_at_once, last)
            if end == last and not is_full and end - first > 2 * _LAST_IMAGES:
                end -= _LAST_IMAGES
            yield first, end
            first = end
