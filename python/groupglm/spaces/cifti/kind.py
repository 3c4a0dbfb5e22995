# SPDX-License-Identifier: BSD-3-Clause
"""Grayordinates (CIFTI) as a kind of data: the functions that `groupglm.spaces.registry` needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.messages import argument
from groupglm.spaces.cifti import opening
from groupglm.spaces.cifti.images import renamed
from groupglm.spaces.cifti.loading import load_space
from groupglm.spaces.cifti.maps import said_by_map
from groupglm.spaces.cifti.masking import CiftiMasking, mask_values, with_meshes
from groupglm.spaces.cifti.opening import ENDINGS, is_cifti, map_count, path_of
from groupglm.spaces.cifti.saving import save_image
from groupglm.spaces.cifti.source import CiftiSource, ComputedMap
from groupglm.spaces.cifti.space import CiftiSpace
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source

__all__ = [
    "as_saved", "computed", "differs_from_background", "endings", "file_of", "foreign_space",
    "holds", "how_to_mark", "inside_mask", "is_one", "load_space", "masking", "open_inputs",
    "open_map", "refuse_models_elsewhere", "rename_contrast", "said_by_map", "save",
    "smooth_images", "tag",
    "target_of", "unit",
]  # fmt: skip

tag = CiftiSpace.tag
unit = "places"
endings = ENDINGS


def holds(given: object) -> bool:
    """Return whether an object is an image of grayordinates, or has the name of a file of them."""
    return is_cifti(given)


def is_one(given: object) -> bool:
    """Tell whether what was given by itself is an image of one map."""
    return is_cifti(given) and map_count(given) == 1


def file_of(given: object) -> str | None:
    """Return the name of an image's file; None if it has none."""
    return path_of(given)


def open_inputs(given: Any, *, argument: str, same_placement: bool, at_least: int) -> list[Source]:
    """Open the images of a model; only their headers are read."""
    return list(
        opening.open_inputs(
            given, argument=argument, same_placement=same_placement, at_least=at_least
        )
    )


def computed(name: str, compute: Callable[[], object], like: Source | None) -> Source:
    """Return an image that is computed when it is read, on the axes of another."""
    axis = like.axis if isinstance(like, CiftiSource) else None
    return ComputedMap(name, compute, opening.open_map, axis)


def masking(
    mask_img: Any,
    target_affine: Any,
    target_shape: Any,
    smoothing_fwhm: Any,
    *,
    zero_is_missing: bool,
    smoothing_overrides: bool = False,
    geometry: Geometry = NO_GEOMETRY,
) -> CiftiMasking:
    """Check the parameters of the estimator."""
    del smoothing_overrides  # of maskers, which there are none of
    return CiftiMasking.resolve(
        mask_img,
        target_affine,
        target_shape,
        smoothing_fwhm,
        zero_is_missing=zero_is_missing,
        geometry=geometry,
    )


def smooth_images(given: Any, fwhm: Any, geometry: Geometry) -> Any:
    """Refuse to smooth."""
    del given, fwhm, geometry
    raise ArgumentError.about(
        "imgs",
        "grayordinates are smoothed only while a model reads them",
        "give the model smoothing_fwhm and surfaces, or use wb_command -cifti-smoothing",
    )


def target_of(given: Any, name: str) -> tuple[Any, Any]:
    """Refuse a target: grayordinates stay as they lie."""
    del given
    raise ArgumentError.about(
        name,
        "grayordinates are not resampled",
        "leave it out; wb_command -cifti-resample brings images to other axes",
    )


def open_map(
    given: Any, name: str, geometry: Geometry = NO_GEOMETRY
) -> tuple[CiftiSource, CiftiSpace]:
    """Open one map, of which only the header is read; return it with all of its places."""
    source = opening.open_map(given, name)
    axis: Any = source.axis
    return source, with_meshes(axis, geometry)


def inside_mask(everywhere: CiftiSpace, mask: Any) -> NDArray[np.bool_] | None:
    """Find the places of a whole map inside a mask; None if there is none."""
    if mask is None:
        return None
    if not is_cifti(mask):
        raise ArgumentTypeError(
            "mask_img",
            f"a {type(mask).__name__}",
            "an image of grayordinates (.dscalar.nii), as the map is",
        )
    return mask_values(everywhere, mask)


def differs_from_background(
    everywhere: CiftiSpace, values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find the places of a whole map that are not background.

    Zero is background, and NaN then a missing value; in a map without zeros NaN is background.
    """
    del everywhere
    present = ~np.isnan(values)
    return np.asarray(values != 0 if (values == 0).any() else present)


def how_to_mark(statistic: str) -> str:
    """Return how a user marks a map as z, t or F."""
    df = {"z": "", "t": ", 'DegreesOfFreedom': '18'", "F": ", 'DegreesOfFreedom': '2 18'"}
    return (
        "by nibabel, image.header.get_index_map(0)[0].metadata = "
        f"Cifti2MetaData({{'Values': '{statistic}'{df[statistic]}}})"
    )


def save(image: Any, path: Path) -> Path:
    """Save an image, whole or not at all."""
    return save_image(image, path, endings)


def as_saved(image: Any, path: Path) -> Any:
    """Return a saved image as reading its file would give it."""
    read_back = type(image)(image.dataobj, image.header, image.nifti_header)
    read_back.set_filename(str(path))
    return read_back


def rename_contrast(image: Any, name: str) -> None:
    """Change the name of the contrast in a map's header."""
    renamed(image, name)


def foreign_space(mask: Any) -> CiftiSpace:
    """Return the places inside a mask, if the order of a row is that of the file."""
    source, everywhere = open_map(mask, "mask_img_")
    del source
    space = everywhere.restrict(mask_values(everywhere, mask))
    if space.public_order is not None:
        raise ArgumentError.about(
            "masker",
            "the rows of " + argument("masker") + " have the order of a CIFTI file, in which its "
            "voxels are sorted by structure, and clusters need another order",
            "give the images to non_parametric_inference",
        )
    return space


def refuse_models_elsewhere(labels: Sequence[object], masks: Sequence[Any]) -> None:
    """Compare the axes of first-level models' masks, where models show them."""
    known = [(label, mask) for label, mask in zip(labels, masks, strict=True) if mask is not None]
    sources = [(label, opening.open_map(mask, f"mask of model {label}")) for label, mask in known]
    for label, source in sources[1:]:
        difference = source.difference(sources[0][1])
        if difference is not None:
            raise ArgumentError.about(
                "second_level_input",
                f"All first level models must have the same axes, but model {label}: {difference}",
                "fit them on one set of grayordinates",
            )
