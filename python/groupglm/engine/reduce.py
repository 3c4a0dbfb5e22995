# SPDX-License-Identifier: BSD-3-Clause
"""The one engine: a map-reduce of images into what a model keeps of them.

The images are read in the order that the plan of a model needs, in chunks of a fixed number, or the
fewest that make so many and end where the plan says. Each chunk fills an accumulator, and the
accumulators are merged in that order. The result is therefore the same to the last bit for any
number of threads, on this machine or on the workers of a cluster.

On this machine, threads read images into a batch of rows (`groupglm.engine.rows`). While they read
the next batch, the accumulator is updated with the last one. Memory does not depend on the number
of images (`groupglm.runtime.budget`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm import _core
from groupglm.engine.occupied import Occupied
from groupglm.engine.occupied_rows import OccupiedPlan, OccupiedRows
from groupglm.engine.reading import Reading
from groupglm.engine.rows import CHUNK, Reader, chunk_ends, read_rows, readers_of, row_dtype
from groupglm.errors import ArgumentError, ImageError
from groupglm.models.base import Spreads
from groupglm.runtime.naming import counted
from groupglm.runtime.workers import is_remote, run_remotely, worker_name
from groupglm.spaces.zeros import ZeroTally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Accumulator, Plan
    from groupglm.spaces.base import Source, Space

    _ChunkResult: TypeAlias = tuple[
        Accumulator, tuple[NDArray[np.int32], bool] | None, tuple[float, float] | None
    ]

__all__ = ["accumulate", "accumulate_occupied", "reading_order", "union", "value_range"]

_READERS_PER_UPDATER = 4
"""Number of reading threads for each thread that updates the accumulator.

Adding a row to the accumulator takes a tenth of the time of reading it. OpenMP's threads spin while
they wait for each other and for the next batch: with as many of them as readers, the readers would
lose their processors.
"""

_MAX_SENT = 64 * 2**20  # bytes of images in memory that may travel to workers


def accumulate(sources: Sequence[Any], space: Reader, plan: Plan, reading: Reading) -> Accumulator:
    """Read every input once, in the plan's order, and fill the accumulator of a model."""
    sources, chunks = _in_reading_order(sources, plan), _chunks_of(sources, plan)
    if is_remote():
        filled = _filled_by_workers(sources, space, plan, reading, chunks)
    else:
        batches = read_rows(
            sources,
            space,
            n_threads=reading.n_threads,
            fill=reading.fill,
            advance=reading.advance,
            batch_bytes=reading.batch_bytes,
            tally=reading.tally,
            beside=plan.model.beside,
            chunks=chunks,
        )
        if reading.keep is not None:
            batches = reading.keep.keeping(batches)
        filled = _filled_by_batches(batches, sources, space, plan, reading, chunks)
    total: Accumulator = _merged(filled, reading)
    return total


def accumulate_occupied(
    sources: Sequence[Any], space: Space, plan: Plan, reading: Reading
) -> tuple[Accumulator, Occupied]:
    """Do as `accumulate`, where the mask is not known: at the places where some input is not zero.

    Returns the accumulator of these places, and the places; `reading.tally`, which is of no place
    yet, and `reading.keep` are of them too. At all other places every row is zero. The numbers have
    the bits that `accumulate` gives.
    """
    hides_zeros = space.zero_is_missing or not isinstance(plan.accumulator(0), Spreads)
    if is_remote() or hides_zeros:
        whole = Occupied.everywhere(space.n_values)
        if reading.tally is not None:
            reading.tally.spread(np.empty(0, np.int64), space.n_values)
        return accumulate(sources, space, plan, reading), whole
    sources, chunks = _in_reading_order(sources, plan), _chunks_of(sources, plan)
    rows = OccupiedRows(sources, space, reading, beside=plan.model.beside, chunks=chunks)
    occupied_plan = OccupiedPlan(plan, rows)
    filled = _filled_by_batches(rows.batches(), sources, space, occupied_plan, reading, chunks)
    total = _merged(filled, reading)
    return total.accumulator, rows.places


def reading_order(plan: Plan) -> NDArray[np.int64] | None:
    """Return the numbers of the inputs in the order in which they are read; None: as given.

    What is beside an image follows it.
    """
    if plan.order is None:
        return None
    k = plan.model.rows_per_image
    order: NDArray[np.int64] = (k * plan.order[:, np.newaxis] + np.arange(k)).ravel()
    return order


def _in_reading_order(sources: Sequence[Any], plan: Plan) -> Sequence[Any]:
    order = reading_order(plan)
    return sources if order is None else [sources[number] for number in order]


