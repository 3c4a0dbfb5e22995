# SPDX-License-Identifier: BSD-3-Clause
"""The header of a CIFTI-2 file: where its values are, and the bytes of its XML.

CIFTI-2 is NIfTI-2 whose dimensions 5 and 6 are those of a matrix, with the XML of the matrix's axes
in an extension of code 32 (Glasser et al. 2013, NeuroImage 80:105;
https://www.nitrc.org/projects/cifti). nibabel takes 0.3 s to make objects of the XML of one file of
91,282 grayordinates. Here only bytes are read.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from groupglm.errors import ImageError
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["CiftiHeader", "read_header"]

_HEADER_BYTES = 540
_FIRST_EXTENSION = 544
_CIFTI_EXTENSION = 32
_MOST_EXTENSIONS = 64
_LONGEST_XML = 64 << 20  # bytes: 60 times that of 91,282 grayordinates
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_COPY = "copy the file again from its source"


@dataclass(frozen=True, eq=False)
class CiftiHeader:
    """Where a file keeps its values, and the XML of its axes.

    Attributes
    ----------
    path : str
        The file.
    dtype : numpy.dtype
        Stored type, with its byte order.
    n_maps, n_places : int
        Lengths of the matrix. The values of one place lie together, those of the first map first.
    offset : int
        Bytes before the first value.
    slope, inter : float
        A value is ``stored * slope + inter``.
    descrip : str
        What the header says that the values are.
    """

    path: str
    dtype: np.dtype[Any]
    n_maps: int
    n_places: int
    offset: int
    slope: float
    inter: float
    descrip: str


def read_header(path: str) -> tuple[CiftiHeader, bytes]:
    """Read the header of a CIFTI-2 file and its XML, without what pads it.

    ImageError names the file and what is wrong. The size of the file is compared with what the
    header declares. The XML is not parsed.
    """
    check_file(path, f"{path}:", ImageError)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
            return _read(file, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error


def _read(file: BinaryIO, path: str) -> tuple[CiftiHeader, bytes]:
    size = os.fstat(file.fileno()).st_size
    block = file.read(_FIRST_EXTENSION)
    order = _byte_order(block, path)
    dim = struct.unpack_from(f"{order}8q", block, 16)
    if dim[0] != 6 or dim[1:5] != (1, 1, 1, 1) or min(dim[5:7]) < 1:
        n_axes = min(max(dim[0], 0), 7)
        raise ImageError(
            f"{path}: its header declares the shape {dim[1 : n_axes + 1]}, but the matrix of maps "
            "and places of a CIFTI file has the shape (1, 1, 1, 1, maps, places); if it is a "
            "volume, give it a name that ends in .nii.gz or .nii alone"
        )
    n_maps, n_places = dim[5], dim[6]
    dtype = _dtype(block, order, path)
    offset = struct.unpack_from(f"{order}q", block, 168)[0]
    n_bytes = n_maps * n_places * dtype.itemsize
    declared = f"{offset + n_bytes} bytes ({n_maps} x {n_places} values, {dtype.name})"
    if offset < _FIRST_EXTENSION or offset > size:
        raise ImageError(
            f"{path}: it declares that the values begin at byte {offset} (vox_offset), but the "
            f"file has {size} bytes, of which the first {_FIRST_EXTENSION} are the header; {_COPY}"
        )
    if offset + n_bytes > size:
        raise ImageError(
            f"{path}: the file is truncated: it has {size} bytes, but its header declares "
            f"{declared}; {_COPY}"
        )
    if size - offset - n_bytes >= n_places * dtype.itemsize:
        raise ImageError(
            f"{path}: the file has {size} bytes, but its header declares only {declared}, so the "
            "header does not describe the file; correct the header, or make the file again"
        )
    slope, inter = _scaling(block, order, path)
    descrip = block[240:320].split(b"\0")[0].decode("utf-8", errors="replace").strip()
    xml = _xml(file, block, order, offset, path)
    return CiftiHeader(path, dtype, n_maps, n_places, offset, slope, inter, descrip), xml


def _byte_order(block: bytes, path: str) -> Literal["<", ">"]:
    if block.startswith(b"\x1f\x8b"):
        raise ImageError(
            f"{path}: is compressed, and CIFTI files are not; unpack it by gunzip, and give it "
            "without .gz"
        )
    if len(block) == _FIRST_EXTENSION and block[4:8] == b"n+2\0":
        if struct.unpack_from("<i", block)[0] == _HEADER_BYTES:
            return "<"
        if struct.unpack_from(">i", block)[0] == _HEADER_BYTES:
            return ">"
    raise ImageError(
        f"{path}: is not a CIFTI-2 file, whatever its name says: it does not begin with a NIfTI-2 "
        f"header; {_COPY}, or give it the name of what it holds"
    )


def _dtype(block: bytes, order: Literal["<", ">"], path: str) -> np.dtype[Any]:
    code = struct.unpack_from(f"{order}h", block, 12)[0]
    if code not in _TYPES:
        raise ImageError(
            f"{path}: its values have the type of code {code}, but the model needs real numbers of "
            "at most 64 bits; write them as float32"
        )
    return np.dtype(_TYPES[code]).newbyteorder(order)


def _scaling(block: bytes, order: str, path: str) -> tuple[float, float]:
    slope, inter = struct.unpack_from(f"{order}2d", block, 176)
    if slope == 0 or not math.isfinite(slope):  # NIfTI: the values are not scaled
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise ImageError(
            f"{path}: its header scales values by {slope:g} and adds {inter} (scl_inter), which is "
            "no number; correct the header"
        )
    return slope, inter


def _xml(file: BinaryIO, block: bytes, order: str, offset: int, path: str) -> bytes:
    """Read the extension that holds the XML."""
    place = _FIRST_EXTENSION
    has_extensions = block[_HEADER_BYTES] != 0
    for _ in range(_MOST_EXTENSIONS if has_extensions else 0):
        if place + 8 > offset:
            break
        file.seek(place)
        size, code = struct.unpack(f"{order}2i", file.read(8))
        if size < 16 or place + size > offset:
            raise ImageError(
                f"{path}: the extension at byte {place} declares {size} bytes, but the values "
                f"begin at byte {offset}; {_COPY}"
            )
        if code == _CIFTI_EXTENSION:
            if size > _LONGEST_XML:
                raise ImageError(
                    f"{path}: its XML has {size} bytes, and at most {_LONGEST_XML} are parsed; "
                    "remove its metadata"
                )
            return file.read(size - 8).rstrip(b"\0 \t\r\n")
        place += size
    raise ImageError(
        f"{path}: has no XML of its axes (an extension of code 32), so it is not a CIFTI-2 file; "
        f"{_COPY}"
    )
