# SPDX-License-Identifier: BSD-3-Clause
"""Write files whole or not at all: `write_whole`."""

from __future__ import annotations

import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, data: bytes | bytearray) -> Path:
    """Write a file that a reader sees whole, or as it was before, whatever interrupts.

    The bytes go to a temporary file beside it, which is then renamed.

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
    # Beside the target, because a rename is atomic only within one file system; opened by name
    # and not by tempfile, whose files nobody else may read.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return path
