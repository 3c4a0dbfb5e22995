# SPDX-License-Identifier: BSD-3-Clause
"""The JSON file beside an image or a table, which says what that file holds: `read_json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from groupglm.regular_files import why_unreadable

__all__ = ["read_json", "sidecar"]

_MAX_BYTES = 10_000_000  # far above any that is written


def sidecar(path: Path) -> Path:
    """Return the JSON file beside an image, a table or a model; a page's is ``page.html.json``."""
    name = path.name
    for ending in (".gz", ".nii", ".tsv", ".groupglm"):
        name = name.removesuffix(ending)
    return path.with_name(f"{name}.json")


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a sidecar; None if there is none that can be read."""
    try:
        if why_unreadable(path) is not None or path.stat().st_size > _MAX_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
