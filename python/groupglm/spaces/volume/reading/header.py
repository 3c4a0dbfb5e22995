# SPDX-License-Identifier: BSD-3-Clause
"""The place and type of a file's values, from its header alone.

nibabel parses the headers; only the bytes are read here. A compressed file is opened five times
faster if no more of it than the header is inflated.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.analyze import AnalyzeImage
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError

from groupglm.errors import ImageError
from groupglm.spaces.volume.reading.inflate import MAGIC, CompressedStream, holds_at_least
from groupglm.spaces.volume.reading.layout import Compression, Layout

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

__all__ = ["check_compression", "files_of", "layout_of_image", "read_layout"]

_NIFTI2_BYTES = 540

_LONGEST_BLOCK = 46_000_000  # of bzip2, inflated: of its 900,000 bytes, five may stand for 259

# Endings of files that belong together: NIfTI and Analyze (with SPM's affine), AFNI, Philips.
_TOGETHER = ((".hdr", ".img", ".mat"), (".head", ".brik"), (".par", ".rec"))

# Fields that say nothing about the place of the values, and differ between images of a study.
_WITHOUT_SAY = ("cal_max", "cal_min", "descrip", "aux_file", "intent_name")

# nibabel logs how it would repair a header that is refused here. Nobody listens to this logger.
_UNHEARD = logging.Logger("nibabel's remarks", level=logging.CRITICAL + 1)

# For each magic at byte 344: the header's class, and whether header and values are one file.
_MAGIC_AT_344: dict[bytes, tuple[Any, bool]] = {
    b"n+1\0": (Nifti1Header, True),
    b"ni1\0": (Nifti1PairHeader, False),
}
_MAGIC_AT_4: dict[bytes, tuple[Any, bool]] = {
    b"n+2\0": (Nifti2Header, True),
    b"ni2\0": (Nifti2PairHeader, False),
}


def read_layout(path: str) -> Layout | None:
    """Read the header of a NIfTI file."""
    pair = _pair_of(path)
    header_path, data_path = pair or (path, path)
    block, compression = _first_bytes(header_path, path)
    found = _kind_of(block)
    if found is None or found[1] == bool(pair):
        return None
    header = _parse(_without_remarks(block, found[0]), found[0])
    return Layout(
        path=data_path,
        # The values of a pair may begin with any bytes, so only the name tells their compression.
        compression=_compression_by_name(data_path) if pair else compression,
        name=path,
        **header,
    )


def _kind_of(block: bytes) -> tuple[Any, bool] | None:
    return _MAGIC_AT_344.get(block[344:348]) or _MAGIC_AT_4.get(block[4:8])


def _without_remarks(block: bytes, header_class: Any) -> bytes:
    """Clear the fields that do not matter for the values, and return the header's bytes."""
    template = header_class.template_dtype
    header = bytearray(block[: template.itemsize])
    for field in _WITHOUT_SAY:
        dtype, start = template.fields[field][:2]
        header[start : start + dtype.itemsize] = bytes(dtype.itemsize)
    return bytes(header)


@lru_cache(maxsize=64)
def _parse(block: bytes, header_class: Any) -> dict[str, Any]:
    """Parse a header. Most headers of a study are equal, and nibabel's checks are slow."""
    header = header_class(block, check=False)
    _check_offset(header, header["vox_offset"].item())
    header.check_fix(logger=_UNHEARD)
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


def _check_offset(header: Any, offset: float) -> None:
    """Refuse values that begin within their header, unless the header is a file of its own."""
    # To nibabel an offset of zero means "not set", and it would then read the header as voxels.
    if header.is_single and offset < header.single_vox_offset:
        raise HeaderDataError(
            f"it declares that the values begin at byte {offset:.15g} (vox_offset), but in a "
            f"single file they follow the header, at byte {header.single_vox_offset} at the least"
        )


def layout_of_image(image: SpatialImage, name: str) -> Layout | None:
    """Return where an image that nibabel has opened, but not read, keeps its values."""
    proxy = image.dataobj
    # Subclasses scale or order their values in ways of their own.
    if type(proxy) is not ArrayProxy or proxy.order != "F":
        return None
    if not isinstance(proxy.file_like, str | os.PathLike):
        return None
    path = os.fspath(proxy.file_like)
    if path.lower().endswith(".zst"):
        return None
    if proxy.offset < Nifti1Header.single_vox_offset:
        # The file's header, not the image's: the image's may have been made for another file.
        found = _kind_of(_first_bytes(path, name)[0])
        if found is not None:
            _check_offset(found[0], proxy.offset)
    is_mgh = path.lower().endswith((".mgh", ".mgz"))
    return Layout(
        path=path,
        compression=_compression_by_name(path),
        offset=int(proxy.offset),
        dtype=np.dtype(proxy.dtype),
        shape=tuple(int(length) for length in proxy.shape),
        slope=float(proxy.slope),
        inter=float(proxy.inter),
        affine=image.affine,
        name=name,
        has_footer=is_mgh or not isinstance(image, AnalyzeImage),  # nibabel's NIfTI images are
    )


def check_compression(path: str) -> None:
    """Refuse a file of no known format if the reason is that its compression is damaged."""
    block, compression = _first_bytes(path, path)
    if compression is not None:
        # bzip2 reports damage only at the end of a block; the data before it may be anything.
        holds_at_least(path, _LONGEST_BLOCK, path, compression)
        return
    expected = _compression_by_name(path)
    if block and expected is not None:
        raise ImageError(
            f"{path}: the compressed data are damaged: they do not begin as {expected} does; copy "
            "the file again from its source, or correct its name if it is not compressed"
        )


def _pair_of(path: str) -> tuple[str, str] | None:
    """Return the (header, values) files if the name is that of one of a pair."""
    n_packed = next((len(end) for end in (".gz", ".bz2") if path.lower().endswith(end)), 0)
    whole, packed = path[: len(path) - n_packed], path[len(path) - n_packed :]
    stem, extension = whole[:-4], whole[-4:]
    if extension.lower() not in (".hdr", ".img"):
        return None
    header, values = (".HDR", ".IMG") if extension.isupper() else (".hdr", ".img")
    return stem + header + packed, stem + values + packed


def files_of(path: str) -> list[str]:
    """Return the files that may be opened for an image name; either name of a pair gives both."""
    n_packed = next((len(end) for end in (".gz", ".bz2") if path.lower().endswith(end)), 0)
    whole, packed = path[: len(path) - n_packed], path[len(path) - n_packed :]
    stem, dot, ending = whole.rpartition(".")
    ending = dot + ending
    group = next((group for group in _TOGETHER if ending.lower() in group), ())
    others = [other.upper() if ending.isupper() else other for other in group]
    return [path, *(stem + other + packed for other in others if other != ending)]


def _compression_by_name(path: str) -> Compression | None:
    if path.lower().endswith((".gz", ".mgz")):
        return "gzip"
    return "bzip2" if path.lower().endswith(".bz2") else None


def _first_bytes(path: str, name: str) -> tuple[bytes, Compression | None]:
    """Return the first bytes of a file, inflated if it is compressed, and its compression."""
    with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
        start = file.peek(3)[:3]
        for compression, magic in MAGIC.items():
            if start.startswith(magic):
                stream = CompressedStream(file, name, compression)
                return bytes(stream.read(_NIFTI2_BYTES)), compression
        return file.read(_NIFTI2_BYTES), None
