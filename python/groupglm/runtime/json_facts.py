# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the JSON of a file, entry by entry: none of it is trusted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from groupglm.errors import in_quotes, shown

__all__ = [
    "Check",
    "check_entries",
    "is_flag",
    "is_number",
    "is_text",
    "is_whole",
    "is_width",
    "list_of",
    "none_or",
    "shortened",
]

Check = Callable[[Any], bool]

_LARGEST = 2**31 - 1


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number of at least 0 that fits 32 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; a whole number must fit double."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def is_text(value: Any) -> bool:
    """Return whether a value is text."""
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    """Return whether a value is a truth value."""
    return isinstance(value, bool)


def none_or(check: Check) -> Check:
    """Return the check of a value that may be None."""
    return lambda value: value is None or check(value)


def list_of(check: Check, *lengths: int, unique: bool = False) -> Check:
    """Return the check of a list; of one of the lengths, if any are given."""

    def is_list(value: Any) -> bool:
        return (
            isinstance(value, list)
            and (not lengths or len(value) in lengths)
            and all(map(check, value))
            and not (unique and len(set(value)) < len(value))
        )

    return is_list


def is_width(value: Any) -> bool:
    """Return whether a value is a smoothing width: one for all axes, or three with some None."""
    return is_number(value) or list_of(none_or(is_number), 3)(value)


def check_entries(facts: Mapping[str, Any], checks: Mapping[str, Check], called: str) -> None:
    """Refuse facts that lack an entry, or whose entry fails its check; ValueError names it."""
    for name, check in checks.items():
        if name not in facts:
            raise ValueError(f"{called} lacks {in_quotes(name)}")
        if not check(facts[name]):
            raise ValueError(f"{name} of {called} is {shortened(facts[name])}")


def shortened(value: Any) -> str:
    """Return a value shortened for a message."""
    return shown(value, 60)
