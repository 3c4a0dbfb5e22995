# SPDX-License-Identifier: BSD-3-Clause
"""A row of values in a file of a cache: `write_row`, `read_row`.

A file holds, one after the other: a line that names the format; the SHA-256 (32 bytes) of
everything that follows; a line of JSON (key, type, number of values, and what is known of zeros);
the values as they are in memory; and one bit for each place. It is not a pickle. A file of another
origin, or one that is damaged, truncated or renamed, is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.regular_files import make_folder, why_unreadable
from groupglm.runtime.writing import whole_or_not
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_row", "write_row"]

_MAGIC = b"groupglm row 1\n"
_MAX_LINE = 4096  # bytes


def write_row(path: Path, key: str, row: NDArray[Any], zeros: Zeros | None) -> None:
    """Write a row; after a failure no part of it is left.

    Shapes: `row` (n_values,).
    """
    bits = b"" if zeros is None else np.packbits(zeros.places).tobytes()
    values = np.ascontiguousarray(row).data.cast("B") if row.size else b""
    line = json.dumps(_facts(key, row, None if zeros is None else zeros.all_whole)).encode() + b"\n"
    digest = hashlib.sha256(line)
    digest.update(values)
    digest.update(bits)
    make_folder(path.parent)
    with whole_or_not(path, durable=False) as file:  # the checksum finds what a crash cut off
        for part in (_MAGIC, digest.digest(), line, values, bits):
            file.write(part)


def read_row(path: Path, key: str, out: NDArray[Any]) -> tuple[bool, Zeros | None]:
    """Read a row from a file, if the file is undamaged and has this key.

    Shapes: `out` (n_values,).
    """
    n_bits = (out.size + 7) // 8
    try:
        if why_unreadable(path) is not None:
            return False, None
        with path.open("rb") as file:
            digest = file.read(len(_MAGIC) + 32)
            line = file.readline(_MAX_LINE)
            facts = json.loads(line)
            all_whole = facts["all_whole"]
            if not digest.startswith(_MAGIC) or facts != _facts(key, out, all_whole):
                return False, None
            n_read = file.readinto(out.data.cast("B")) if out.size else 0
            bits = file.read(n_bits + 1)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False, None
    found = hashlib.sha256(line)
    found.update(out.data.cast("B") if out.size else b"")
    found.update(bits)
    has_zeros = isinstance(all_whole, bool)
    is_whole = n_read == out.nbytes and len(bits) == (n_bits if has_zeros else 0)
    if not is_whole or found.digest() != digest[len(_MAGIC) :]:
        return False, None
    if not has_zeros:
        return True, None
    places = np.unpackbits(np.frombuffer(bits, np.uint8), count=out.size).view(np.bool_)
    return True, Zeros(places, all_whole)


def _facts(key: str, row: NDArray[Any], all_whole: bool | None) -> Mapping[str, Any]:
    return {"key": key, "dtype": row.dtype.str, "n_values": row.size, "all_whole": all_whole}
