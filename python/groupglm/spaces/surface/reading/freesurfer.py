# SPDX-License-Identifier: BSD-3-Clause
"""FreeSurfer's files of values at vertices: .mgh, .mgz, and those of curvature and thickness.

A file of the last kind has no ending: ``lh.thickness``. It is three bytes, the numbers of vertices
and faces and of values a vertex, and a number for each vertex
(https://surfer.nmr.mgh.harvard.edu/fswiki/CurvatureFile).
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from groupglm.errors import ImageError
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MghFile",
    "curvature_values",
    "is_curvature_name",
    "is_row_of_vertices",
    "mgh_values",
    "open_curvature",
    "open_mgh",
    "shape_of_mgh",
]

_VALUES, _TRIANGLES, _QUADRANGLES = b"\xff\xff\xff", b"\xff\xff\xfe", b"\xff\xff\xfd"
_HEADER, _MGH_HEADER = 15, 284  # bytes
_TYPES = {0: "uint8", 1: "int32", 3: "float32", 4: "int16", 10: "uint16"}
"""The types of values by their numbers in a .mgh file, all with the highest byte first."""
_MOST_VERTICES = 2**25  # fsaverage has 163,842; a sphere divided ten times has 10.5 million
_MOST_MAPS = 100_000
_MOST_AFTER = 2**26  # bytes; some hundred tell of the scan
_HEMISPHERE = re.compile(r"(?:^|[._])[lr]h\.")
_NO_VALUES = {".annot": "an annotation", ".label": "a label", ".ctab": "a table of colours"}
_OTHERS = (
    ".nii", ".nii.gz", ".gii", ".gii.gz", ".mgh", ".mgz", ".img", ".hdr", ".tsv", ".csv", ".json",
)  # fmt: skip


def is_row_of_vertices(shape: tuple[int, ...]) -> bool:
    """Return whether an image of voxels has the shape in which FreeSurfer stores vertices."""
    return len(shape) > 2 and shape[0] > 1 and tuple(shape[1:3]) == (1, 1)


def is_curvature_name(name: str) -> bool:
    """Return whether a file's name is one that FreeSurfer gives to values at vertices.

    Examples
    --------
    >>> [is_curvature_name(x) for x in ("lh.thickness", "sub-01.rh.area", "lh.stack.mgh", "curv")]
    [True, True, False, False]
    """
    base = os.path.basename(name).lower()  # noqa: PTH119
    return _HEMISPHERE.search(base) is not None and not base.endswith(_OTHERS)


@dataclass(frozen=True)
class MghFile:
    """What the header of a .mgh or .mgz file says of its values."""

    path: str
    dtype: np.dtype[Any]
    n_vertices: int
    n_maps: int

    @property
    def is_zipped(self) -> bool:
        """Whether the file is compressed."""
        return self.path.lower().endswith(".mgz")

    def open(self) -> BinaryIO:
        """Open the file, inflated."""
        return cast(
            "BinaryIO", gzip.open(self.path) if self.is_zipped else Path(self.path).open("rb")
        )


def shape_of_mgh(path: str) -> tuple[int, ...] | None:
    """Return the shape of the image in a file; None if it cannot be read."""
    try:
        return _header_of(path)[0]
    except (ImageError, OSError):  # whoever opens it says what is wrong
        return None


def _header_of(path: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape of an image, its last axis the maps, and the type of its values."""
    check_file(path, f"{path}:", ImageError)
    unknown = MghFile(path, np.dtype(np.float32), 0, 0)
    try:
        with unknown.open() as file:
            start = file.read(_MGH_HEADER)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if len(start) < _MGH_HEADER:
        raise _damaged(path, f"its header has {_MGH_HEADER} bytes, of which {len(start)} are there")
    version, *shape, code = np.frombuffer(start, ">i4", 6).tolist()
    if version != 1:
        raise _damaged(path, f"it begins with {version}, not with the version 1")
    if min(shape) < 1:
        raise _damaged(path, f"its header says the shape {tuple(shape)}")
    if code not in _TYPES:
        known = ", ".join(f"{own} ({name})" for own, name in _TYPES.items())
        raise _damaged(path, f"its values are of the type {code}, which is none of {known}")
    return tuple(shape), np.dtype(_TYPES[code])


