# SPDX-License-Identifier: BSD-3-Clause
"""Damaged copies of a file: cut off at any byte, or with one bit flipped."""

from __future__ import annotations

from collections.abc import Iterator

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
