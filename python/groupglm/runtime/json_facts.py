# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what the JSON of a file says, part by part: nothing in it is taken on trust."""

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
    """Tell a whole number from 0 that 32 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def is_number(value: Any) -> bool:
    """Tell a finite number, which may be a whole one that double holds."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def is_text(value: Any) -> bool:
    """Tell text."""
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    """Tell a truth value."""
    return isinstance(value, bool)


def none_or(check: Check) -> Check:
    """Return the check of what may be lacking."""
    return lambda value: value is None or check(value)


def list_of(check: Check, *lengths: int, unique: bool = False) -> Check:
    """Return the check of a list, of one of the lengths if any are given."""

    def is_list(value: Any) -> bool:
        return (
            isinstance(value, list)
            and (not lengths or len(value) in lengths)
            and all(map(check, value))
            and not (unique and len(set(value)) < len(value))
        )

    return is_list


def is_width(value: Any) -> bool:
    """Tell the width of a smoothing, one for all axes or three, of which some may be None."""
    return is_number(value) or list_of(none_or(is_number), 3)(value)


def check_entries(facts: Mapping[str, Any], checks: Mapping[str, Check], called: str) -> None:
    """Refuse facts that lack an entry, or have one that fails its check; ValueError names it."""
    for name, check in checks.items():
        if name not in facts:
            raise ValueError(f"{called} lacks {in_quotes(name)}")
        if not check(facts[name]):
            raise ValueError(f"{name} of {called} is {shortened(facts[name])}")


def shortened(value: Any) -> str:
    """Return a value as messages show it."""
    return shown(value, 60)
