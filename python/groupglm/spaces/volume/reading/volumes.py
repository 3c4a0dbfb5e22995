# SPDX-License-Identifier: BSD-3-Clause
"""The volumes in a file or an image, each as a source; impossible headers are refused."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import DimensionError, ImageError
from groupglm.runtime.budget import free_bytes
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.reading.inflate import MAX_RATIO, CompressedSeries, holds_at_least
from groupglm.spaces.volume.reading.layout import Layout
from groupglm.spaces.volume.reading.source import (
    CompressedSeriesVolume,
    CompressedVolume,
    ImageVolume,
    PlainVolume,
    VolumeSource,
)

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage
    from numpy.typing import NDArray

__all__ = ["volumes_of_file", "volumes_of_image"]

_MANY_VOLUMES = 32768  # one more than NIfTI-1 can count
_LARGE_VOLUME = 2**27  # bytes; a larger volume must fit the free memory
_MOST_COUNTED = 2**28  # most bytes inflated only to count them: about a second
_LEAST_VOLUME_BYTES = 512  # of a volume in a file; about what one source takes in memory


def volumes_of_file(layout: Layout, *, most_axes: int = 4) -> list[VolumeSource]:
    """Make a source of each volume of a file; of several axes of volumes the first runs fastest."""
    shape = _shape_without_trailing_ones(layout.shape, layout.name, most_axes)
    _check_file(layout)
    grid = _grid(shape, layout.affine, layout.name)
    if len(shape) == 3:
        return [
            PlainVolume(layout, grid, 0, layout.name)
            if layout.compression is None
            else CompressedVolume(layout, grid, layout.compression)
        ]
    n_volumes = math.prod(shape[3:])
    _check_n_volumes(n_volumes, Path(layout.path).stat().st_size, layout.name)
    if layout.compression is None:
        return [
            PlainVolume(layout, grid, volume, f"{layout.name}, volume {volume + 1}")
            for volume in range(n_volumes)
        ]
    series = CompressedSeries(layout, layout.compression)
    return [CompressedSeriesVolume(layout, grid, volume, series) for volume in range(n_volumes)]


def volumes_of_image(image: SpatialImage, name: str, *, most_axes: int = 4) -> list[VolumeSource]:
    """Make a source of each volume of a nibabel image that must be read by nibabel."""
    data = image.dataobj
    given = tuple(int(length) for length in data.shape)
    shape = _shape_without_trailing_ones(given, name, most_axes)
    if math.prod(shape) == 0:
        raise ImageError(f"{name}: has the shape {shape}, so it holds no values")
    # Some readers of nibabel know the type only after reading; float64 holds any of them.
    stored = np.dtype(getattr(data, "dtype", np.float64))
    _check_is_real(stored, name)
    if not isinstance(data, np.ndarray):
        _check_is_possible(image, shape, name)
        stored = np.dtype(np.float64)  # nibabel's reader scales, whatever the stored type
        _check_volume(math.prod(shape[:3]) * stored.itemsize, name)
    elif np.ma.is_masked(data) and stored.kind != "f":
        stored = np.dtype(np.float64)  # masked values become NaN
    grid = _grid(shape, image.affine, name)
    if len(shape) == 3:
        return [ImageVolume(image, stored, grid, (), name)]
    box = (slice(None),) * 3
    ones = (0,) * (len(data.shape) - len(shape))
    return [
        ImageVolume(image, stored, grid, (*box, *place[::-1], *ones), f"{name}, volume {volume}")
        for volume, place in enumerate(np.ndindex(*shape[:2:-1]), start=1)
    ]


def _check_file(layout: Layout) -> None:
    """Refuse a header that cannot be true of its file, before memory is allocated."""
    _check_is_real(layout.dtype, layout.name)
    if any(length < 1 for length in layout.shape) or layout.offset < 0:
        raise ImageError(
            f"{layout.name}: the header declares the shape {layout.shape} at byte {layout.offset}, "
            "which no image has; the header is damaged"
        )
    declared = layout.n_bytes
    size = os.stat(layout.path).st_size  # noqa: PTH116 (a Path for each of many files is slow)
    if layout.compression is not None:
        if declared > size * MAX_RATIO:
            _check_bzip2(layout, size)
    elif declared > size:
        raise ImageError(
            f"{layout.name}: the file is truncated: it has {size} bytes, but its header declares "
            f"{layout.declared}; copy it again from its source"
        )
    elif size - declared > layout.surplus:
        raise ImageError(
            f"{layout.name}: the file has {size} bytes, but its header declares only "
            f"{layout.declared}, so the header does not describe the file; correct the header, or "
            "make the file again"
        )
    _check_volume(layout.volume_bytes, layout.name)


def _check_bzip2(layout: Layout, size: int) -> None:
    """Refuse a size beyond the ratio of gzip, unless a bzip2 file really holds so much."""
    if layout.compression == "bzip2":
        _check_volume(layout.volume_bytes, layout.name)
    if layout.compression == "bzip2" and layout.n_bytes > _MOST_COUNTED:
        raise ImageError(
            f"{layout.name}: the header declares {layout.declared} in a file of {size} bytes, more "
            f"than {MAX_RATIO} times as many; beyond {_MOST_COUNTED} bytes that is not tried out: "
            "compress the image by gzip if it is true"
        )
    # Inflating only to count is slow, but few genuine bzip2 images reach this.
    if layout.compression != "bzip2" or not holds_at_least(
        layout.path, layout.n_bytes, layout.name, layout.compression
    ):
        raise ImageError(
            f"{layout.name}: the header declares {layout.declared}, which cannot come out of a "
            f"compressed file of {size} bytes; the file is damaged"
        )


def _check_volume(needed: int, name: str) -> None:
    """Refuse a volume that does not fit into the memory, before any of it is inflated."""
    if needed > _LARGE_VOLUME and needed > free_bytes():
        raise ImageError(
            f"{name}: the header declares volumes of {needed / 1e6:.0f} MB, and "
            f"{free_bytes() / 1e6:.0f} MB of memory are free; resample it to larger voxels, or use "
            "a machine with more memory"
        )


def _check_is_real(dtype: np.dtype[Any], name: str) -> None:
    """Refuse complex numbers, colours and records."""
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else "colours or records"
        raise ImageError(
            f"{name}: its values are {kind} ({dtype}), but the model needs real numbers; "
            "give an image of one real number a voxel"
        )


def _check_is_possible(image: SpatialImage, shape: tuple[int, ...], name: str) -> None:
    """Refuse a shape too large for the image's files, before a reader allocates memory for it."""
    files = {os.fspath(holder.filename) for holder in image.file_map.values() if holder.filename}
    size = sum(Path(file).stat().st_size for file in files if Path(file).exists())
    if files and math.prod(shape) > size * MAX_RATIO:
        raise ImageError(
            f"{name}: the header declares the shape {shape}, which cannot come out of a file of "
            f"{size} bytes; the file is damaged"
        )
    if files and len(shape) > 3:
        _check_n_volumes(math.prod(shape[3:]), size, name)


