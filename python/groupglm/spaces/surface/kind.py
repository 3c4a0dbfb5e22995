# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces as a kind of data: the functions that `groupglm.spaces.registry` needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.messages import argument
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.surface.form import Form
from groupglm.spaces.surface.loading import load_space
from groupglm.spaces.surface.maps import SurfaceMaps
from groupglm.spaces.surface.masking import SurfaceMasking, everywhere_of, inside_mask
from groupglm.spaces.surface.reading.freesurfer import (
    is_curvature_name,
    is_row_of_vertices,
    shape_of_mgh,
)
from groupglm.spaces.surface.reading.opening import (
    grouped,
    is_hemisphere_image,
    label_names,
    open_images,
    open_one,
)
from groupglm.spaces.surface.reading.pairing import (
    SIDES,
    existing_files,
    grouped_files,
    hemisphere_files,
    nominal_name,
    side_in_name,
)
from groupglm.spaces.surface.reading.sources import open_file
from groupglm.spaces.surface.reading.surface_image import is_surface_image, n_axes_of
from groupglm.spaces.surface.source import ComputedSurface, SurfaceSource
from groupglm.spaces.surface.space import SurfaceSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.statistic import Statistic

__all__ = [
    "as_saved",
    "computed",
    "differs_from_background",
    "endings",
    "file_of",
    "foreign_space",
    "group_files",
    "grouped",
    "holds",
    "how_to_mark",
    "inside_mask",
    "is_one",
    "load_space",
    "masking",
    "open_inputs",
    "open_labels",
    "open_map",
    "part_files",
    "parts_of",
    "refuse_models_elsewhere",
    "rename_contrast",
    "said_by_map",
    "save",
    "smooth_images",
    "tag",
    "target_of",
    "unit",
]

tag = "surface"
unit = "vertices"
# Keys of a mapping that is meant for hemispheres: the wrong ones are refused here, by name.
_LIKE_SIDES = (*SIDES, "l", "r", "lh", "rh")
endings = (".func.gii", ".shape.gii", ".gii", ".mgh", ".mgz")


def holds(given: object) -> bool:
    """Return whether an object is an image of surfaces, a pair of hemispheres, or a file of one."""
    if isinstance(given, str | os.PathLike):
        return _is_file_of_vertices(os.fspath(given))
    if isinstance(given, Mapping):
        return any(isinstance(key, str) and key.lower() in _LIKE_SIDES for key in given)
    if isinstance(given, tuple | list):
        return len(given) == 2 and any(
            item is not None and not isinstance(item, tuple | list | Mapping) and holds(item)
            for item in given
        )
    return isinstance(given, SurfaceMaps) or is_surface_image(given) or is_hemisphere_image(given)


def _is_file_of_vertices(path: object) -> bool:
    if not isinstance(path, str):
        return False
    name = path.lower()
    if name.endswith((".mgh", ".mgz")):
        if existing_files(os.path.expanduser(path)):  # noqa: PTH111
            return True
        shape = shape_of_mgh(os.path.expanduser(path))  # noqa: PTH111
        return side_in_name(path) is not None if shape is None else is_row_of_vertices(shape)
    return name.endswith((".gii", ".gii.gz", ".annot")) or is_curvature_name(path)


def is_one(given: Any) -> bool:
    """Tell whether what was given by itself is one image of one map."""
    if is_surface_image(given):
        return n_axes_of(given) == 1
    return holds(given) and not (
        isinstance(given, Mapping) and any(isinstance(own, list) for own in given.values())
    )


def file_of(given: object) -> str | None:
    """Return the name of an image's file, of a pair that by which its user calls it."""
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    if isinstance(given, SurfaceMaps):
        given = given.parts
    if isinstance(given, tuple | list):
        given = {side: item for side, item in zip(SIDES, given, strict=False) if item is not None}
    if isinstance(given, Mapping):
        names = [file_of(given[side]) for side in SIDES if side in given]
        known = [name for name in names if name is not None]
        if len(known) < len(names) or not known:
            return None
        return nominal_name(*known) if len(known) == 2 else known[0]
    name = given.get_filename() if is_hemisphere_image(given) else None  # type: ignore[attr-defined]
    return name if isinstance(name, str) else None


