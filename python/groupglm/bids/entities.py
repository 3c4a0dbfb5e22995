# SPDX-License-Identifier: BSD-3-Clause
"""The entities in the names of a derivative's files: ``sub-01_task-x_stat-effect_statmap``.

Why no package does this: pybids reads every file into a database before the first question, and
packages that follow the schema of BIDS do not know `contrast` and `stat`, which are not in it yet
(figures in CONTRIBUTING.md).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groupglm.runtime.naming import slug
from groupglm.runtime.regular_files import is_folder
from groupglm.spaces.map_files import MapFiles

__all__ = ["NamedFile", "fold", "read_name", "same_value", "walk"]

_FOLDERS = ("node-", "sub-", "ses-")  # folders whose names are entities
_ALIASES = {"taskcontrast": "contrast"}  # HALFpipe's
_MAX_DEPTH = 8  # node-x/sub-x/ses-x/func has four levels


@dataclass(frozen=True)
class NamedFile:
    """A file whose name is made of entities.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    entities : dict of str to str
        By their short names: ``sub``, ``ses``, ``task``, ``space``, ...; ``node`` is the folder of
        a FitLins node.
    suffix : str
        The last part, such as ``statmap``.
    extension : str
        From the first dot on.
    more : tuple of pathlib.Path
        The other files of the same map, such as that of the right hemisphere.
    """

    path: Path
    entities: dict[str, str]
    suffix: str
    extension: str
    more: tuple[Path, ...] = ()

    @property
    def files(self) -> MapFiles:
        """All files of the map."""
        return MapFiles((self.path, *self.more))


def read_name(path: Path, root: Path) -> NamedFile | None:
    """Read the entities of a file.

    Examples
    --------
    >>> root = Path("fitlins")
    >>> read_name(root / "node-subject" / "sub-01" / "sub-01_contrast-a_stat-t_statmap.nii", root)
    ... # doctest: +ELLIPSIS
    NamedFile(path=..., entities={'sub': '01', 'contrast': 'a', 'stat': 't', 'node': 'subject'}, ...
    """
    # Systems compose accents in different ways, and labels in tables are compared with these.
    name = unicodedata.normalize("NFC", path.name)
    stem, dot, extension = name.partition(".")
    *parts, suffix = stem.split("_")
    entities: dict[str, str] = {}
    for part in parts:
        key, dash, value = part.partition("-")
        key = _ALIASES.get(key, key)
        if not (key.isalnum() and dash and value) or key in entities:
            return None
        entities[key] = value
    for folder in path.relative_to(root).parts[:-1]:
        key, _, value = unicodedata.normalize("NFC", folder).partition("-")
        if f"{key}-" in _FOLDERS and value:
            entities.setdefault(key, value)
    return NamedFile(path, entities, suffix, dot + extension)


def walk(root: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a derivative: its own, and those of its nodes and subjects."""
    pending = [(root, 0)]
    seen: set[tuple[int, int]] = set()
    while pending:
        folder, depth = pending.pop()
        facts = folder.stat()
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        inside = any(part.startswith("sub-") for part in folder.relative_to(root).parts)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not is_folder(entry):
                    yield entry
                elif depth < _MAX_DEPTH and (inside or entry.name.startswith(_FOLDERS)):
                    pending.append((Path(entry.path), depth + 1))


def fold(label: str) -> str:
    """Return a label in the form of file names: letters and digits, in one case.

    Examples
    --------
    >>> fold("C(group)[T.b]")
    'cgrouptb'
    """
    return "".join(letter for letter in label if letter.isalnum()).casefold()


def same_value(key: str, wanted: str, found: str) -> bool:
    """Return whether a file's entity has the wanted value.

    Examples
    --------
    >>> same_value("run", "1", "01"), same_value("sub", "1", "01")
    (True, False)
    >>> same_value("contrast", "faces - houses", "facesMinusHouses")
    True
    """
    if key == "contrast":  # nilearn's or FitLins' name
        return fold(found) in (fold(slug(wanted)), fold(wanted))
    if key in ("node", "task", "space"):
        return fold(wanted) == fold(found)
    if key in ("run", "echo") and wanted.isdecimal() and found.isdecimal():
        return int(wanted) == int(found)  # indices may have leading zeros
    return wanted == found
