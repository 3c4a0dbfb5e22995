# SPDX-License-Identifier: BSD-3-Clause
"""Which files of a folder a simulator has written: nothing else is replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.naming import counted
from groupglm.runtime.regular_files import make_folder
from groupglm.runtime.sidecars import content_facts, has_content, read_json
from groupglm.runtime.writing import write_whole

__all__ = ["RECORD", "writing_own"]

RECORD = ".groupglm-simulated.json"
"""Lists the files that simulators have written to a folder, with their sizes and hashes."""

_SHOWN = 3


@contextmanager
def writing_own(directory: Path, names: Sequence[str]) -> Iterator[None]:
    """Make a folder for files that are about to be written, and keep a record of them.

    `names` are the paths of the files within the folder. One that is there already, and that no
    simulator has written so, is refused before anything is.
    """
    record = directory / RECORD
    known = _listed(record)
    foreign = [name for name in names if _is_foreign(directory / name, name, known)]
    if os.path.lexists(record) and not known:
        foreign.append(RECORD)
    if foreign:
        more = f" and {counted(len(foreign) - _SHOWN, 'more file')}" if foreign[_SHOWN:] else ""
        raise ArgumentError(
            "directory",
            f"{in_quotes(directory)}, which holds {', '.join(map(repr, foreign[:_SHOWN]))}{more}",
            remedy="no simulator wrote that, or it has changed since, and it would be replaced: "
            "give another folder, or move it away",
        )
    make_folder(directory)
    # What a killed run leaves is a simulator's, too: none of these files was there before.
    _write(record, {**known, **dict.fromkeys(names)})
    yield
    _write(record, {**known, **{name: content_facts(directory / name) for name in names}})


def _is_foreign(path: Path, name: str, known: dict[str, Any]) -> bool:
    if not os.path.lexists(path):
        return False
    if path.is_symlink() or not path.is_file() or name not in known:
        return True
    return has_content(path, known[name]) is False


def _listed(record: Path) -> dict[str, Any]:
    files = (read_json(record) or {}).get("Files")
    return files if isinstance(files, dict) else {}


def _write(record: Path, files: dict[str, Any]) -> None:
    facts = {"Description": "Files that groupglm.datasets has written here", "Files": files}
    write_whole(record, (json.dumps(facts, indent=1) + "\n").encode())
