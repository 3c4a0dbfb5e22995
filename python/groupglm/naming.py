# SPDX-License-Identifier: BSD-3-Clause
"""Names of contrasts as labels within file names, `slug`, and numbers of things, `counted`."""

from __future__ import annotations

import re

__all__ = ["counted", "slug"]

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


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, in words.

    Examples
    --------
    >>> counted(1, "voxel"), counted(0, "voxel"), counted(20, "infinite value")
    ('1 voxel', '0 voxels', '20 infinite values')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
