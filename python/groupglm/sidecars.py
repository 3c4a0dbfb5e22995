# SPDX-License-Identifier: BSD-3-Clause
"""The JSON file beside an image or a table, which says what that file holds: `read_json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groupglm.regular_files import why_unreadable

__all__ = ["content_facts", "describes", "has_content", "read_json", "sidecar"]

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


def content_facts(path: Path) -> dict[str, Any]:
    """Return name, size (bytes) and SHA-256 of a file, as its sidecar says them under "File".

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    """
    why = why_unreadable(path)
    if why is not None:
        raise OSError(f"'{path}' cannot be read: {why}")
    facts = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"Name": path.name, "Size": facts.st_size, "Hash": f"sha256:{digest}"}


def describes(facts: Mapping[str, Any], path: Path) -> bool | None:
    """Tell whether what a sidecar says is said of this file; None if it does not name a content."""
    return has_content(path, facts.get("File"))


def has_content(path: Path, said: Any) -> bool | None:
    """Tell whether a file has the size and the hash of `content_facts`; None if these are none."""
    if not isinstance(said, dict):
        return None
    try:
        if said.get("Size") != path.stat().st_size:
            return False
        return bool(said.get("Hash") == content_facts(path)["Hash"])
    except OSError:
        return False
