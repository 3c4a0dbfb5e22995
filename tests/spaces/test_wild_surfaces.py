# SPDX-License-Identifier: BSD-3-Clause
"""Files of values at vertices, sound or damaged: nibabel's values, or a refusal."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz import surface_files

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::RuntimeWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)  # fmt: skip


def test_sound_files_read_like_nibabel(tmp_path: Path) -> None:
    outcomes = [surface_files.check(case, tmp_path) for case in surface_files.cases()]
    assert len(outcomes) > 30
    assert set(outcomes) == {"equal"}


def test_any_damage_gives_nibabels_values_or_a_refusal(tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311
    outcomes = set()
    for case in surface_files.cases():
        for _ in range(12):
            damaged = bytearray(case)
            for _ in range(rng.choice([1, 2, 8])):
                damaged[rng.randrange(1, len(case))] = rng.choice([0, 1, 32, 49, 60, 127, 255])
            outcomes.add(
                surface_files.check(bytes(damaged[: rng.choice([None, 60, -7])]), tmp_path)
            )
    assert outcomes >= {"equal", "refused"}
