# SPDX-License-Identifier: BSD-3-Clause
"""Where a file keeps its values, from its header alone: `Layout`.

nibabel parses the headers; only the bytes are read here, because a compressed file is opened five
times faster when no more of it than the header is inflated.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader

from groupglm.errors import ImageError
from groupglm.images.inflate import MAGIC, MAX_RATIO, CompressedStream, Compression, holds_at_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Layout", "check_is_real", "layout_of_proxy", "read_layout"]

_NIFTI2_BYTES = 540

# Fields that say nothing of where the values are, and differ between images of one study.
_WITHOUT_SAY = ("cal_max", "cal_min", "descrip", "aux_file", "intent_name")

# (magic, header class, is a single file), by the place of the magic in the block
_MAGIC_AT_344: dict[bytes, tuple[Any, bool]] = {
    b"n+1\0": (Nifti1Header, True),
    b"ni1\0": (Nifti1PairHeader, False),
}
_MAGIC_AT_4: dict[bytes, tuple[Any, bool]] = {
    b"n+2\0": (Nifti2Header, True),
    b"ni2\0": (Nifti2PairHeader, False),
}


@dataclass(frozen=True, eq=False)
class Layout:
    """Where and how a file stores an image.

    Attributes
    ----------
    path : str
        The file that holds the values.
    compression : {"gzip", "bzip2"} or None
        How that file is compressed.
    offset : int
        Bytes before the first value (of the inflated file).
    dtype : numpy.dtype
        Stored type, with its byte order.
    shape : tuple of int
        As declared. Values lie in Fortran order: the first axis varies fastest.
    slope, inter : float
        A value is ``stored * slope + inter``.
    affine : array, shape (4, 4)
        Voxel indices to millimetres.
    name : str
        How error messages call the image.
    """

    path: str
    compression: Compression | None
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    slope: float
    inter: float
    affine: NDArray[np.float64]
    name: str

    def check(self) -> None:
        """Refuse a header that cannot be true of its file, before anything is allocated.

        Raises
        ------
        ImageError
            If the values are not real numbers, a dimension is not positive, or the file is too
            small to hold the values.
        """
        check_is_real(self.dtype, self.name)
        if any(length < 1 for length in self.shape) or self.offset < 0:
            raise ImageError(
                f"{self.name}: the header declares the shape {self.shape} at byte {self.offset}, "
                "which no image has; the header is damaged"
            )
        declared = self.offset + math.prod(self.shape) * self.dtype.itemsize
        size = os.stat(self.path).st_size  # noqa: PTH116 (a Path for each of many files is slow)
        if (
            self.compression is not None
            and declared > size * MAX_RATIO
            and not (
                # Inflating only to count is slow, but few true images come so far.
                self.compression == "bzip2"
                and holds_at_least(self.path, declared, self.name, self.compression)
            )
        ):
            raise ImageError(
                f"{self.name}: the header declares {declared} bytes (shape {self.shape}), which "
                f"cannot come out of a compressed file of {size} bytes; the file is damaged"
            )
        if self.compression is None and declared > size:
            raise ImageError(
                f"{self.name}: the file is truncated: it has {size} bytes, but its header declares "
                f"{declared} (shape {self.shape}); copy it again from its source"
            )


def check_is_real(dtype: np.dtype[Any], name: str) -> None:
    """Refuse complex numbers, colours and records.

    Parameters
    ----------
    dtype : numpy.dtype
        Stored type.
    name : str
        How the error message calls the image.

    Raises
    ------
    ImageError
        If `dtype` is not a real number's.
    """
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else "colours or records"
        raise ImageError(
            f"{name}: its values are {kind} ({dtype}), but the model needs real numbers; "
            "give an image of one real number a voxel"
        )


def read_layout(path: str) -> Layout | None:
    """Read the header of a NIfTI file.

    Parameters
    ----------
    path : str
        A NIfTI-1 or NIfTI-2 file: ``.nii``, or either file of a pair, each with or without
        ``.gz`` or ``.bz2``.

    Returns
    -------
    Layout or None
        None when this is not such a file: nibabel may still know it.

    Raises
    ------
    OSError
        If the file cannot be read.
    ImageError
        If the header is compressed and damaged.
    nibabel.spatialimages.HeaderDataError
        If the header is not valid.
    """
    pair = _pair_of(path)
    header_path, data_path = pair or (path, path)
    block, compression = _first_bytes(header_path, path)
    found = _MAGIC_AT_344.get(block[344:348]) or _MAGIC_AT_4.get(block[4:8])
    if found is None or found[1] == bool(pair):
        return None
    header = _parse(_without_remarks(block, found[0]), found[0])
    return Layout(
        path=data_path,
        # The values of a pair may begin with any two bytes, so there only the name can tell.
        compression=_compression_by_name(data_path) if pair else compression,
        name=path,
        **header,
    )


def _without_remarks(block: bytes, header_class: Any) -> bytes:
    """Return a header's bytes with the fields cleared that have no say in where the values are."""
    template = header_class.template_dtype
    header = bytearray(block[: template.itemsize])
    for field in _WITHOUT_SAY:
        dtype, start = template.fields[field][:2]
        header[start : start + dtype.itemsize] = bytes(dtype.itemsize)
    return bytes(header)


