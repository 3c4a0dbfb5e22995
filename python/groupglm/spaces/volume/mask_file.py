# SPDX-License-Identifier: BSD-3-Clause
"""Read the image of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["read_mask"]


def read_mask(source: VolumeSource) -> NDArray[np.int64]:
    """Return the flat indices of the voxels inside a mask, in file order."""
    values = np.empty(source.grid.n_voxels, dtype=source.dtype)
    source.read_into(values)
    inside = np.flatnonzero(values != 0)
    found = values[inside]
    if np.isinf(found).any():
        raise ImageError(
            f"{source.name}: the mask holds infinite values, which are neither inside nor "
            "outside; replace them by 0 or by the value inside"
        )
    if np.isnan(found).any():
        inside, found = inside[~np.isnan(found)], found[~np.isnan(found)]
    if not inside.size:
        raise ImageError(f"{source.name}: the mask is empty: all its voxels are zero or NaN")
    low, high = found.min(), found.max()
    if low != high:
        raise ImageError(
            f"{source.name}: a mask needs zero outside and one other value inside, but this "
            f"one has values from {low:g} to {high:g} besides zero; threshold it first"
        )
    return inside
