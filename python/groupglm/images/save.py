# SPDX-License-Identifier: BSD-3-Clause
"""Write image files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import deflate

from groupglm.writing import write_whole

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
    return write_whole(target, data)