@lru_cache(maxsize=64)
def _parse(block: bytes, header_class: Any) -> dict[str, Any]:
    """Parse a header. Those of a study are mostly equal, and nibabel's checks are slow."""
    header = header_class(block)
    slope, inter = header.get_slope_inter()
    affine = header.get_best_affine()
    affine.setflags(write=False)
    return {
        "offset": int(header.get_data_offset()),
        "dtype": header.get_data_dtype(),
        "shape": tuple(int(length) for length in header.get_data_shape()),
        "slope": 1.0 if slope is None else float(slope),
        "inter": 0.0 if inter is None else float(inter),
        "affine": affine,
    }


def layout_of_proxy(proxy: object, affine: NDArray[np.float64], name: str) -> Layout | None:
    """Tell where an image that nibabel has opened, but not read, keeps its values.

    Parameters
    ----------
    proxy : object
        The image's ``dataobj``.
    affine : array, shape (4, 4)
        The image's affine.
    name : str
        How error messages call the image.

    Returns
    -------
    Layout or None
        None when the values are in memory, or only nibabel knows how to get them.
    """
    # Subclasses scale or order their values in their own way.
    if type(proxy) is not ArrayProxy or proxy.order != "F":
        return None
    if not isinstance(proxy.file_like, str | os.PathLike):
        return None
    path = os.fspath(proxy.file_like)
    if path.lower().endswith(".zst"):
        return None
    return Layout(
        path=path,
        compression=_compression_by_name(path),
        offset=int(proxy.offset),
        dtype=np.dtype(proxy.dtype),
        shape=tuple(int(length) for length in proxy.shape),
        slope=float(proxy.slope),
        inter=float(proxy.inter),
        affine=affine,
        name=name,
    )


def _pair_of(path: str) -> tuple[str, str] | None:
    """Return the (header, values) files when the name is that of either file of a pair."""
    n_packed = next((len(end) for end in (".gz", ".bz2") if path.lower().endswith(end)), 0)
    whole, packed = path[: len(path) - n_packed], path[len(path) - n_packed :]
    stem, extension = whole[:-4], whole[-4:]
    if extension.lower() not in (".hdr", ".img"):
        return None
    header, values = (".HDR", ".IMG") if extension.isupper() else (".hdr", ".img")
    return stem + header + packed, stem + values + packed


def _compression_by_name(path: str) -> Compression | None:
    if path.lower().endswith((".gz", ".mgz")):
        return "gzip"
    return "bzip2" if path.lower().endswith(".bz2") else None


def _first_bytes(path: str, name: str) -> tuple[bytes, Compression | None]:
    """Return the first bytes of a file, inflated when it is compressed, and how it is."""
    with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
        start = file.peek(3)[:3]
        for compression, magic in MAGIC.items():
            if start.startswith(magic):
                stream = CompressedStream(file, name, compression)
                return bytes(stream.read(_NIFTI2_BYTES)), compression
        return file.read(_NIFTI2_BYTES), None
