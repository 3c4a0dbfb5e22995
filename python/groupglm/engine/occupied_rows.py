# SPDX-License-Identifier: BSD-3-Clause
"""Inputs read where some of them are not zero, as long as no mask is known: `OccupiedRows`."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.engine.occupied import Occupied
from groupglm.engine.rows import ahead, batch_bounds, readers_of, row_dtype, tasks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.engine.reading import Reading
    from groupglm.models.base import Accumulator, Model, Plan, Spreads, Values
    from groupglm.spaces.base import Source, Space

__all__ = ["OccupiedPlan", "OccupiedRows"]

_MOST_GROWTHS = 8
"""Batches that may add places; if one more adds places, all places become occupied."""


class OccupiedRows:
    """Rows of inputs at the places where some input so far is not zero.

    An input that is not zero at other places adds these places. The rows and counts of earlier
    inputs are then enlarged by zeros.

    Parameters
    ----------
    sources : sequence of Source
        The inputs.
    space : Space
        All places; its rows must not hide where an input is zero.
    reading : Reading
        How they are read: in the batches of whole rows that `read_rows` makes. Its tally is of no
        place yet.
    beside : sequence of str, default=()
        Roles of the inputs that follow each image; they are in its batch.
    chunks : sequence of int, optional
        How many images come before the end of each chunk, as `chunk_ends` returns it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        space: Space,
        reading: Reading,
        *,
        beside: Sequence[str] = (),
        chunks: Sequence[int] | None = None,
    ) -> None:
        self._sources = sources
        self._space = space
        self._reading = reading
        self._dtype = row_dtype(sources)
        row_bytes = max(1, space.n_values * self._dtype.itemsize)
        self._readers: Any = readers_of(space, beside)
        n_rows = reading.batch_bytes // row_bytes
        self._bounds = batch_bounds(len(sources), n_rows, len(self._readers), chunks)
        self._read_at: list[Occupied] = []  # the places at which each batch is read
        self._buffers: list[NDArray[Any]] = [np.empty((0, 0), self._dtype)] * 2
        self._n_growths = 0
        self._own = threading.local()
        self._occupied: Occupied | None = None

    def batches(self) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the number of a batch's first input, and its rows, valid until the next batch."""
        n_threads, advance = self._reading.n_threads, self._reading.advance
        tally, keep = self._reading.tally, self._reading.keep
        with closing(ahead(len(self._bounds), self._submit, n_threads, advance)) as results:
            for number, elsewhere in enumerate(results):
                first = self._bounds[number][0]
                rows = self._together(number, elsewhere)
                if tally is not None:
                    for row in rows[:: len(self._readers)]:
                        tally.add_row(row, None)
                if keep is not None:
                    keep.put(first, rows)
                yield first, rows

    def _submit(self, pool: ThreadPoolExecutor, number: int) -> list[Future[Any]]:
        """Have a batch read; a task returns the whole row of an input with values elsewhere."""
        first, end = self._bounds[number]
        if number == 0:
            # The others wait for the first input: it tells where inputs are about to be zero.
            values = pool.submit(self._values, self._sources[0], 0).result()
            self._grow(Occupied.of(values), 0)
            self._own = threading.local()  # the values may lie in a thread's room
        occupied = self.places
        self._read_at.append(occupied)
        shape = (max(end - first for first, end in self._bounds), occupied.n_places)
        if self._buffers[number % 2].shape != shape:
            self._buffers[number % 2] = np.empty(shape, self._dtype)
        rows = self._buffers[number % 2]
        tasks: list[Future[Any]] = []
        if number == 0:
            tasks.append(pool.submit(lambda: [self._put(values, rows[0], occupied, 0)]))
            first += 1
        n_bytes = max(1, rows[0].nbytes)
        beginning = self._bounds[number][0]
        tasks += [
            pool.submit(self._read_some, own, rows, occupied, beginning)
            for own in tasks_of(first, end, n_bytes, self._reading.n_threads)
        ]
        return tasks

    def _read_some(
        self, numbers: range, rows: NDArray[Any], occupied: Occupied, first: int
    ) -> list[NDArray[Any] | None]:
        """Read some inputs of a batch, whose first one is `first`, into their rows."""
        return [
            self._read(
                self._sources[number],
                rows[number - first],
                occupied,
                (number - first) % len(self._readers),
            )
            for number in numbers
        ]

    @property
    def places(self) -> Occupied:
        """The places of the batch that was yielded last; known once the first input is read."""
        assert self._occupied is not None  # noqa: S101  (since the first input was read)
        return self._occupied

    def _values(self, source: Source, role: int) -> NDArray[Any]:
        # Fresh memory for each input would cost more than reading it.
        if not hasattr(self._own, "room"):
            self._own.room = np.empty(self._space.n_values, self._dtype)
        values: NDArray[Any] = self._readers[role].read_values(source, self._own.room)
        return values

    def _read(
        self, source: Source, row: NDArray[Any], occupied: Occupied, role: int
    ) -> NDArray[Any] | None:
        values = self._values(source, role)
        elsewhere = self._put(values, row, occupied, role)
        return values.copy() if elsewhere is self._own.room else elsewhere

    def _put(
        self, values: NDArray[Any], row: NDArray[Any], occupied: Occupied, role: int
    ) -> NDArray[Any] | None:
        if not occupied.gather(values, row):
            return values
        if self._reading.fill is not None and role == 0:
            row[np.isnan(row)] = self._reading.fill
        return None

    def _together(self, number: int, elsewhere: list[NDArray[Any] | None]) -> NDArray[Any]:
        """Return the rows of a batch that was read, all at the places of this batch."""
        first, end = self._bounds[number]
        rows, read_at = self._buffers[number % 2][: end - first], self._read_at[number]
        occupied = self.places
        for values in elsewhere:
            if values is not None:
                occupied = occupied.with_values(values)
        if occupied.n_places > self.places.n_places:
            self._grow(occupied, first)
        occupied = self.places
        if occupied.n_places == read_at.n_places:
            return rows
        places = read_at.within(occupied)
        longer = np.zeros((len(rows), occupied.n_places), self._dtype)
        for place, (before, values) in enumerate(zip(rows, elsewhere, strict=True)):
            if values is None:
                longer[place, places] = before
            else:
                self._put(values, longer[place], occupied, place % len(self._readers))
        return longer

    def _grow(self, occupied: Occupied, n_read: int) -> None:
        """Take new places, and spread what was kept of the inputs that were read."""
        before = self._occupied
        self._n_growths += before is not None
        if self._n_growths > _MOST_GROWTHS or not occupied.n_places:
            occupied = Occupied.everywhere(occupied.n_values)
        places = np.empty(0, np.int64) if before is None else before.within(occupied)
        if self._reading.tally is not None:
            self._reading.tally.spread(places, occupied.n_places)
        if self._reading.keep is not None:
            self._reading.keep.spread(places, occupied.n_places, n_read)
        self._occupied = occupied


