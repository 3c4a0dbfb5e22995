# SPDX-License-Identifier: BSD-3-Clause
"""Write files whole or not at all: `write_whole`, `whole_or_not`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole_or_not", "write_whole"]


@contextmanager
def whole_or_not(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of another once all is written.

    Parameters
    ----------
    path : pathlib.Path
        The file; its folder exists. One that is there is replaced.

    Yields
    ------
    file object
        To write to. If anything interrupts, it is removed and `path` is as it was.
    """
    # Beside the target, because a rename is atomic only within one file system; opened by name
    # and not by tempfile, whose files nobody else may read.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes | bytearray) -> Path:
    """Write a file that a reader sees whole, or as it was before, whatever interrupts.

    Parameters
    ----------
    path : pathlib.Path
        The file. Folders that do not exist are created; a file that does is replaced.
    data : bytes
        Its content.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_not(path) as file:
        file.write(data)
    return path
