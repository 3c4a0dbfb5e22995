# SPDX-License-Identifier: BSD-3-Clause
"""Volumes: open, check, read and save image files.

`open_images` reads headers and finds every error that they show. A `VolumeSource` then reads one
volume into a row of values; any number of threads may read. No module here knows statistics.
"""

from groupglm.spaces.statistic import KINDS, Statistic
from groupglm.spaces.volume.grid import SAME_PLACE_MM, Grid
from groupglm.spaces.volume.intent import descrip_of
from groupglm.spaces.volume.reading.computed import ComputedVolume
from groupglm.spaces.volume.reading.opening import ImageLike, open_image, open_images
from groupglm.spaces.volume.reading.source import VolumeSource
from groupglm.spaces.volume.resampling import INTERPOLATIONS
from groupglm.spaces.volume.saving import save_image, save_series

__all__ = [
    "INTERPOLATIONS",
    "KINDS",
    "SAME_PLACE_MM",
    "ComputedVolume",
    "Grid",
    "ImageLike",
    "Statistic",
    "VolumeSource",
    "descrip_of",
    "open_image",
    "open_images",
    "save_image",
    "save_series",
]
