# SPDX-License-Identifier: BSD-3-Clause
"""Rows kept in memory or in a scratch file: the same bits, read by rows and by tiles."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groupglm.engine.row_store import RowStore
from groupglm.engine.rows import read_rows

ROOMS = (float("inf"), 0.0)  # in memory; in a scratch file


def filled(
    values: NDArray[Any], room: float, n_rows: int, order: NDArray[np.int64] | None = None
) -> RowStore:
    n_inputs, n_values = values.shape
    store = RowStore(n_inputs, n_values, values.dtype, memory_budget=room, order=order)
    read = values if order is None else values[order]
    for first in range(0, len(values), n_rows):
        store.put(first, read[first : first + n_rows])
    assert store.is_in_memory == (room > 0)
    return store


def by_tiles(store: RowStore, max_bytes: int) -> NDArray[Any]:
    whole = np.full((store.n_inputs, store.n_values), 7, store.dtype)
    seen = np.zeros(store.n_values, int)
    for places, values in store.tiles(max_bytes):
        assert values.shape == (store.n_inputs, len(places))
        assert values.nbytes <= max(max_bytes, store.n_inputs * store.dtype.itemsize)
        whole[:, places] = values
        seen[places] += 1
    assert (seen == 1).all()
    return whole


def by_rows(store: RowStore, max_bytes: int) -> NDArray[Any]:
    return np.concatenate([rows.copy() for _, rows in store.batches(max_bytes)])


@given(
    n_inputs=st.integers(1, 9),
    n_values=st.integers(1, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    n_rows=st.integers(1, 10),
    max_bytes=st.integers(1, 2000),
    shuffled=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_rows_tiles_and_array_are_what_was_put_in(
    n_inputs: int,
    n_values: int,
    dtype: type,
    n_rows: int,
    max_bytes: int,
    shuffled: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 256, (n_inputs, n_values * np.dtype(dtype).itemsize), dtype=np.uint8)
    values: NDArray[Any] = bits.view(dtype)  # NaN of every kind among them
    places = np.flatnonzero(rng.random(n_values) < 0.5).astype(np.int64)
    order = rng.permutation(n_inputs) if shuffled else None
    for room in ROOMS:
        store = filled(values, room, n_rows, order)
        for found in (by_tiles(store, max_bytes), by_rows(store, max_bytes), store.array()):
            assert np.array_equal(found.copy().view(np.uint8), bits)
        if len(places):
            store.select(places)
            chosen = np.ascontiguousarray(values[:, places]).view(np.uint8)
            for found in (by_tiles(store, max_bytes), by_rows(store, max_bytes), store.array()):
                assert np.array_equal(found.copy().view(np.uint8), chosen)


@pytest.mark.parametrize("order", [None, [3, 0, 4, 2, 1]])
@pytest.mark.parametrize("n_put", [0, 2, 5])
@pytest.mark.parametrize("in_file", [False, True])
def test_rows_that_grow_leave_the_memory_when_they_are_too_long(
    n_put: int, order: list[int] | None, in_file: bool
) -> None:
    values = np.arange(20.0).reshape(5, 4)
    places = np.array([0, 2, 5, 6], np.int64)
    for n_values, in_memory in ((7, True), (8, False), (2, n_put == 0)):
        if n_values < 4 and n_put:
            continue
        budget = 0 if in_file else 5 * 7 * 8
        read = list(range(5)) if order is None else order
        store = RowStore(
            5,
            4,
            values.dtype,
            memory_budget=budget,
            order=None if order is None else np.array(order),
        )
        assert store.is_in_memory != in_file
        if n_put:
            store.put(0, values[read[:n_put]])
        own = places if n_put else np.empty(0, np.int64)
        store.spread(own, n_values, n_put)
        assert store.is_in_memory == (in_memory and not in_file)
        assert store.bytes_in_memory == (40 * n_values if store.is_in_memory else 0)
        expected = np.zeros((5, n_values))
        if n_put:
            expected[np.array(read[:n_put])[:, np.newaxis], places] = values[read[:n_put]]
        store.put(n_put, np.zeros((5 - n_put, n_values)))
        np.testing.assert_array_equal(store.array(), expected)


def test_rows_whose_places_are_not_known_yet_may_fit() -> None:
    """Before the first row, the room is that of the whole grid; a brain is a third of it."""
    store = RowStore(5, 100, np.dtype(np.float64), memory_budget=5 * 30 * 8)
    assert not store.is_in_memory
    store.spread(np.empty(0, np.int64), 30, 0)
    assert store.is_in_memory


def test_batches_are_kept_on_their_way() -> None:
    values = np.arange(60.0).reshape(20, 3)

    class Space:
        n_values = 3

        def read_row(self, source: Any, out: NDArray[Any]) -> None:
            out[...] = source.values

        def reader_of(self, role: str) -> Any:
            return self

        def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
            del inside
            return str(source)

    class Image:
        dtype = np.dtype(np.float64)

        def __init__(self, values: NDArray[Any]) -> None:
            self.values = values

    for room in ROOMS:
        store = RowStore(20, 3, values.dtype, memory_budget=room)
        read = read_rows([Image(row) for row in values], Space(), n_threads=3, batch_bytes=150)
        seen = [rows.copy() for _, rows in store.keeping(read)]
        np.testing.assert_array_equal(np.concatenate(seen), values)
        np.testing.assert_array_equal(store.array(), values)


def test_a_scratch_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is left of it, however the process ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = filled(np.ones((4, 1000)), 0.0, 4)
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(store.array(), 1.0)


@pytest.mark.parametrize("reserves", [True, False])
def test_a_full_disk_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, reserves: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if reserves:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
        if not Path("/dev/full").exists():
            pytest.skip("needs a device that is full")
        monkeypatch.setattr(
            tempfile,
            "TemporaryFile",
            lambda buffering: Path("/dev/full").open("r+b", buffering),  # noqa: SIM115
        )
    with pytest.raises(OSError, match=r"scratch file of 0 MB.*No space left.*set TMPDIR.*memory_b"):
        filled(np.ones((4, 1000)), 0.0, 4)


JOB = """
import sys, numpy as np
from groupglm.engine.row_store import RowStore

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

n_inputs, n_values, room = int(sys.argv[1]), 200_000, float(sys.argv[2])
row = np.ones((1, n_values), np.float32)
before = peak()
store = RowStore(n_inputs, n_values, row.dtype, memory_budget=room)
for number in range(n_inputs):
    store.put(number, row)
total = sum(float(values[:, 0].sum()) for _, values in store.tiles(4_000_000))
total += sum(float(rows[:, 0].sum()) for _, rows in store.batches(4_000_000))
store.select(np.arange(0, n_values, 4))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_of_a_scratch_file_does_not_grow_with_the_inputs() -> None:
    def peak(n_inputs: int, room: float) -> int:
        command = [sys.executable, "-c", JOB, str(n_inputs), str(room)]
        output = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=300
        )
        return int(output.stdout)

    size = 100 * 200_000 * 4
    # A tile or a batch of 4 MB, a row, and the allocator's own.
    assert peak(100, 0) < 16e6
    assert size <= peak(100, size) < size + 16e6
