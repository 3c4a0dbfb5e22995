# SPDX-License-Identifier: BSD-3-Clause
"""Volumes as a kind of data: the functions that `groupglm.spaces.registry` needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import SpatialImage

from groupglm.errors import ArgumentError
from groupglm.runtime.array_archives import check_type
from groupglm.runtime.budget import check_memory_budget
from groupglm.runtime.json_facts import (
    Check,
    check_entries,
    is_flag,
    is_number,
    is_whole,
    is_width,
    list_of,
    none_or,
)
from groupglm.spaces.base import Source
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry, report_unused_geometry
from groupglm.spaces.volume.grid import SAME_PLACE_MM, Grid
from groupglm.spaces.volume.intent import descrip_of, how_to_mark
from groupglm.spaces.volume.maps import (
    differs_from_background,
    inside_mask,
    open_volume,
    said_by_map,
)
from groupglm.spaces.volume.masking import VolumeMasking
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.reading.computed import ComputedVolume
from groupglm.spaces.volume.reading.opening import header_of, open_image, open_images
from groupglm.spaces.volume.reading.source import VolumeSource
from groupglm.spaces.volume.resampling import Resampler
from groupglm.spaces.volume.saving import as_saved, save_image
from groupglm.spaces.volume.smoothing import smooth_images as smooth_volumes
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "as_saved",
    "computed",
    "differs_from_background",
    "endings",
    "file_of",
    "foreign_space",
    "holds",
    "how_to_mark",
    "inside_mask",
    "is_one",
    "load_space",
    "masking",
    "nearest_labels",
    "open_inputs",
    "open_map",
    "refuse_models_elsewhere",
    "rename_contrast",
    "said_by_map",
    "save",
    "smooth_images",
    "tag",
    "target_of",
    "unit",
]

tag = "volume"
unit = VolumeSpace.unit
endings = (".nii.gz", ".nii")

_FACTS: dict[str, Check] = {
    "shape": list_of(is_whole, 3),
    "preparation": none_or(lambda value: isinstance(value, dict)),
}
_PREPARATION: dict[str, Check] = {
    "resamples": is_flag,
    "clip": none_or(list_of(is_number, 2)),
    "smoothing_fwhm": none_or(is_width),
    "fill": none_or(is_number),
    "n_threads": lambda value: is_whole(value) and value > 0,
    "zero_is_missing": is_flag,
}


def holds(given: object) -> bool:
    """Return whether an object is an image, or may be the name of one."""
    return isinstance(given, str | os.PathLike | SpatialImage)


def is_one(given: Any) -> bool:
    """Tell whether what was given by itself is a 3-D image, or the name of one."""
    if isinstance(given, SpatialImage):
        return len(given.shape) == 3
    header = header_of(given) if holds(given) else None
    return header is not None and len(header.get_data_shape()) == 3


def file_of(given: object) -> str | None:
    """Return the name of an image's file; None if it has none, or is no image."""
    try:
        name = given.get_filename() if isinstance(given, SpatialImage) else given
    except ImageFileError:  # its files do not belong together
        return None
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
            raise ArgumentError.about(
                "second_level_input",
                f"All first level models must have the same shape, but model {label} (item "
                f"{place}) has {mask.shape[:3]} and the first {first.shape[:3]}",
                "fit them on one grid, for instance with target_affine and target_shape",
            )
        shift = np.abs(np.asarray(mask.affine) - np.asarray(first.affine)).max()
        if shift > SAME_PLACE_MM:
            raise ArgumentError.about(
                "second_level_input",
                f"All first level models must have the same affine, but that of model {label} "
                f"(item {place}) differs by up to {shift:.3g} from the first one's",
                "fit them on one grid, for instance with target_affine and target_shape",
            )


def masking(
    mask_img: Any,
    target_affine: Any,
    target_shape: Any,
    smoothing_fwhm: Any,
    *,
    zero_is_missing: bool,
    smoothing_overrides: bool = False,
    geometry: Geometry = NO_GEOMETRY,
) -> VolumeMasking:
    """Check the parameters of the estimator, or use those of a masker."""
    report_unused_geometry(geometry, "volumes")
    return VolumeMasking.resolve(
        mask_img,
        target_affine,
        target_shape,
        smoothing_fwhm,
        zero_is_missing=zero_is_missing,
        smoothing_overrides=smoothing_overrides,
    )


def open_map(
    given: Any, name: str, geometry: Geometry = NO_GEOMETRY
) -> tuple[VolumeSource, VolumeSpace]:
    """Open one volume, of which only the header is read; return it with all of its voxels."""
    report_unused_geometry(geometry, "volumes")
    return open_volume(given, name)


def smooth_images(given: Any, fwhm: Any, geometry: Geometry) -> Any:
    """Smooth one image, or each of several, with a Gaussian."""
    report_unused_geometry(geometry, "volumes")
    return smooth_volumes(given, fwhm)


def target_of(given: Any, name: str) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Return affine and shape of an image's grid."""
    grid = open_image(given, name=name).grid
    return grid.affine, grid.shape


def nearest_labels(
    row: NDArray[np.int32], everywhere: VolumeSpace, space: VolumeSpace
) -> NDArray[np.int32]:
    """Return the label of the nearest voxel of a whole grid, as `resample_to` finds it."""
    labels = row.reshape(everywhere.grid.shape, order="F")
    moved = Resampler(everywhere.grid, space.grid, "nearest")(labels).ravel(order="F")
    return np.asarray(moved if space.indices is None else moved[space.indices])


def load_space(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> VolumeSpace:
    """Make a space from what `VolumeSpace.stored` returned."""
    check_entries(facts, _FACTS, "space")
    runs, affine, preparation = arrays["runs"], arrays["affine"], facts["preparation"]
    check_type("runs", runs, "int64", 2)
    check_type("affine", affine, "float64", 2)
    grid = Grid(tuple(facts["shape"]), affine)
    _check_room(grid)
    if preparation is not None:
        check_entries(preparation, _PREPARATION, "preparation of space")
        # JSON has no tuples.
        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in preparation.items()
        }
        preparation = Preparation(**options)
    return VolumeSpace.from_runs(grid, runs, preparation)


def _check_room(grid: Grid) -> None:
    """Refuse a grid whose maps would not fit into memory: a small file may declare any grid."""
    budget, needed = check_memory_budget(None), 8 * grid.n_voxels
    if needed > budget:
        raise ValueError(
            f"its grid {grid.shape} makes maps of {needed / 1e6:.0f} MB, more than half of the "
            f"free memory ({budget / 1e6:.0f} MB)"
        )


def foreign_space(mask: Any) -> VolumeSpace:
    """Return the voxels inside a mask in the order in which users see them.

    That is the order of ``image[mask]``, C order, which is file order of the transpose.
    """
    inside = np.asanyarray(mask.dataobj) != 0
    affine = np.asarray(mask.affine, np.float64)[:, [2, 1, 0, 3]]
    return VolumeSpace(Grid(inside.shape[::-1], affine), np.flatnonzero(inside.ravel(order="C")))


def save(image: Any, path: Path) -> Path:
    """Save an image as NIfTI, whole or not at all."""
    return save_image(image, path)


def rename_contrast(image: Any, name: str) -> None:
    """Change the name of the contrast in a map's header."""
    described = bytes(image.header["descrip"].item()).decode(errors="ignore")
    what = described.partition(" of contrast ")[0]
    image.header["descrip"] = descrip_of(f"{what} of contrast {name}")
