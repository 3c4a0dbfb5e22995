# SPDX-License-Identifier: BSD-3-Clause
"""The endings of image files, of every kind of data, and the files beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.spaces.map_files import files_of_map
from groupglm.spaces.registry import kinds

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["endings", "is_table", "map_of", "saved_endings", "sidecar"]


_TABLES = (".tsv", ".csv")
_OTHERS = (".tsv", ".groupglm")  # the sidecar of a page is page.html.json


def endings() -> tuple[str, ...]:
    """Return all endings that images may have; maps of regions are tables, which are not listed."""
    found = (ending for kind in kinds() for ending in kind.endings)
    return tuple(dict.fromkeys(ending for ending in found if ending not in _TABLES))


def saved_endings() -> tuple[str, ...]:
    """Return the endings of results, one for each kind of images."""
    found = dict.fromkeys(kind.endings[0] for kind in kinds())
    return tuple(ending for ending in found if ending not in _TABLES)


def is_table(path: Path) -> bool:
    """Return whether a file is a table, such as a map of regions, by its ending."""
    return path.name.lower().endswith(_TABLES)


def sidecar(path: Path) -> Path:
    """Return the JSON file beside an image, a table or a model; a page's is ``page.html.json``."""
    # Longest endings first: a name ends before .nii.gz, not before .gz.
    known = sorted((*endings(), *_OTHERS), key=len, reverse=True)
    ending = next((own for own in known if path.name.endswith(own)), "")
    return path.with_name(f"{path.name.removesuffix(ending)}.json")


def map_of(record: Path) -> Path:
    """Return the map of results that a sidecar describes: the one that exists of all candidates."""
    stem = record.name.removesuffix(".json")
    maps = [record.with_name(f"{stem}{ending}") for ending in saved_endings()]
    found = next((path for path in maps if files_of_map(path)[0].exists()), None)
    table = record.with_name(f"{stem}{_TABLES[0]}")  # of regions
    return found or (table if table.exists() else maps[-1])
