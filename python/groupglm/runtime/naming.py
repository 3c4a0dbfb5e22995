# SPDX-License-Identifier: BSD-3-Clause
"""Names of contrasts in file names, names of columns, numbers and lists in messages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from groupglm.errors import printable

__all__ = ["check_file_name", "counted", "listed", "one_name", "slug"]

_MOST_BYTES = 255  # most bytes of a name in nearly every file system

_WORDS = {">": "Gt", "<": "Lt", "-": "Minus", "+": "Plus", "*": "Times", "/": "Over", "=": "Eq"}


def slug(name: str) -> str:
    """Return a contrast's name as a label of BIDS, letters and digits only.

    Examples
    --------
    >>> slug("patients>controls"), slug("age"), slug("C(group)[T.b] - age")
    ('patientsGtControls', 'age', 'cGroupTBMinusAge')
    """
    spoken = re.sub(r"[><\-+*/=]", lambda match: f" {_WORDS[match[0]]} ", name)
    words = re.findall(r"[A-Za-z0-9]+", spoken)
    first = "".join(word[:1].upper() + word[1:] for word in words)
    return first[:1].lower() + first[1:]


def check_file_name(name: str, what: str) -> None:
    """Refuse, before the work, a name that no file system takes."""
    n_bytes = len(os.fsencode(name))
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"{what} would have the name '{name[:40]}...' of {n_bytes} bytes, and a file system "
            f"takes {_MOST_BYTES}; give a shorter name"
        )


def one_name(column: object) -> str:
    """Return a column's name; the intercept has one name, in any capitals.

    Examples
    --------
    >>> one_name("Intercept"), one_name("Age")
    ('intercept', 'Age')
    """
    name = str(column)
    return name.lower() if name.lower() == "intercept" else name


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun; `nouns` is the plural if it is not the noun and s.

    Examples
    --------
    >>> counted(1, "voxel"), counted(0, "voxel"), counted(20, "infinite value")
    ('1 voxel', '0 voxels', '20 infinite values')
    >>> counted(2, "vertex", "vertices")
    '2 vertices'
    """
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or f'{noun}s'}"


def listed(items: Sequence[str], most: int = 20) -> str:
    """List items for a message; of many, only the first ones.

    Examples
    --------
    >>> listed(["01", "02", "03", "04"], most=2)
    '01, 02 and 2 more'
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return printable(", ".join(items[:most])) + more