def parts_of(given: Any) -> list[Any]:
    """Return the file or the image of each hemisphere; an image of both in one is itself."""
    if isinstance(given, str | os.PathLike):
        found = existing_files(os.path.expanduser(os.fspath(given)))  # noqa: PTH111
        return list(found.values()) or [given]
    if isinstance(given, SurfaceMaps):
        given = given.parts
    if isinstance(given, tuple | list):
        given = dict(zip(SIDES, given, strict=False))
    if isinstance(given, Mapping):
        return [own for own in given.values() if own is not None]
    return [given]


def open_inputs(given: Any, *, argument: str, same_placement: bool, at_least: int) -> list[Source]:
    """Open the images of a model; no values of files are read."""
    return list(open_images(given, argument=argument, same_mesh=same_placement, at_least=at_least))


def part_files(path: Path) -> tuple[Path, ...]:
    """Name the files of the hemispheres of a map that the user calls `path`."""
    return tuple(hemisphere_files(path).values())


def group_files(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Bring the two files of each map together; each by itself if all are of one hemisphere."""
    volumes = [path for path in paths if not holds(path)]  # FreeSurfer's, of the same endings
    own = [path for path in paths if path not in volumes] if volumes else list(paths)
    names = [os.fspath(path) for path in own]
    pairs = grouped_files(names, lambda number: open_file(names[number]).told_side, "maps")
    maps = [(path,) for path in own] if pairs is None else [(own[x], own[y]) for x, y in pairs]
    return [*maps, *((path,) for path in volumes)]


def masking(
    mask_img: Any,
    target_affine: Any,
    target_shape: Any,
    smoothing_fwhm: Any,
    *,
    zero_is_missing: bool,
    smoothing_overrides: bool = False,
    geometry: Geometry = NO_GEOMETRY,
) -> SurfaceMasking:
    """Check the parameters of the estimator."""
    return SurfaceMasking.resolve(
        mask_img,
        target_affine,
        target_shape,
        smoothing_fwhm,
        zero_is_missing=zero_is_missing,
        geometry=geometry,
        smoothing_overrides=smoothing_overrides,
    )


def smooth_images(given: Any, fwhm: Any, geometry: Geometry) -> Any:
    """Smooth one image, or each of a list, on their meshes."""
    from groupglm.spaces.surface.smoothed_images import smooth_images as smooth_surfaces

    return smooth_surfaces(given, fwhm, geometry)


def target_of(given: Any, name: str) -> tuple[Any, Any]:
    """Refuse to resample: surfaces stay on their meshes."""
    del given
    raise ArgumentError.about(
        name,
        argument(name) + " is an image of a surface, and surfaces are not resampled here",
        "leave it out; resample surfaces before, by mri_surf2surf or wb_command -metric-resample",
    )


def computed(name: str, compute: Callable[[], object], like: Source | None) -> Source:
    """Return an image that is computed when it is read, on the mesh of another."""

    def open_computed(image: object, called: str) -> SurfaceSource:
        return open_one(image, called)

    if not isinstance(like, SurfaceSource):
        like = open_one(compute(), name)
    return ComputedSurface(name, compute, like, open_computed)


def open_map(
    given: Any, name: str, geometry: Geometry = NO_GEOMETRY
) -> tuple[SurfaceSource, SurfaceSpace]:
    """Open one map; return it with all of its vertices, on the surfaces that the user gave.

    Of an image in memory with its own mesh, such as nilearn's, the size of a cluster is its number
    of vertices, as in nilearn, unless the user gave surfaces or areas.
    """
    as_nilearn = not geometry.given
    if isinstance(given, SurfaceMaps) and given.mesh and geometry.surfaces is None:
        geometry = replace(geometry, surfaces=given.mesh)
    source = open_one(given, name)
    space = everywhere_of([source], geometry)
    if as_nilearn and source.form.template is not None:
        space = space.counted_in_vertices()
    return source, space


def open_labels(
    given: Any, name: str
) -> tuple[SurfaceSource, SurfaceSpace, Mapping[str, Mapping[int, str]]]:
    """Open labels of vertices; return them with all vertices, and the names by hemisphere."""
    source = open_one(given, name, labels=True)
    space = everywhere_of([source], NO_GEOMETRY)
    # A pair says of its images which hemisphere each is of; one of FreeSurfer in memory does not.
    return source, replace(space, form=Form("gifti")), label_names(given, name)


def differs_from_background(
    everywhere: SurfaceSpace, values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find the vertices of a map that are not zero; with zeros outside, NaN is inside."""
    del everywhere
    missing = np.isnan(values)
    outside = values == 0
    return np.asarray(~outside if outside.any() else ~missing)


def said_by_map(given: Any) -> tuple[Statistic | None, str | None]:
    """Return what the metadata of a GIFTI map say that its values are, and its contrast."""
    from groupglm.spaces.surface.reading.facts import facts_of_map
    from groupglm.spaces.surface.writing import contrast_in, statistic_in

    found = facts_of_map(given)
    if found is None:
        return None, None
    intent, facts = found
    return statistic_in(intent, facts), contrast_in(facts)


def how_to_mark(statistic: str) -> str:
    """Return how a user marks a map as z, t or F in its file."""
    intent = {"z": "ZSCORE", "t": "TTEST", "F": "FTEST"}[statistic]
    return f"by the Intent NIFTI_INTENT_{intent} of its GIFTI file"


def save(image: Any, path: Path) -> Path:
    """Save a map under the name that a user gives it, each file whole or not at all."""
    from groupglm.spaces.surface.saving import save_map

    return save_map(image, path)


def as_saved(image: Any, path: Path) -> Any:
    """Return a saved image as it would be if its files were read: with their names."""
    if isinstance(image, SurfaceMaps):
        files = hemisphere_files(path)
        return replace(
            image, **{side: _as_read(own, side, files[side]) for side, own in image.parts.items()}
        )
    return _as_read(image, "left", path) if is_hemisphere_image(image) else image


def _as_read(image: Any, side: str, path: Path) -> Any:
    """Return a hemisphere that knows its file; that of the file if it is of another form."""
    from groupglm.spaces.surface.reading.loading import image_of_file

    if hasattr(image, "darrays") != path.name.lower().endswith(".gii"):
        return image_of_file(str(path), side)  # of FreeSurfer's images, saved as GIFTI
    image.set_filename(str(path))
    return image


def rename_contrast(image: Any, name: str) -> None:
    """Change the name of the contrast in the metadata of a map, if it has any."""
    from groupglm.spaces.surface.writing import renamed_contrast

    parts = list(image.parts.values()) if isinstance(image, SurfaceMaps) else [image]
    for part in parts:
        if hasattr(part, "darrays"):
            renamed_contrast(part, name)


def foreign_space(mask: Any) -> SurfaceSpace:
    """Return the vertices inside a mask, in the order in which users see them: left, then right."""
    source = open_one(mask, "mask_img", labels=True)
    everywhere = everywhere_of([source], NO_GEOMETRY)
    inside = inside_mask(everywhere, mask)
    return everywhere if inside is None else everywhere.restrict(inside)


def refuse_models_elsewhere(labels: Sequence[object], masks: Sequence[Any]) -> None:
    """Compare the meshes of first-level models' masks, where models show them."""
    first = masks[0]
    if first is None:
        return
    wanted = open_one(first, "the first model")
    for place, (label, mask) in enumerate(zip(labels, masks, strict=True), start=1):
        if mask is None:
            continue
        if not holds(mask):
            raise ArgumentError.about(
                "second_level_input",
                f"model {label} (item {place}) was fitted to volumes, and the first to surfaces",
                "give models of one kind of data",
            )
        difference = open_one(mask, f"model {label}").difference(wanted)
        if difference is not None:
            raise GridMismatchError(
                f"All first level models must be on the same mesh, but model {label} (item "
                f"{place}) is not on that of the first: {difference}; fit them on one mesh"
            )
