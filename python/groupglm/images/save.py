# SPDX-License-Identifier: BSD-3-Clause
"""Write image files whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import deflate

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["save_image"]


def save_image(image: Nifti1Image, path: str | os.PathLike[str], *, level: int = 6) -> Path:
    """Save a NIfTI image.

    The bytes go to a temporary file beside `path`, which is then renamed: a reader sees the old
    file or the new one, and an interrupted save leaves no half of either. Equal images give equal
    files (the compressed form holds no time).

    Parameters
    ----------
    image : nibabel.nifti1.Nifti1Image
        The image; NIfTI-2 as well.
    path : str or os.PathLike
        Ends in ``.nii`` or ``.nii.gz``. Folders that do not exist are created; a file that
        does is replaced.
    level : int, default=6
        How hard to compress, 1 (fast) to 12 (small).

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ValueError
        If the extension is another.
    OSError
        If the file cannot be written.
    """
    target = Path(path).expanduser()
    name = target.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise ValueError(
            f"the name of an image must end in .nii or .nii.gz, but {os.fspath(path)!r} does not; "
            "add one of them"
        )
    data: bytes | bytearray = image.to_bytes()
    if name.endswith(".gz"):
        data = deflate.gzip_compress(data, level)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic only within one file system; opened by name
    # and not by tempfile, whose files nobody else may read.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return target
