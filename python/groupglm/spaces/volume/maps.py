# SPDX-License-Identifier: BSD-3-Clause
"""One map of results, opened again: its voxels, the facts in its header, its background."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.spaces.volume.background import background_mask, border_values
from groupglm.spaces.volume.foreign_maskers import has_a_method, mask_of, refuse_a_method
from groupglm.spaces.volume.intent import contrast_of, statistic_of_header
from groupglm.spaces.volume.reading.opening import header_of, open_image
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["differs_from_background", "inside_mask", "open_volume", "said_by_map"]


def open_volume(given: Any, name: str) -> tuple[VolumeSource, VolumeSpace]:
    """Open one volume, of which only the header is read; return it with all of its voxels."""
    source = open_image(given, name=name)
    return source, VolumeSpace(source.grid)


def inside_mask(space: VolumeSpace, mask: Any) -> NDArray[np.bool_] | None:
    """Find the voxels of a whole map inside a mask or a masker's mask; None if there is none."""
    if mask is None:
        return None
    if not isinstance(mask, str | os.PathLike | SpatialImage):
        masker, mask = mask, mask_of(mask)
        if mask is None and has_a_method(masker):
            refuse_a_method(masker)  # which finds a brain in images, not in a map of results
        if mask is None:
            return None
    inside: NDArray[np.bool_] = VolumeSpace.from_mask(mask, space.grid).mask.ravel(order="F")
    return inside


def differs_from_background(space: VolumeSpace, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the voxels of a whole map that are not background; missing values inside count too."""
    present = ~np.isnan(values)
    volume = values.reshape(space.grid.shape, order="F")
    # If NaN is the background, voxels with NaN are outside; otherwise they are inside.
    known = present if np.isnan(border_values(volume)).any() else np.ones_like(present)
    mask = background_mask(
        volume,
        known.reshape(space.grid.shape, order="F").astype(np.int8),
        n_images=1,
        min_observations=1,
    )
    return mask.ravel(order="F")


def said_by_map(given: Any) -> tuple[Statistic | None, str | None]:
    """Return what a volume's header says that its values are, and the name of the contrast."""
    header = header_of(given)
    return (None, None) if header is None else (statistic_of_header(header), contrast_of(header))
