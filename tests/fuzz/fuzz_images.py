# SPDX-License-Identifier: BSD-3-Clause
"""Search, led by coverage, for bytes that make reading an image of voxels or vertices go wrong.

python tests/fuzz/fuzz_images.py --seconds 60
"""

from __future__ import annotations

import logging
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(
    include=["groupglm.spaces.cifti", "groupglm.spaces.surface", "groupglm.spaces.volume"]
):
    from fuzz import image_files, mesh_files, surface_files
from fuzz.harness import Target, main

# What a header's fields may hold that nobody expects, in both byte orders.
_INTEGERS = (0, 1, 2, 4, 7, 8, 16, 64, 128, 255, 348, 352, 512, 540, 544, 1792, 32767, 65535, 2**31)
_FLOATS = (0.0, -1.0, 0.5, 1e-30, 1e30, 3.4e38, float("inf"), float("nan"), 352.0)
VALUES = [
    (sign * integer).to_bytes(size, order, signed=True)
    for integer in _INTEGERS
    for sign in (1, -1)
    for size in (2, 4, 8)
    for order in ("little", "big")
    if integer < 2 ** (8 * size - 1)
] + [struct.pack(order + kind, value) for value in _FLOATS for order in "<>" for kind in "fd"]


_SURFACES, _MESHES = 128, 192
"""First bytes from these on are of files of values at vertices, and of meshes."""


def _cases() -> Iterator[bytes]:
    yield from image_files.cases()
    for case in surface_files.cases():
        yield bytes([_SURFACES + case[0]]) + case[1:]
    for case in mesh_files.cases():
        yield bytes([_MESHES + case[0]]) + case[1:]


def _check(case: bytes, folder: Path) -> str:
    if case[0] < _SURFACES:
        return image_files.check(case, folder)
    if case[0] < _MESHES:
        return surface_files.check(bytes([case[0] - _SURFACES]) + case[1:], folder)
    return mesh_files.check(bytes([case[0] - _MESHES]) + case[1:], folder)


def _mutate(case: bytes, most: int, seed: int) -> bytes:
    """Change any bytes, or put a value into what may be a field of the header."""
    rng = random.Random(seed)  # noqa: S311
    if len(case) < 16 or rng.random() < 0.5:
        changed: bytes = atheris.Mutate(case, most)
        return changed
    value = rng.choice(VALUES)
    # Fields are aligned from the second byte on: the first is the kind.
    start = 1 + 2 * rng.randrange(min(len(case), 540) // 2 - 4)
    return (case[:start] + value + case[start + len(value) :])[:most]


if __name__ == "__main__":
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    main(
        Target(
            description="Fuzz the reading of images.",
            cases=_cases,
            check=_check,
            mutate=_mutate,
            max_case_bytes=8192,
            # A case declares at most 1032 times its size, as float64 (bzip2 more, but only what is
            # there).
            memory_bytes=3 * 2**30,
            growth_bytes=400 * 2**20,
        )
    )