@dataclass(frozen=True, eq=False)
class OccupiedPlan:
    """A plan whose accumulators hold the occupied places of rows that are being read."""

    plan: Plan
    rows: OccupiedRows

    @property
    def model(self) -> Model:
        """The model of the plan."""
        return self.plan.model

    def accumulator(self, n_values: int) -> OccupiedAccumulator:
        """Return an empty one, of the places that are occupied now."""
        return OccupiedAccumulator(self.plan.accumulator(n_values), self.rows)


class OccupiedAccumulator:
    """An accumulator whose places grow with those of the rows that are being read.

    Parameters
    ----------
    accumulator : Accumulator that spreads
        The accumulator of the places that are occupied now.
    rows : OccupiedRows
        The rows that are being read.
    """

    def __init__(self, accumulator: Any, rows: OccupiedRows) -> None:
        self.accumulator: Accumulator = accumulator
        self._rows = rows
        self._places = rows.places

    @property
    def n_missing(self) -> int:
        """Number of places that some row has lacked so far."""
        return self.accumulator.n_missing

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        """Take rows of the places that are occupied now."""
        self._follow()
        self.accumulator.update(first, rows, n_threads)

    def merge(self, other: OccupiedAccumulator, n_threads: int) -> None:
        """Take what another accumulator has seen, of which the last was read later."""
        self._follow()
        self.accumulator.merge(other.accumulator, n_threads)

    def _follow(self) -> None:
        """Add the places that are occupied since: all rows added so far are zero there."""
        now, before = self._rows.places, self._places
        if now is before:
            return
        own: Spreads = self.accumulator  # type: ignore[assignment]
        self.accumulator = own.spread(before.within(now), now.n_places)
        self._places = now
