# SPDX-License-Identifier: BSD-3-Clause
"""How often the values of images are read: `count_readings`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from groupglm.spaces.volume.reading.source import (
    CompressedSeriesVolume,
    CompressedVolume,
    ImageVolume,
    PlainVolume,
    VolumeSource,
)

__all__ = ["count_readings"]


def count_readings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count from now on how often the values of each file are read, by the file's name."""
    counts: Counter[str] = Counter()

    def count(kind: type[VolumeSource]) -> None:
        stored_values = kind._stored_values

        def counted(self: VolumeSource) -> Any:
            counts[self.name] += not self.nbytes_in_memory  # those of a nibabel image are there
            return stored_values(self)

        monkeypatch.setattr(kind, "_stored_values", counted)

    for kind in (PlainVolume, CompressedVolume, CompressedSeriesVolume, ImageVolume):
        count(kind)
    return counts
