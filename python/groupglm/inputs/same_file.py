# SPDX-License-Identifier: BSD-3-Clause
"""Find images that are the same file: two subjects cannot share their data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.runtime.paths import file_identity

__all__ = ["refuse_shared_files", "warn_of_shared_files"]


def refuse_shared_files(labels: Sequence[str], paths: Iterable[Any], argument: str) -> None:
    """Refuse a file that is given for two subjects, or twice for one."""
    for first, second, path in _shared(paths):
        who = " and ".join(repr(label) for label in dict.fromkeys((labels[first], labels[second])))
        twice = "" if "and" in who else " twice"
        raise ArgumentError(
            argument,
            f"one file for the maps of subject {who}{twice}: {in_quotes(path)}",
            remedy="give each map a file of its own",
            verb="has",
        )


def warn_of_shared_files(paths: Iterable[Any]) -> None:
    """Warn of a file that is given twice among images without known subjects."""
    pairs = _shared(paths)
    if pairs:
        first, second, path = pairs[0]
        more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
        warn_caller(
            f"images {first + 1} and {second + 1} of second_level_input are one file: "
            f"{in_quotes(path)}"
            f"{more}; they count as independent, which they are not"
        )


def _shared(paths: Iterable[Any]) -> list[tuple[int, int, str]]:
    """Return the numbers of files that were given before, with the earlier numbers."""
    seen: dict[object, int] = {}
    pairs = []
    for place, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            continue
        # A missing file is reported when it is opened.
        earlier = seen.setdefault(file_identity(path) or os.fspath(path), place)
        if earlier != place:
            pairs.append((earlier, place, os.fspath(path)))
    return pairs
