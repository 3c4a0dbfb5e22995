# SPDX-License-Identifier: BSD-3-Clause
"""What counts as one image of many volumes: an image of any axes, a list of images, a pattern."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nibabel.spatialimages import SpatialImage

from groupglm.errors import ArgumentError, ImageError, shown
from groupglm.runtime.paths import check_path
from groupglm.spaces.volume.reading.opening import (
    ImageLike,
    header_of,
    open_image_or_series,
    open_images,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["MOST_AXES", "WholeImage", "expanded", "open_whole_image"]

MOST_AXES = 7  # of NIfTI


@dataclass(frozen=True, eq=False)
class WholeImage:
    """An opened image of any number of volumes.

    Attributes
    ----------
    sources : list of VolumeSource
        The volumes; of several axes of volumes the first varies fastest.
    axes : tuple of ints
        The lengths of the axes after the third.
    header : nibabel header or None
        That of the image, or of the first of a list.
    """

    sources: list[VolumeSource]
    axes: tuple[int, ...]
    header: Any


def open_whole_image(image: ImageLike | Sequence[ImageLike], name: str) -> WholeImage:
    """Open an image; only headers are read.

    A list of 3-D images, or the files of a pattern in the order of their names, are the volumes of
    one image.
    """
    images = expanded(image, name)
    if isinstance(images, list | tuple):
        sources = open_images(images, argument=name, at_least=1)
        return WholeImage(sources, (len(sources),), header_of(images[0]))
    sources = open_image_or_series(images, name=name, most_axes=MOST_AXES)  # refuses what is none
    # Only now: of a damaged file, what opens its volumes says more than nibabel.
    header = header_of(cast("ImageLike", images))
    if isinstance(images, SpatialImage):
        shape = images.shape
    elif header is not None:
        shape = header.get_data_shape()
    else:
        shape = (*sources[0].grid.shape, *((len(sources),) if len(sources) > 1 else ()))
    return WholeImage(sources, tuple(int(length) for length in shape[3:]), header)


def expanded(image: Any, name: str) -> ImageLike | Sequence[ImageLike]:
    """Return the files of a pattern; other images as they are."""
    if not isinstance(image, str | os.PathLike):
        return cast("ImageLike", image)
    given = os.fspath(image)
    check_path(name, given, ImageError)
    pattern = os.path.expanduser(given)  # noqa: PTH111 (a Path would rewrite the name)
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return image
    found = sorted(glob.glob(pattern))  # noqa: PTH207 (a Path knows no pattern of several folders)
    if not found:
        raise ArgumentError(
            name, f"{shown(given)}: No files matching the entered niimg expression", "", "check it"
        )
    return found
