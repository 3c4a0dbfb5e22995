# SPDX-License-Identifier: BSD-3-Clause
"""Files in a folder that a simulator has written; no other file is replaced."""

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
    """Make a folder for files that are about to be written; refuse to replace other files.

    `images` are the paths of images within the folder: an image that exists must say that a
    simulator has made it. `texts` are the contents of other files: a file that exists must have
    this content.
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
