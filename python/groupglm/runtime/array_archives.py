# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in a zip archive, as ``numpy.savez`` writes them: the only reader of such files.

Members are stored without compression, so that no more is read than the file holds. Nothing is a
pickle, and nothing is executed.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ArchiveError", "Members", "array_of", "check_type", "open_archive"]


class ArchiveError(ValueError):
    """The reason why an archive cannot be used; it continues a sentence after the file's name."""


class Members:
    """The members of an archive, read one at a time."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}

    @property
    def names(self) -> set[str]:
        """All names."""
        return set(self._infos)

    def size(self, name: str) -> int:
        """Return the bytes of a member."""
        return self._infos[name].file_size

    def read(self, name: str) -> bytes:
        """Return a member; its checksum (CRC) is verified."""
        with _refusing():
            return self._archive.read(self._infos[name])


@contextmanager
def open_archive(path: Path) -> Iterator[Members]:
    """Open an archive of arrays."""
    check_file(path)
    with contextlib.ExitStack() as stack:
        with _refusing():
            archive = stack.enter_context(zipfile.ZipFile(path))
            _check_sizes(archive.infolist(), os.path.getsize(path))  # noqa: PTH202
        yield Members(archive)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn every error of zipfile, which trusts the numbers in a file, into an `ArchiveError`."""
    try:
        yield
    except (ArchiveError, FileNotFoundError, PermissionError):
        raise
    except MemoryError as error:
        raise ArchiveError("does not fit into the memory") from error
    except Exception as error:
        raise ArchiveError(f"is no archive that can be read ({_said(error)})") from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check_sizes(infos: list[zipfile.ZipInfo], n_bytes: int) -> None:
    """Refuse members that are compressed, occur twice, or are larger than the file."""
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ArchiveError(f"has a member that is compressed ({info.filename})")
        if info.flag_bits & 1:
            raise ArchiveError(f"has a member that is encrypted ({info.filename})")
    if len({info.filename for info in infos}) < len(infos):
        raise ArchiveError("has several members of the same name")
    total = sum(info.file_size for info in infos)
    if total > n_bytes:
        raise ArchiveError(
            f"has members of {total} bytes in all, more than the file's {n_bytes}: they overlap"
        )


def array_of(data: bytes) -> NDArray[Any]:
    """Read an array in the ``.npy`` format, if its header fits the number of bytes.

    Examples
    --------
    >>> stored = io.BytesIO()
    >>> np.save(stored, np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]))
    >>> array_of(stored.getvalue())
    array([[1., 2.],
           [3., 4.]])
    """
    buffer = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(buffer)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(buffer)
    except Exception as error:  # numpy evaluates the header as a Python expression
        raise ArchiveError(f"is not an array ({_said(error)})") from error
    n_bytes = len(data) - buffer.tell()
    if version != (1, 0):
        raise ArchiveError(f"is not an array of version 1.0 of its format, but of {version}")
    if dtype.kind not in "biufcU" or dtype.itemsize == 0:
        raise ArchiveError(f"is not an array of numbers or text, but of {dtype}")
    if any(length < 0 for length in shape):  # numpy would compute the length itself
        raise ArchiveError(f"is not an array: its shape {shape} has a negative length")
    if math.prod(shape) * dtype.itemsize != n_bytes:
        raise ArchiveError(f"is not an array: it has {n_bytes} bytes, not those of shape {shape}")
    if dtype.kind == "U":
        codes = np.frombuffer(
            data, np.dtype(np.uint32).newbyteorder(dtype.byteorder), offset=len(data) - n_bytes
        )
        if (codes > sys.maxunicode).any():
            raise ArchiveError("is not an array of text: it has characters that do not exist")
    values = np.frombuffer(data, dtype, math.prod(shape), len(data) - n_bytes)
    return values.reshape(shape, order="F" if by_columns else "C").copy(order="C")


def check_type(name: str, array: NDArray[Any], dtype: str, ndim: int) -> None:
    """Refuse an array of another type, or of another number of axes; ValueError names it."""
    if array.dtype != dtype or array.ndim != ndim:
        raise ValueError(f"{name} is {array.dtype} of {array.ndim} axes, not {dtype} of {ndim}")
