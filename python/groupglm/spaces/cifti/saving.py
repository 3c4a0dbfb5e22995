# SPDX-License-Identifier: BSD-3-Clause
"""CIFTI files, written whole or not at all: an image, or rows that come one by one."""

from __future__ import annotations

import os
import struct
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import make_folder
from groupglm.runtime.scratch import ScratchFile
from groupglm.runtime.writing import whole_or_not
from groupglm.spaces.narrowing import narrowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm.spaces.base import RowStream
    from groupglm.spaces.cifti.opening import Family

__all__ = ["save_image", "save_rows"]

_BLOCK_BYTES = 16 << 20
_FIRST_EXTENSION = 544
_CIFTI_EXTENSION = 32


def save_image(image: Any, path: Path, family: Family) -> Path:
    """Save an image, whole or not at all. Equal images give equal files."""
    target = _target(path, family)
    before, dtype = _before_values(image)
    values = np.asanyarray(image.dataobj).astype(dtype, copy=False)
    with whole_or_not(target) as file:
        file.write(before)
        file.write(np.ascontiguousarray(values.T).data.cast("B"))
    return target


def save_rows(
    make_rows: Callable[[], RowStream],
    n_rows: int,
    n_values: int,
    to_image: Callable[[NDArray[Any]], Any],
    path: Path,
    family: Family,
) -> Path:
    """Save rows as the maps of one file, with a row and a block of the file in memory.

    A file holds the values of one place side by side, so the rows wait in a scratch file.

    Parameters
    ----------
    make_rows : callable
        Returns the rows, each in the order of the file.
    n_rows, n_values : int
        How many there are, and their length.
    to_image : callable
        Makes an image of an array of the shape (n_rows, n_values), whose values are not used.
    path : pathlib.Path
        The file.
    family : Family
        The kind of its places.
    """
    target = _target(path, family)
    waiting = ScratchFile(n_rows, 8 * n_values)
    fits, n_written = True, 0
    with closing(make_rows()) as rows:
        for row in rows:
            fits = fits and narrowed(row).dtype == np.float32
            waiting.write(n_written, row)
            n_written += 1
    if n_written != n_rows:
        raise ValueError(f"{n_written} rows came, and the file has room for {n_rows}")
    zero = np.zeros((), np.float32 if fits else np.float64)
    before, dtype = _before_values(to_image(np.broadcast_to(zero, (n_rows, n_values))))
    step = max(1, _BLOCK_BYTES // (8 * n_rows))
    with whole_or_not(target) as file:
        file.write(before)
        for first in range(0, n_values, step):
            block = np.empty((n_rows, min(step, n_values - first)))
            for number, values in enumerate(block):
                waiting.read(number, values, 8 * first)
            file.write(np.ascontiguousarray(block.T, dtype).data.cast("B"))
    return target


def _before_values(image: Any) -> tuple[bytes, np.dtype[Any]]:
    """Return the bytes of an image's file before its values, and the type of the values.

    nibabel would parse its own XML again to write it.
    """
    xml: bytes = image.header.to_xml()
    n_bytes = -(-(8 + len(xml)) // 16) * 16  # NIfTI: extensions are multiples of 16
    header = image.nifti_header.copy()
    header.set_data_shape((1, 1, 1, 1, *image.shape))
    header["magic"] = header.single_magic
    header["vox_offset"] = _FIRST_EXTENSION + n_bytes
    header["pixdim"] = 1
    header["scl_slope"], header["scl_inter"] = 1, 0
    order = header.endianness
    extension = struct.pack(f"{order}2i", n_bytes, _CIFTI_EXTENSION) + xml.ljust(n_bytes - 8)
    return bytes(header.binaryblock) + b"\1\0\0\0" + extension, header.get_data_dtype()


def _target(path: Path, family: Family) -> Path:
    target = given_path("path", path)
    if not target.name.lower().endswith(family.endings):
        raise ArgumentError.about(
            "path",
            f"the name of {family.name} must end in {family.endings[0]}, but "
            f"{os.fspath(path)!r} does not",
            "add it",
        )
    make_folder(target.parent)
    return target
