# SPDX-License-Identifier: BSD-3-Clause
"""Write image files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deflate
import nibabel as nib
import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import make_folder
from groupglm.runtime.writing import whole_or_not
from groupglm.spaces.volume.intent import descrip_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["NIFTI1_MAX_LENGTH", "as_saved", "save_image", "save_series"]

NIFTI1_MAX_LENGTH = 32767
"""Longest dimension of a NIfTI-1 file, which stores it in 16 bits."""


def save_image(image: Nifti1Image, path: str | os.PathLike[str], *, level: int = 6) -> Path:
    """Save a NIfTI image.

    The bytes go to a temporary file beside `path`, which is then renamed: a reader sees the old
    file or the new one, and an interrupted save leaves no half of either. Equal images give equal
    files (the compressed form holds no time).
    """
    target = _target(path)
    data: bytes | bytearray = image.to_bytes()
    if target.name.lower().endswith(".gz"):
        data = deflate.gzip_compress(data, level)
    with whole_or_not(target) as file:
        file.write(data)
    return target


def as_saved(image: Nifti1Image, path: Path) -> Nifti1Image:
    """Return a saved image as reading its file would give it: the header rounds its affine."""
    affine = image.header.get_best_affine()  # type: ignore[no-untyped-call]
    read_back = type(image)(image.dataobj, affine, image.header)
    read_back.set_filename(str(path))
    return read_back


def save_series(
    volumes: Iterable[NDArray[Any]],
    n_volumes: int,
    grid: Grid,
    path: str | os.PathLike[str],
    *,
    descrip: str = "",
    level: int = 1,
    dtype: DTypeLike = np.float32,
) -> Path:
    """Save volumes as one 4-D image, with no more than one volume in memory.

    As `save_image`, the file is written whole or not at all. Compressed, each volume is a gzip
    member of its own, which readers take for one stream.
    """
    target = _target(path)
    compressed = target.name.lower().endswith(".gz")
    written = 0
    with whole_or_not(target) as file:
        start = _series_header(grid, n_volumes, descrip, dtype)
        file.write(deflate.gzip_compress(start, level) if compressed else start)
        for volume in volumes:
            data = volume.reshape(-1, order="F").data
            file.write(deflate.gzip_compress(data.cast("B"), level) if compressed else data)
            written += 1
        if written != n_volumes:
            raise ValueError(f"{written} volumes came, but the header says {n_volumes}")
    return target


def _series_header(grid: Grid, n_volumes: int, descrip: str, dtype: DTypeLike) -> bytes:
    """Return the bytes before the values; of NIfTI-2 if NIfTI-1 cannot count so many."""
    kind: Any = nib.Nifti2Image if n_volumes > NIFTI1_MAX_LENGTH else nib.Nifti1Image
    # One value stands for all, because only its type and the shape go into the header.
    values = np.broadcast_to(np.zeros((), dtype), (*grid.shape, n_volumes))
    header = kind(values, grid.affine).header
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = descrip_of(descrip)
    header.set_data_offset(header.single_vox_offset)
    header["magic"] = header.single_magic
    return bytes(header.binaryblock).ljust(header.single_vox_offset, b"\0")


def _target(path: str | os.PathLike[str]) -> Path:
    target = given_path("path", path)
    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise ArgumentError.about(
            "path",
            f"the name of an image must end in .nii or .nii.gz, but {os.fspath(path)!r} does not",
            "add one of them",
        )
    make_folder(target.parent)
    return target
