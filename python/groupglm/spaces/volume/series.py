# SPDX-License-Identifier: BSD-3-Clause
"""Rows that come one by one, as one 4-D image: in memory, or a volume at a time in a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from groupglm.spaces.volume.saving import save_series

if TYPE_CHECKING:
    from pathlib import Path

    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import NDArray

    from groupglm.spaces.base import RowStream
    from groupglm.spaces.volume.space import VolumeSpace

__all__ = ["series_image"]


class _OutsideFloat32(Exception):  # noqa: N818 - it is no error: another type holds the value
    """A finite value would become infinite, zero or a number of few digits."""


def series_image(
    space: VolumeSpace,
    make_rows: Callable[[], RowStream],
    n_rows: int,
    descrip: str,
    out: Path | None,
) -> Nifti1Image:
    """Make a 4-D image of rows, in memory or a volume at a time in a file.

    Of float32; anew of float64, if a value comes that float32 cannot hold.
    """
    try:
        return _image(space, make_rows(), n_rows, descrip, out, np.dtype(np.float32))
    except _OutsideFloat32:
        return _image(space, make_rows(), n_rows, descrip, out, np.dtype(np.float64))


def _image(
    space: VolumeSpace,
    rows: RowStream,
    n_rows: int,
    descrip: str,
    out: Path | None,
    dtype: np.dtype[Any],
) -> Nifti1Image:
    shape = space.grid.shape

    def put(row: NDArray[np.float64], volume: NDArray[Any]) -> NDArray[Any]:
        if not space.put(row, volume):
            raise _OutsideFloat32
        return volume

    # Closed by name: an error's traceback would keep the threads that read until it is gone.
    with closing(rows):
        if out is not None:
            volume = np.empty(shape, dtype=dtype, order="F")
            volumes = (put(row, volume) for row in rows)
            save_series(volumes, n_rows, space.grid, out, descrip=descrip, dtype=dtype)
            return nib.load(out)  # type: ignore[return-value]
        series = np.empty((*shape, n_rows), dtype=dtype, order="F")
        for number, row in enumerate(rows):
            put(row, series[..., number])
        return space.image_of(series, descrip)
