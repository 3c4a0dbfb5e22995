# SPDX-License-Identifier: BSD-3-Clause
"""Maskers that a user gives in the place of a mask, such as nilearn's ``NiftiMasker``.

nilearn is not imported: a masker is what has ``mask_img_`` or ``mask_img``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.messages import argument
from groupglm.spaces.masker_options import refuse_series
from groupglm.spaces.volume.images import image_of
from groupglm.spaces.volume.reading.unread import unread_kind

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["fit_masker", "has_a_method", "mask_of", "refuse_a_method"]

# A masker with one of these gives a value for each region, not for each voxel.
_REGIONS = ("labels_img", "maps_img", "seeds")
# Options of the copy of a masker that finds a mask. It does not resample the mask, which is
# resampled like every other mask. It has no cache and prints nothing, because the model does both.
_NOT_TO_FIND_A_MASK = {
    "target_affine": None, "target_shape": None, "memory": None, "verbose": 0, "reports": False,
}  # fmt: skip


def has_a_method(masker: object) -> bool:
    """Tell whether a masker finds masks by another method than the default one."""
    strategy = getattr(masker, "mask_strategy", "background")
    return bool(strategy != "background" or getattr(masker, "mask_args", None))


def fit_masker(masker: Any, grid: Grid, mean: NDArray[np.float64]) -> Nifti1Image:
    """Return the mask that a copy of a masker finds in an image, by its own method.

    Shapes: `mean` (n_voxels,), in file order.
    """
    from sklearn.base import clone

    own = clone(masker, safe=False)
    for name, value in _NOT_TO_FIND_A_MASK.items():
        if hasattr(own, name):
            setattr(own, name, value)
    own.fit(image_of(grid, mean.reshape(grid.shape, order="F"), "mean of the images"))
    mask: Nifti1Image = own.mask_img_
    return mask


def mask_of(masker: object) -> Any:
    """Return the mask of a masker, the fitted one if there is one; None if it has none yet."""
    names_regions = any(hasattr(masker, name) for name in _REGIONS)
    has_a_mask = hasattr(masker, "mask_img_") or hasattr(masker, "mask_img")
    if names_regions or not has_a_mask:
        found = unread_kind(masker) or f"a {type(masker).__name__}"
        remedy = "give the image of the regions, binarised, to test their voxels"
        raise ArgumentTypeError(
            "mask_img",
            str(found),
            "an image, a file name, a masker of voxels, or None",
            remedy if names_regions else "",
        )
    refuse_series(masker)
    fitted = getattr(masker, "mask_img_", None)
    return getattr(masker, "mask_img", None) if fitted is None else fitted


def refuse_a_method(masker: object) -> None:
    """Refuse a masker that is not fitted where there are no images to find its mask in."""
    strategy = getattr(masker, "mask_strategy", "background")
    arguments = getattr(masker, "mask_args", None)
    raise ArgumentError.about(
        "mask_img",
        "the masker given as "
        + argument("mask_img")
        + f" is not fitted, and its mask_strategy={strategy!r} with "
        f"mask_args={arguments!r} is its own",
        "fit it on an image first",
    )
