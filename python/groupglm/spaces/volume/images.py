# SPDX-License-Identifier: BSD-3-Clause
"""Images of rows of values: all rows at once, or one by one in memory or in a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Image

from groupglm import _core
from groupglm.spaces.volume.intent import descrip_of, mark
from groupglm.spaces.volume.saving import save_series

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.base import RowStream
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.volume.grid import Grid

__all__ = ["image_of", "image_of_rows", "series_image"]


def image_of(
    grid: Grid, data: NDArray[Any], descrip: str, statistic: Statistic | None = None
) -> Nifti1Image:
    """Make an image of data on a grid (3-D, or 4-D), which is not copied."""
    image = Nifti1Image(data, grid.affine, dtype=data.dtype)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
    image.header["descrip"] = descrip_of(descrip)
    if statistic is not None:
        mark(image, statistic)
    return image


def image_of_rows(
    grid: Grid,
    indices: NDArray[np.intp] | None,
    values: NDArray[Any],
    descrip: str,
    dtype: DTypeLike | None,
    statistic: Statistic | None,
) -> Nifti1Image:
    """Make an image as `VolumeSpace.to_image` does, from values that have been checked."""
    chosen = np.float32 if dtype is None else dtype
    # In Fortran order each volume is one run of memory, as in the file.
    data = np.empty((*grid.shape, *values.shape[:-1]), dtype=chosen, order="F")
    volumes = data.reshape((*grid.shape, -1), order="F")
    rows = values.reshape(-1, values.shape[-1])
    fits = [_put(row, indices, volumes[..., volume]) for volume, row in enumerate(rows)]
    if dtype is None and not all(fits):
        return image_of_rows(grid, indices, values, descrip, np.float64, statistic)
    return image_of(grid, data, descrip, statistic)


def _put(row: NDArray[Any], indices: NDArray[np.intp] | None, volume: NDArray[Any]) -> bool:
    """Write a row of values into a volume of the grid's shape, in Fortran order.

    Outside the mask the volume becomes zero. Returns False if float32 was asked for and cannot hold
    some finite nonzero value to its precision.
    """
    flat = volume.reshape(-1, order="F")  # a view
    if flat.dtype == np.float32 and row.dtype in (np.float32, np.float64):
        places = np.arange(volume.size) if indices is None else indices
        return _core.scatter(np.ascontiguousarray(row), places, flat)
    if indices is None:
        flat[...] = row
    else:
        flat[...] = 0
        flat[indices] = row
    return True


class _OutsideFloat32(Exception):  # noqa: N818 - not an error: another type holds the value
    """A finite value would become infinite, zero or a number of few digits."""


def series_image(
    grid: Grid,
    indices: NDArray[np.intp] | None,
    make_rows: Callable[[], RowStream],
    n_rows: int,
    descrip: str,
    out: Path | None,
) -> Nifti1Image:
    """Make a 4-D image of rows, in memory or a volume at a time in a file.

    The type is float32. If a value comes that float32 cannot hold, the image is made again as
    float64.
    """
    try:
        return _image(grid, indices, make_rows(), n_rows, descrip, out, np.dtype(np.float32))
    except _OutsideFloat32:
        return _image(grid, indices, make_rows(), n_rows, descrip, out, np.dtype(np.float64))


def _image(
    grid: Grid,
    indices: NDArray[np.intp] | None,
    rows: RowStream,
    n_rows: int,
    descrip: str,
    out: Path | None,
    dtype: np.dtype[Any],
) -> Nifti1Image:
    shape = grid.shape

    def put(row: NDArray[np.float64], volume: NDArray[Any]) -> NDArray[Any]:
        if not _put(row, indices, volume):
            raise _OutsideFloat32
        return volume

    # Closed explicitly: after an error, its traceback would keep the reading threads alive.
    with closing(rows):
        if out is not None:
            volume = np.empty(shape, dtype=dtype, order="F")
            volumes = (put(row, volume) for row in rows)
            save_series(volumes, n_rows, grid, out, descrip=descrip, dtype=dtype)
            return nib.load(out)  # type: ignore[return-value]
        series = np.empty((*shape, n_rows), dtype=dtype, order="F")
        for number, row in enumerate(rows):
            put(row, series[..., number])
        return image_of(grid, series, descrip)
