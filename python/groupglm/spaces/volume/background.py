# SPDX-License-Identifier: BSD-3-Clause
"""Find the brain when no mask is given: everything that is not background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.messages import argument

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["background_mask", "border_values"]

_BORDER = 2  # voxels on each face

_REMEDY = "give " + argument("mask_img")


def background_mask(
    mean: NDArray[np.float64],
    n_observations: NDArray[np.integer],
    *,
    n_images: int,
    min_observations: int,
) -> NDArray[np.bool_]:
    """Find the voxels whose mean differs from the background.

    The background is what the mean image holds within two voxels of the faces of the box: NaN
    if any voxel there is missing in every image (images that mark the outside with NaN), else the
    median of what is there. It is the rule of nilearn's background mask strategy, and finds the
    same mask when no image has missing values of its own.

    With missing values, only a voxel that *no* image has counts as a NaN of the background.
    One image with NaN outside the brain among many with zero would otherwise turn the zeros of all
    the others into brain.

    Shapes: `mean` (n_x, n_y, n_z).

    Examples
    --------
    >>> import numpy as np
    >>> mean = np.zeros((7, 7, 7))
    >>> mean[3, 3, 2:5] = 1.0
    >>> mask = background_mask(mean, np.full(mean.shape, 4), n_images=4, min_observations=4)
    >>> int(mask.sum())
    3
    """
    observed = n_observations >= max(min_observations, 1)
    if not observed.any():
        raise ArgumentError.about(
            "mask_img",
            f"no voxel is observed in {max(min_observations, 1)} of the {n_images} images (the "
            f"most is {int(n_observations.max())}), so no mask can be found",
            "leave out images that cover little, or " + _REMEDY,
        )
    border = border_values(mean)
    if np.isnan(border).any():
        return observed
    background = np.median(border)
    mask: NDArray[np.bool_] = observed & (mean != background)
    if not mask.any():
        raise ArgumentError.about(
            "mask_img",
            f"the mean of the {n_images} images is {background:g} at every voxel that enough of "
            "them have, so brain and background cannot be told apart",
            _REMEDY,
        )
    return mask


def border_values(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values near the faces, a slab a face; edges count for each of their faces."""
    faces = []
    for axis in range(3):
        from_face = np.moveaxis(mean, axis, 0)
        faces += [from_face[:_BORDER].ravel(), from_face[-_BORDER:].ravel()]
    return np.concatenate(faces)
