# SPDX-License-Identifier: BSD-3-Clause
"""The values of images at one place, as a caller gives them: numbers, or images and a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.arguments import real_array
from groupglm.spaces.registry import kind_of, open_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["one_number_an_image", "read_place"]


def one_number_an_image(argument: str, values: Any) -> NDArray[np.float64]:
    """Return values that a caller gave, one for each image; NaN where it is missing."""
    data = real_array(argument, values, missing=True).astype(np.float64)
    if data.ndim != 1:
        raise ArgumentError(
            argument,
            f"shape {data.shape}",
            remedy="give one number for each image, or images and a position",
            verb="has",
        )
    if np.isinf(data).any():
        raise ArgumentError(
            argument, "infinite numbers", remedy="give NaN where a value is missing", verb="holds"
        )
    return data


def read_place(
    argument: str, images: Any, position: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return the values of images at the place that holds a position in mm."""
    sources = open_inputs(images, argument=argument)
    masking = kind_of(images).masking(None, None, None, None, zero_is_missing=False)
    space = masking.as_stored(sources)
    place = space.place_at(position)
    if place is None and np.isnan(space.coordinates()).all():
        raise ArgumentError.about(
            "position",
            f"position {tuple(position)} is in mm, and {sources[0].extent} have no position",
            "leave it out, and give the numbers of one of them, such as table['hippocampus']",
        )
    if place is None:
        begin = np.round(space.coordinates(np.array([0]))[0], 1).tolist()
        raise ArgumentError.about(
            "position",
            f"position {tuple(position)} is outside the images, whose {sources[0].extent} begin at "
            f"{begin} mm",
            "give a place in mm",
        )
    only = space.restrict(np.arange(space.n_values) == place)
    data = np.empty((len(sources), 1))
    for row, source in zip(data, sources, strict=True):
        only.read_stored(source, row)
    data[~np.isfinite(data)] = np.nan
    return data[:, 0]