def open_mgh(path: str) -> MghFile:
    """Read the header of a file."""
    shape, dtype = _header_of(path)
    if not is_row_of_vertices(shape):
        shown = shape[:3] if shape[3] == 1 else shape
        raise ImageError(
            f"{path}: holds a volume of the shape {shown}, not values at the vertices of a "
            "surface; give one kind of data"
        )
    found = MghFile(path, dtype, shape[0], shape[3])
    needed = _MGH_HEADER + found.n_vertices * found.n_maps * dtype.itemsize
    size = os.path.getsize(path)  # noqa: PTH202
    # Zeros are compressed best: to a part in 1032 of their bytes.
    if size * (1032 if found.is_zipped else 1) < needed:
        raise ImageError(
            f"{path}: has {size} bytes, but its values need {needed}; copy it again from its source"
        )
    # A small compressed file can say numbers that fill the memory.
    if found.n_vertices > _MOST_VERTICES or found.n_maps > _MOST_MAPS:
        raise ImageError(
            f"{path}: says {found.n_maps} maps of {found.n_vertices} vertices, and more than "
            f"{_MOST_MAPS} maps, or {_MOST_VERTICES} vertices, are not read; check how it was made"
        )
    return found


def mgh_values(file: MghFile, number: int) -> NDArray[Any]:
    """Return one map of a file that `open_mgh` has opened, shape (n_vertices,)."""
    n_bytes = file.n_vertices * file.dtype.itemsize
    try:
        with file.open() as opened:
            opened.seek(_MGH_HEADER + number * n_bytes)
            data = opened.read(n_bytes)
            if number + 1 == file.n_maps and file.is_zipped:
                _read_to_end(opened, file.path)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(file.path, error) from error
    if len(data) < n_bytes:
        raise ImageError(
            f"{file.path}: is cut off: {len(data)} of {n_bytes} bytes of values are there; copy "
            "it again from its source"
        )
    values = np.frombuffer(data, file.dtype.newbyteorder(">"))
    return values.astype(file.dtype.newbyteorder("="))


def _read_to_end(opened: BinaryIO, path: str) -> None:
    """Read what follows the values of a compressed file, whose check sum is at the end."""
    left = _MOST_AFTER
    while left > 0 and (more := opened.read(2**20)):
        left -= len(more)
    if left <= 0:
        raise _damaged(path, f"more than {_MOST_AFTER} bytes follow its values")


def _damaged(path: str, why: str) -> ImageError:
    return ImageError(
        f"{path}: is no FreeSurfer file of values, or a damaged one: {why}; copy it again from its "
        "source"
    )


def _unreadable(path: str, error: Exception) -> ImageError:
    """Return what to tell of a file that cannot be read, or inflated."""
    if isinstance(error, OSError) and error.strerror:
        return ImageError(f"{path}: cannot be read: {error.strerror}")
    if isinstance(error, EOFError):
        return _damaged(path, "it is compressed, and cut off")
    return _damaged(path, "it cannot be inflated")


def open_curvature(path: str) -> int:
    """Read the start of a file of values at vertices, and return how many there are."""
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if ending in _NO_VALUES:
        raise ImageError(
            f"{path}: is {_NO_VALUES[ending]}, whose numbers name regions and are no "
            "measurements; give a file of values, such as lh.thickness or lh.thickness.mgh"
        )
    check_file(path, f"{path}:", ImageError)
    with Path(path).open("rb") as file:
        start = file.read(_HEADER)
    if start[:3] in (_TRIANGLES, _QUADRANGLES):
        raise ImageError(
            f"{path}: is a surface, that is where vertices lie, not values at them; give it as "
            "surfaces, and files such as lh.thickness as images"
        )
    if start[:3] != _VALUES or len(start) < _HEADER:
        raise ImageError(
            f"{path}: is no file of values at vertices that FreeSurfer writes, or one of its old "
            "form; convert it to .mgh by mri_convert"
        )
    n_vertices, _, n_each = np.frombuffer(start, ">i4", 3, 3).tolist()
    if n_each != 1 or n_vertices < 1:
        raise ImageError(f"{path}: has {n_each} values at each of {n_vertices} vertices, not one")
    size = os.path.getsize(path)  # noqa: PTH202
    if size != _HEADER + 4 * n_vertices:
        raise ImageError(
            f"{path}: has {size} bytes, but {n_vertices} values need {_HEADER + 4 * n_vertices}; "
            "copy it again from its source"
        )
    return int(n_vertices)


def curvature_values(path: str, n_vertices: int) -> NDArray[np.float32]:
    """Return the values of a file that `open_curvature` has opened, shape (n_vertices,)."""
    try:
        values = np.fromfile(path, ">f4", n_vertices, offset=_HEADER)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(values) < n_vertices:
        raise ImageError(
            f"{path}: was shortened after it was opened: {len(values)} of {n_vertices} values are "
            "left; do not write to images while they are read"
        )
    return values.astype(np.float32)
