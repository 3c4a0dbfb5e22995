# SPDX-License-Identifier: BSD-3-Clause
"""Volumes as a kind of data: what `groupglm.spaces.registry` asks of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.spaces.base import Source
from groupglm.spaces.volume.grid import SAME_PLACE_MM
from groupglm.spaces.volume.reading.computed import ComputedVolume
from groupglm.spaces.volume.reading.opening import open_images
from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["computed", "file_of", "holds", "open_inputs", "refuse_models_elsewhere", "tag"]

tag = "volume"


def holds(given: object) -> bool:
    """Tell whether something is an image, or may be the name of one."""
    return isinstance(given, str | os.PathLike | SpatialImage)


def file_of(given: object) -> str | None:
    """Return the name of an image's file; None if it has none, or is no image."""
    name = given.get_filename() if isinstance(given, SpatialImage) else given
    return os.fspath(name) if isinstance(name, str | os.PathLike) else None


def open_inputs(given: Any, *, argument: str, same_placement: bool, at_least: int) -> list[Source]:
    """Open the images of a model; only their headers are read."""
    sources = open_images(given, argument=argument, same_grid=same_placement, at_least=at_least)
    return list(sources)


def computed(name: str, compute: Callable[[], object], like: Source | None) -> Source:
    """Return an image that is computed when it is read, on the grid of another."""
    return ComputedVolume(name, compute, like.grid if isinstance(like, VolumeSource) else None)


def refuse_models_elsewhere(labels: Sequence[object], masks: Sequence[Any]) -> None:
    """Compare the grids of first-level models' masks, where models show them."""
    first = masks[0]
    for place, (label, mask) in enumerate(zip(labels, masks, strict=True), start=1):
        if mask is None or first is None:
            continue
        if mask.shape[:3] != first.shape[:3]:
            raise ValueError(
                f"all first level models must have the same shape, but model {label} (item "
                f"{place}) has {mask.shape[:3]} and the first {first.shape[:3]}; fit them on "
                "one grid, for instance with target_affine and target_shape"
            )
        shift = np.abs(np.asarray(mask.affine) - np.asarray(first.affine)).max()
        if shift > SAME_PLACE_MM:
            raise ValueError(
                f"all first level models must have the same affine, but that of model {label} "
                f"(item {place}) differs by up to {shift:.3g} from the first one's; fit "
                "them on one grid, for instance with target_affine and target_shape"
            )
