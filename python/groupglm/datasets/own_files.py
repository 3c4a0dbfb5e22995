# SPDX-License-Identifier: BSD-3-Clause
"""Which files of a folder a simulator has written: nothing else is replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from groupglm.datasets.files import is_simulated
from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.naming import counted
from groupglm.runtime.regular_files import make_folder

__all__ = ["make_place"]

_SHOWN = 3


def make_place(
    directory: Path, images: Sequence[str], texts: Mapping[str, bytes] | None = None
) -> None:
    """Make a folder for files that are about to be written; refuse to replace what is not ours.

    `images` are the paths of images within the folder: one that is there already must say that a
    simulator has made it. `texts` are the contents of other files, which must be there already.
    """
    foreign = [name for name in images if _is_foreign(directory / name)]
    foreign += [name for name, text in (texts or {}).items() if _is_foreign(directory / name, text)]
    if foreign:
        more = f" and {counted(len(foreign) - _SHOWN, 'more file')}" if foreign[_SHOWN:] else ""
        raise ArgumentError(
            "directory",
            f"{in_quotes(directory)}, which holds {', '.join(map(repr, foreign[:_SHOWN]))}{more}",
            remedy="no simulator wrote that for this study, or it has changed since, and it would "
            "be replaced: give another folder, or move it away",
        )
    make_folder(directory)


def _is_foreign(path: Path, text: bytes | None = None) -> bool:
    if not os.path.lexists(path):
        return False
    if path.is_symlink() or not path.is_file():
        return True
    return not is_simulated(path) if text is None else path.read_bytes() != text
