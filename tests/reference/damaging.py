# SPDX-License-Identifier: BSD-3-Clause
"""Damaged copies of a file, cut off at any byte or with one bit flipped; members of archives."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np


def damaged_copies(good: bytes, n: int) -> Iterator[bytes]:
    """Every third copy is cut off, the others have one bit flipped; the same for every run."""
    rng = np.random.default_rng(0)
    for trial in range(n):
        data = bytearray(good)
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        else:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        yield bytes(data)


def npy(array: Any, *, pickled: bool = False) -> bytes:
    """A member of an archive of arrays, as numpy would write it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()
