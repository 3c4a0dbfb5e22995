# SPDX-License-Identifier: BSD-3-Clause
"""The order of images in batches: each image once, in order, and the same for any worker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groupglm.engine.rows import CHUNK, read_rows

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


def batches(first: int, n: int, n_rows: int) -> list[tuple[int, list[float]]]:
    images = [Image(number) for number in range(first, first + n)]
    batch_bytes = n_rows * N_VALUES * np.dtype(np.float32).itemsize
    read = read_rows(images, Space(), n_threads=2, batch_bytes=batch_bytes)
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