def _chunks_of(sources: Sequence[Any], plan: Plan) -> list[int]:
    return chunk_ends(len(sources) // plan.model.rows_per_image, plan.ends)


def _merged(filled: Generator[Any, None, None], reading: Reading) -> Any:
    """Return the accumulator of all chunks, merged in their order."""
    # Closed by name: an error's traceback would keep the threads until it is gone.
    with closing(filled):
        total = next(filled)
        reading.check_missing(total.n_missing)
        for accumulator in filled:
            total.merge(accumulator, _n_updaters(reading.n_threads))
            reading.check_missing(total.n_missing)
    return total


def _n_updaters(n_threads: int) -> int:
    return -(-n_threads // _READERS_PER_UPDATER)


def _filled_by_batches(
    batches: Generator[tuple[int, NDArray[Any]], None, None],
    sources: Sequence[Source],
    space: Reader,
    plan: Plan | OccupiedPlan,
    reading: Reading,
    chunks: Sequence[int],
) -> Generator[Any, None, None]:
    """Yield the accumulator of each chunk of inputs; the next chunk is being read meanwhile."""
    n_threads, k = reading.n_threads, plan.model.rows_per_image
    ends = {k * end for end in chunks}
    with closing(batches):
        for first, rows in batches:
            if reading.look is not None:
                reading.look(first, rows)
            if first == 0 or first in ends:
                accumulator = plan.accumulator(rows.shape[1])
            n_done = first + len(rows)
            is_last = n_done == len(sources)
            # After the last batch nothing is left to read.
            n_updaters = n_threads if is_last else _n_updaters(n_threads)
            try:
                accumulator.update(first, rows, n_updaters)
            except _core.InfiniteValueError as error:
                row, count = error.args
                reader = readers_of(space, plan.model.beside)[(first + row) % k]
                raise ImageError(
                    f"{_with_infinite(sources[first + row], reader)}: "
                    f"{counted(count, 'infinite value')}; replace by NaN to treat as missing, or "
                    "give a mask that leaves them out"
                ) from None
            if n_done in ends:
                yield accumulator


def _with_infinite(source: Source, reader: Reader) -> str:
    """Read an input again, and return the name of its part that holds infinite values."""
    row = np.empty(reader.n_values, source.dtype)
    reader.read_row(source, row)
    return reader.name_of(source, np.isinf(row))


@dataclass(frozen=True, eq=False)
class _ChunkTask:
    """The work on one chunk, as it travels to a worker; images travel as their files' names."""

    sources: Sequence[Any]
    space: Any
    plan: Plan
    fill: float | None
    batch_bytes: int
    dtype: np.dtype[Any]
    counts_zeros: bool
    keep: Callable[[Sequence[Any]], Sequence[Any]] | None

    def __call__(self) -> _ChunkResult:
        tally = ZeroTally(self.space.n_values) if self.counts_zeros else None
        whole = [len(self.sources) // self.plan.model.rows_per_image]
        sources, found = self.sources, None
        if self.keep is not None:
            sources = self.keep(sources)  # as long as this task
            found = _RangeTask(sources)()
        batches = read_rows(
            sources,
            self.space,
            n_threads=1,
            fill=self.fill,
            batch_bytes=self.batch_bytes,
            dtype=self.dtype,
            tally=tally,
            beside=self.plan.model.beside,
            chunks=whole,
        )
        alone = Reading(n_threads=1)
        try:
            (accumulator,) = _filled_by_batches(
                batches, sources, self.space, self.plan, alone, whole
            )
        except ImageError as error:
            raise type(error)(f"{error} (on worker {worker_name()})") from error
        return accumulator, None if tally is None else (tally.counts, tally.all_whole), found


def _filled_by_workers(
    sources: Sequence[Any], space: Reader, plan: Plan, reading: Reading, ends: Sequence[int]
) -> Generator[Accumulator, None, None]:
    """Yield the accumulator of each chunk in turn, filled by the workers of joblib's backend."""
    sent = sum(source.nbytes_in_memory for source in sources)
    if sent > _MAX_SENT:
        raise ArgumentError.about(
            "second_level_input",
            f"the images are in memory and would be sent to the workers ({sent / 1e6:.0f} MB): "
            "save them to files that the workers can read, and give the file names",
        )
    k, tally, ranges = plan.model.rows_per_image, reading.tally, reading.ranges
    chunks = [(first, sources[k * first : k * end]) for first, end in pairwise([0, *ends])]
    dtype = row_dtype(sources)
    results = run_remotely(
        _ChunkTask(
            tuple(chunk),
            space,
            plan.part(first, len(chunk) // k),
            reading.fill,
            reading.batch_bytes,
            dtype,
            tally is not None,
            None if ranges is None else ranges.keep,
        )
        for first, chunk in chunks
    )
    for (_, chunk), (accumulator, zeros, found) in zip(chunks, results, strict=True):
        if ranges is not None and found is not None:
            ranges.found.append(found)
        if tally is not None and zeros is not None:
            counts, all_whole = zeros
            tally.merge(counts, all_whole=all_whole)
        if reading.advance is not None:
            reading.advance(len(chunk))
        yield accumulator


@dataclass(frozen=True, eq=False)
class _RangeTask:
    """Finds the range of a chunk of inputs."""

    sources: Sequence[Any]

    def __call__(self) -> tuple[float, float]:
        return union(source.value_range() for source in self.sources)


def value_range(sources: Sequence[Any], n_threads: int) -> tuple[float, float]:
    """Read every input, and return the range of all finite values and zero."""
    if is_remote():
        chunks = (sources[first : first + CHUNK] for first in range(0, len(sources), CHUNK))
        return union(run_remotely(_RangeTask(tuple(chunk)) for chunk in chunks))
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            return union(pool.map(lambda source: source.value_range(), sources))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def union(ranges: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the range that holds some ranges."""
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)
