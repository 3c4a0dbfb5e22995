# SPDX-License-Identifier: BSD-3-Clause
"""The order of images in batches: each image once, in order, and the same for any worker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groupglm.engine.rows import CHUNK, CHUNK_OF_SUBJECTS, chunk_ends, read_rows

N_VALUES = 3


@dataclass(frozen=True)
class Image:
    """An image whose values are all its number."""

    number: int

    @property
    def dtype(self) -> np.dtype[np.float32]:
        return np.dtype(np.float32)


class Space:
    """Reads these images."""

    n_values = N_VALUES

    def read_row(self, source: Image, out: NDArray[np.float32]) -> None:
        out[...] = source.number

    def reader_of(self, role: str) -> Space:
        return self

    def name_of(self, source: object, inside: NDArray[np.bool_]) -> str:
        del inside
        return str(source)


def batches(
    first: int, n: int, n_rows: int, chunks: list[int] | None = None
) -> list[tuple[int, list[float]]]:
    images = [Image(number) for number in range(first, first + n)]
    batch_bytes = n_rows * N_VALUES * np.dtype(np.float32).itemsize
    read = read_rows(images, Space(), n_threads=2, batch_bytes=batch_bytes, chunks=chunks)
    return [(first + place, rows[:, 0].tolist()) for place, rows in read]


@given(n=st.integers(1, 4 * CHUNK), n_rows=st.integers(1, 2 * CHUNK))
def test_every_image_once_and_each_chunk_as_a_worker_sees_it(n: int, n_rows: int) -> None:
    whole = batches(0, n, n_rows)
    assert [number for _, rows in whole for number in rows] == list(range(n))
    assert all(rows[0] == place for place, rows in whole)
    assert all(len(rows) <= min(n_rows, CHUNK) for _, rows in whole)
    chunks = [batches(first, min(CHUNK, n - first), n_rows) for first in range(0, n, CHUNK)]
    assert [batch for chunk in chunks for batch in chunk] == whole


@pytest.mark.parametrize(
    ("n", "sizes"), [(100, [44, 20, 28, 8]), (64, [44, 20]), (16, [16]), (17, [9, 8])]
)
def test_the_last_batch_is_short(n: int, sizes: list[int]) -> None:
    assert [len(rows) for _, rows in batches(0, n, 44)] == sizes


@given(
    sizes=st.lists(
        st.one_of(st.integers(1, 5), st.integers(1, 3 * CHUNK_OF_SUBJECTS)), min_size=1, max_size=40
    ),
    n_rows=st.integers(1, 2 * CHUNK),
)
def test_a_chunk_is_the_fewest_subjects_with_so_many_images(sizes: list[int], n_rows: int) -> None:
    subjects = np.cumsum(sizes)
    n = int(subjects[-1])
    chunks = chunk_ends(n, subjects)
    assert chunks[-1] == n
    assert set(chunks) <= set(subjects.tolist())
    starts = [0, *chunks[:-1]]
    for number, (first, end) in enumerate(zip(starts, chunks, strict=True)):
        inside = subjects[(subjects > first) & (subjects < end)]
        # One subject less is not enough.
        assert not len(inside) or inside[-1] - first < CHUNK_OF_SUBJECTS
        assert end - first >= CHUNK_OF_SUBJECTS or number == len(chunks) - 1
    whole = batches(0, n, n_rows, chunks)
    assert [number for _, rows in whole for number in rows] == list(range(n))
    # A batch is bounded also where a subject has hundreds of images, and is of one chunk.
    assert all(len(rows) <= min(n_rows, CHUNK) for _, rows in whole)
    assert all(sum(first < end < first + len(rows) for end in chunks) == 0 for first, rows in whole)
    # A worker sees one chunk.
    pairs = zip(starts, chunks, strict=True)
    parts = [batches(first, end - first, n_rows, [end - first]) for first, end in pairs]
    assert [batch for part in parts for batch in part] == whole


@given(n=st.integers(1, 300))
def test_chunks_of_images_that_may_be_anywhere(n: int) -> None:
    assert chunk_ends(n) == sorted({*range(CHUNK, n, CHUNK), n})
    wanted = sorted({*range(CHUNK_OF_SUBJECTS, n, CHUNK_OF_SUBJECTS), n})
    assert chunk_ends(n, np.arange(1, n + 1)) == wanted