def _check_n_volumes(n_volumes: int, size: int, name: str) -> None:
    """Refuse very many tiny volumes, because the source of each takes memory too."""
    if n_volumes > _MANY_VOLUMES + size // _LEAST_VOLUME_BYTES:
        raise ImageError(
            f"{name}: the header declares {n_volumes} volumes in a file of {size} bytes, which are "
            "too small to be volumes of a brain; the file is damaged"
        )


def _shape_without_trailing_ones(
    shape: tuple[int, ...], name: str, most_axes: int
) -> tuple[int, ...]:
    """Drop axes of length one after the third, and refuse what then has too many or too few."""
    n_axes = len(shape)
    while n_axes > 3 and shape[n_axes - 1] == 1:
        n_axes -= 1
    if not 3 <= n_axes <= most_axes:
        raise DimensionError(
            f"{name}: has the shape {shape}. Input data has incompatible dimensionality: Expected "
            f"dimension is 3D and you provided a {n_axes}D image; an image needs three axes of "
            "space, and may have one more of volumes"
        )
    return shape[:n_axes]


def _grid(shape: tuple[int, ...], affine: NDArray[np.float64] | None, name: str) -> Grid:
    if affine is None:
        raise ImageError(f"{name}: has no affine, so the place of its voxels is unknown; set one")
    rows = (*map(tuple, affine.tolist()[:3]), (0.0, 0.0, 0.0, 1.0))  # as many as a header holds
    try:
        return _shared_grid((shape[0], shape[1], shape[2]), rows)
    except ValueError as error:
        raise ImageError(f"{name}: {error}") from error


@lru_cache(maxsize=64)
def _shared_grid(shape: tuple[int, int, int], affine: tuple[tuple[float, ...], ...]) -> Grid:
    """Make a grid; the images of a study share one, because checking a grid is slow."""
    return Grid(shape, np.array(affine))
