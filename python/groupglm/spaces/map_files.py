# SPDX-License-Identifier: BSD-3-Clause
"""A map may be in several files, such as one for each hemisphere: `MapFiles`, `files_of_map`.

Results that are in several files have one name and one sidecar. The kind of data says how the files
are called; a kind whose maps are in one file each says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from groupglm.spaces.registry import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "MapFiles",
    "SeveralFiles",
    "files_of_map",
    "group_files",
    "possible_files",
    "whole_of",
]

_LABELS = (".annot",)
"""Endings of files of labels, which are no maps, but have a file of each hemisphere too."""


@runtime_checkable
class SeveralFiles(Protocol):
    """What a kind of data has besides the members of `Kind` if its maps are in several files."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of its files, as of `Kind`."""
        ...

    def part_files(self, path: Path) -> tuple[Path, ...]:
        """Name the files of the parts of a map that the user calls `path`."""
        ...

    def group_files(self, paths: Sequence[Path]) -> list[tuple[Path, ...]]:
        """Bring the files of each map together; ValueError if the files of a map are not whole."""
        ...


@dataclass(frozen=True)
class MapFiles(os.PathLike[str]):
    """The file of a map, or its files if it has several.

    As a path it is the first of them.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        At least one.
    """

    paths: tuple[Path, ...]

    def __fspath__(self) -> str:
        return os.fspath(self.paths[0])

    def __str__(self) -> str:
        return " and ".join(map(str, self.paths))

    @property
    def first(self) -> Path:
        """The first file, whose name tells whose map it is."""
        return self.paths[0]

    @property
    def name(self) -> str:
        """The names of the files."""
        return " and ".join(path.name for path in self.paths)

    @property
    def as_path(self) -> Path | tuple[Path, ...]:
        """The file itself, or a tuple of the files."""
        return self.first if len(self.paths) == 1 else self.paths

    @property
    def given(self) -> Any:
        """The map as a model takes it: here a path, or a tuple of paths."""
        return self.named

    @property
    def named(self) -> str | tuple[str, ...]:
        """The path of the map, or a tuple of paths."""
        texts = tuple(map(str, self.paths))
        return texts[0] if len(texts) == 1 else texts


def possible_files(path: Path) -> tuple[Path, ...]:
    """Return all names that the files of a map or a table called `path` may have."""
    kind = _kind_of_several(path)
    return (path,) if kind is None else (path, *kind.part_files(path))


def files_of_map(path: Path) -> tuple[Path, ...]:
    """Return the files of the map that a user calls `path`: itself, or those of its parts.

    If there are none, it is `path` itself.
    """
    if path.exists():
        return (path,)
    return tuple(own for own in possible_files(path) if own.exists()) or (path,)


def whole_of(path: Path) -> Path | None:
    """Return the name of a map of which a file is one of several; None of a map in one file.

    Only the names of files that exist are looked at.
    """
    for start in range(1, len(path.name)):
        whole = path.with_name(path.name[start:])
        if path in possible_files(whole)[1:] and len(files_of_map(whole)) > 1:
            return whole
    return None


def group_files(paths: Iterable[Path]) -> list[MapFiles]:
    """Bring the files of each map together.

    Raises
    ------
    ValueError
        If it is not known which files belong together, or one of a map's is missing.
    """
    found: dict[SeveralFiles | None, list[Path]] = {}
    for path in paths:
        found.setdefault(_kind_of_several(path) or _kind_that_holds(path), []).append(path)
    maps: list[tuple[Path, ...]] = []
    for kind, own in found.items():
        maps += [(path,) for path in own] if kind is None else kind.group_files(own)
    return [MapFiles(own) for own in maps]


def _kind_of_several(path: Path) -> SeveralFiles | None:
    """Return the kind of data of a file, if its maps may be in several files."""
    name = path.name.lower()
    for kind in kinds():
        if isinstance(kind, SeveralFiles) and name.endswith((*kind.endings, *_LABELS)):
            return kind
    return None


def _kind_that_holds(path: Path) -> SeveralFiles | None:
    """Return the kind of data of a file whose ending does not tell it, such as ``lh.thickness``."""
    for kind in kinds():
        if isinstance(kind, SeveralFiles) and kind.holds(os.fspath(path)):
            return kind
    return None
