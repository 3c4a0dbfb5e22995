# SPDX-License-Identifier: BSD-3-Clause
"""Images that keep what the header of another image says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image

from groupglm.spaces.volume.saving import NIFTI1_MAX_LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["image_like"]

# Fields that say how the values of one file are stored: those of another image are wrong here.
_OF_THE_VALUES = {
    "sizeof_hdr", "magic", "vox_offset", "eol_check", "dim", "datatype", "bitpix",
    "scl_slope", "scl_inter", "glmax", "glmin",
}  # fmt: skip
_CODES = range(1, 6)  # of the spaces that NIfTI knows, from scanner to template


def image_like(header: Any, grid: Grid, data: NDArray[Any]) -> Nifti1Image:
    """Make an image of data on a grid, with all that a header says of space, time and contents.

    The range for display is that of the data. Nothing is taken from a header that is not NIfTI's.
    """
    is_nifti = isinstance(header, Nifti1Header)
    is_nifti2 = isinstance(header, Nifti2Header) or max(data.shape) > NIFTI1_MAX_LENGTH
    kind: Any = Nifti2Image if is_nifti2 else Nifti1Image
    image = kind(data, grid.affine, dtype=data.dtype)
    if not is_nifti:
        image.header.set_xyzt_units("mm", "sec")
        return image  # type: ignore[no-any-return]
    kept = kind.header_class()
    for field in header:
        if field in kept and field not in _OF_THE_VALUES:
            kept[field] = header[field]
    kept.extensions = type(header.extensions)(header.extensions)
    image = kind(data, grid.affine, header=kept, dtype=data.dtype)
    codes = [int(header[field]) for field in ("sform_code", "qform_code")]
    image.header["sform_code"] = next((code for code in codes if code in _CODES), 2)
    image.header["cal_min"], image.header["cal_max"] = _range(data)
    return image  # type: ignore[no-any-return]


def _range(data: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the largest finite value."""
    finite = np.isfinite(data)
    low = np.min(data, initial=np.inf, where=finite) if data.dtype.kind == "f" else data.min()
    high = np.max(data, initial=-np.inf, where=finite) if data.dtype.kind == "f" else data.max()
    return (float(low), float(high)) if low <= high else (0.0, 0.0)
