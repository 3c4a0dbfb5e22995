# SPDX-License-Identifier: BSD-3-Clause
"""Damaged copies of a file, cut off at any byte or with one bit flipped; members of archives."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
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


def rewrite_model(
    file: Path,
    change: Callable[[dict[str, Any], dict[str, bytes]], None],
    *,
    checksums: bool = True,
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """Change the facts and the members of a saved model, by name; mend the checksums too."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(members.pop("model.json"))
    change(facts, members)
    if checksums:
        facts["checksums"] = {n: hashlib.sha256(d).hexdigest() for n, d in members.items()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("model.json", json.dumps(facts))
        for name, data in members.items():
            archive.writestr(name, data)
