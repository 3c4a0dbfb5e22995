# SPDX-License-Identifier: BSD-3-Clause
"""What a GIFTI map says of its values: `facts_of_map`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from groupglm.errors import ImageError
from groupglm.spaces.surface.maps import SurfaceMaps
from groupglm.spaces.surface.reading.gifti import read_gifti
from groupglm.spaces.surface.reading.pairing import existing_files

__all__ = ["facts_of_map"]


def facts_of_map(given: Any) -> tuple[str, dict[str, str]] | None:
    """Return the intent and the metadata of the first array of a map; None if it has none."""
    if isinstance(given, SurfaceMaps):
        given = next(iter(given.parts.values()))
    elif isinstance(given, Mapping):
        given = next(iter(given.values()))
    elif isinstance(given, tuple | list):
        given = next((item for item in given if item is not None), None)
    if isinstance(given, str | os.PathLike):
        return _of_file(os.path.expanduser(os.fspath(given)))  # noqa: PTH111
    if hasattr(given, "darrays") and given.darrays:
        from groupglm.spaces.surface.writing import intent_of

        array = given.darrays[0]
        return intent_of(array), {str(key): str(value) for key, value in array.meta.items()}
    return None


def _of_file(path: str) -> tuple[str, dict[str, str]] | None:
    file = next(iter(existing_files(path).values()), path)
    if not file.lower().endswith(".gii"):
        return None
    try:
        array = read_gifti(file).arrays[0]
    except ImageError:  # whoever opens the values says what is wrong
        return None
    return array.intent, dict(array.facts)
