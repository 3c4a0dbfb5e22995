# SPDX-License-Identifier: BSD-3-Clause
"""The JSON file beside an image or a table, which describes that file: `read_json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groupglm.errors import in_quotes
from groupglm.runtime.json_facts import is_number
from groupglm.runtime.regular_files import naming, why_unreadable

__all__ = ["content_facts", "describes", "has_content", "read_json"]

_MAX_BYTES = 10_000_000  # far more than any sidecar has
_COUNTS = ("NumberOfPermutations", "NumberAskedFor")
_OBJECTS = ("Permutation", "Settings")
_UNITS = ("effect", "cohen_d")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a sidecar's facts; None if it cannot be read, or is a damaged one of this package."""
    try:
        if why_unreadable(path) is not None or path.stat().st_size > _MAX_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_sound(found) else None


def content_facts(path: Path) -> dict[str, Any]:
    """Return a file's name, size (bytes) and SHA-256, as its sidecar holds them under "File"."""
    why = why_unreadable(path)
    if why is not None:
        raise OSError(f"{in_quotes(path)} cannot be read: {why}")
    facts = path.stat()
    with naming(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"Name": path.name, "Size": facts.st_size, "Hash": f"sha256:{digest}"}


def describes(facts: Mapping[str, Any], path: Path, *, digest: str | None = None) -> bool | None:
    """Return whether a sidecar describes this very file; None if it has no size and hash.

    A map in several files, of which `path` is the common name, has them all under "Files".
    `digest` is the file's hash, if it is known; the file is then not read again.
    """
    parts = facts.get("Files")
    if "File" not in facts and isinstance(parts, list):
        names = [str(part.get("Name", "")) if isinstance(part, dict) else "" for part in parts]
        if path.exists() or not all(name and Path(name).name == name for name in names):
            return False
        files = zip(names, parts, strict=True)
        return all(has_content(path.with_name(name), part) for name, part in files)
    return has_content(path, facts.get("File"), digest=digest)


def has_content(path: Path, said: Any, *, digest: str | None = None) -> bool | None:
    """Return whether a file has the size and hash of `content_facts`; None if they are missing."""
    if not isinstance(said, dict):
        return None
    try:
        if said.get("Size") != path.stat().st_size:
            return False
        return bool(said.get("Hash") == (digest or content_facts(path)["Hash"]))
    except OSError:
        return False


def _is_sound(facts: dict[str, Any]) -> bool:
    """Return whether the facts used in computations have their types; asked of our files only."""
    versions = facts.get("SoftwareVersions")
    if not isinstance(versions, dict) or "groupglm" not in versions:
        return True
    contrast, correction = facts.get("Contrast"), facts.get("Correction")
    equivalence, sets = facts.get("Equivalence"), facts.get("ConfidenceSet")
    return (
        all(_is_count(facts[key], least=1) for key in _COUNTS if key in facts)
        and all(isinstance(facts[key], dict) for key in _OBJECTS if key in facts)
        and ("Contrast" not in facts or _is_contrast(contrast))
        and _are_contrasts(facts.get("Contrasts", []))
        and _is_permutation(facts.get("Permutation", {}))
        and (not isinstance(correction, dict) or _is_correction(correction))
        and _is_volume(facts.get("SmallVolume"))
        and (not isinstance(equivalence, dict) or _is_equivalence(equivalence))
        and (not isinstance(sets, dict) or _is_set(facts, sets))
    )


def _is_count(value: Any, *, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_contrast(facts: Any) -> bool:
    """Return whether a contrast has a name, and for each column a weight, in one row or several."""
    if not isinstance(facts, dict):
        return False
    columns, weights = facts.get("Columns"), facts.get("Weights")
    texts = (facts.get("Name"), facts.get("Expression"))
    if not all(isinstance(text, str) for text in texts):
        return False
    if not isinstance(columns, list) or not isinstance(weights, list) or not weights:
        return False
    rows = weights if isinstance(weights[0], list) else [weights]
    return all(isinstance(column, str) for column in columns) and all(
        isinstance(row, list) and len(row) == len(columns) and all(map(is_number, row))
        for row in rows
    )


def _are_contrasts(found: Any) -> bool:
    return isinstance(found, list) and all(map(_is_contrast, found))


def _is_permutation(facts: dict[str, Any]) -> bool:
    p = facts.get("ClusterFormingP")
    return p is None or (is_number(p) and 0 < p < 1)


def _is_correction(facts: dict[str, Any]) -> bool:
    return (
        _is_permutation(facts)  # which may have a p that forms clusters, too
        and isinstance(facts.get("HeightControl"), str)
        and is_number(facts.get("Alpha"))
        and isinstance(facts.get("TwoSided", True), bool)
        and _is_count(facts.get("ClusterThreshold", 0))
        and _is_volume(facts.get("SmallVolume"))
    )


def _is_volume(found: Any) -> bool:
    """Return whether a small volume is absent, a sphere of four numbers, or a file with a name."""
    if isinstance(found, dict):
        return isinstance(found.get("Name"), str)
    return not found or (isinstance(found, list) and len(found) == 4 and all(map(is_number, found)))


def _is_equivalence(facts: dict[str, Any]) -> bool:
    bounds: Any = facts.get("Bounds")
    alpha: Any = facts.get("Alpha")
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(map(is_number, bounds)):
        return False
    is_share = is_number(alpha) and 0 < alpha < 1
    return bounds[0] < 0 < bounds[1] and facts.get("Units") in _UNITS and is_share


def _is_set(facts: dict[str, Any], options: dict[str, Any]) -> bool:
    """Return whether the facts of a map of confidence sets, and their options, have their types."""
    numbers = (facts.get("CriticalValue"), options.get("Level"), options.get("Alpha"))
    counts = [facts.get(name) for name in ("NumberOfPlaces", "NumberOfBoundaryPoints")]
    counts += [options.get(name) for name in ("NumberOfBootstraps", "Seed")]
    return (
        all(map(is_number, numbers))
        and all(map(_is_count, counts))
        and options.get("Units") in _UNITS
    )
