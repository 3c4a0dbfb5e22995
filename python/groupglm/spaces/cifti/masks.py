# SPDX-License-Identifier: BSD-3-Clause
"""An image of CIFTI as a mask: `mask_values`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.cifti.opening import Family, open_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.cifti.parcel_space import ParcelSpace
    from groupglm.spaces.cifti.space import CiftiSpace

__all__ = ["mask_values"]


def mask_values(space: CiftiSpace | ParcelSpace, mask: Any, family: Family) -> NDArray[np.bool_]:
    """Return which places of a space are inside a mask, shape (n_values,)."""
    source = open_map(mask, "mask_img in memory", family)
    difference = source.difference(space)
    if difference is not None:
        raise GridMismatchError(
            f"{source.name}: the mask is not on the axes of the images: {difference}; bring it to "
            "them, as wb_command -cifti-create-dense-from-template does"
        )
    values = np.empty(space.n_values)
    space.read_stored(source, values)
    inside = (values != 0) & ~np.isnan(values)
    found = values[inside]
    if np.isinf(found).any():
        raise ImageError(
            f"{source.name}: the mask holds infinite values, which are neither inside nor "
            "outside; replace them by 0 or by the value inside"
        )
    if not found.size:
        raise ImageError(f"{source.name}: the mask is empty: all its values are zero or NaN")
    low, high = found.min(), found.max()
    if low != high:
        raise ImageError(
            f"{source.name}: a mask needs zero outside and one other value inside, but this "
            f"one has values from {low:g} to {high:g} besides zero; threshold it first"
        )
    return np.asarray(inside)
