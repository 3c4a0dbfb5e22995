# SPDX-License-Identifier: BSD-3-Clause
"""Open the images of a model on surfaces; refuse wrong ones before any values are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimensionError,
    GridMismatchError,
    ImageError,
    in_quotes,
)
from groupglm.messages import again
from groupglm.messages import argument as named
from groupglm.runtime.paths import check_path
from groupglm.spaces.surface.form import Form, Template
from groupglm.spaces.surface.maps import SurfaceMaps
from groupglm.spaces.surface.reading.pairing import (
    SIDES,
    check_subjects,
    existing_files,
    grouped_files,
    nominal_name,
    side_in_name,
)
from groupglm.spaces.surface.reading.sources import Hemisphere, open_file, open_image_in_memory
from groupglm.spaces.surface.reading.surface_image import hemispheres_of_image, is_surface_image
from groupglm.spaces.surface.source import SurfaceSource

__all__ = [
    "grouped",
    "is_hemisphere_image",
    "label_names",
    "open_images",
    "open_one",
    "open_several",
]

_FORMS = "a SurfaceImage, a pair (left, right) of files, or a file of one hemisphere"
_WANTED = (
    "a list of images of surfaces (SurfaceImages, pairs (left, right) of files, or files of one "
    "hemisphere)"
)
_RESAMPLE = (
    "bring all to one mesh, such as fsaverage or fsLR (mri_surf2surf, wb_command -metric-resample)"
)


def is_hemisphere_image(given: object) -> bool:
    """Return whether an object is nibabel's image of values at vertices."""
    if hasattr(given, "darrays"):
        return True
    if type(given).__name__ != "MGHImage":
        return False
    from groupglm.spaces.surface.reading.freesurfer import is_row_of_vertices

    return is_row_of_vertices(tuple(given.shape))  # type: ignore[attr-defined]


def open_images(
    given: Any, *, argument: str, same_mesh: bool = True, at_least: int = 2
) -> list[SurfaceSource]:
    """Open the images of a model; no values of files are read."""
    images = grouped(given, argument)
    items = None if isinstance(images, tuple) and is_pair(images) else _items(images)
    if items is None:
        sources = open_several(images, f"{argument} in memory", argument=argument)
        if len(sources) < at_least:
            raise ArgumentError(
                argument,
                f"one image of one map ({sources[0].name}), but a model needs at least two",
                remedy="give a list of images",
            )
        return sources
    if len(items) < at_least:
        wanted = "at least two images" if at_least > 1 else "an image"
        raise ArgumentTypeError.about(
            argument,
            named(argument) + f" must hold {wanted}, but holds {len(items)}",
            "an image of several maps is given by itself, not in a list",
        )
    of = "" if argument in ("second_level_input", "imgs") else f" of {argument}"
    sources = []
    for place, item in enumerate(items, start=1):
        try:
            sources.append(open_one(item, f"image {place}{of} in memory", argument=argument))
        except ImageError as error:
            if isinstance(item, str | os.PathLike):
                raise type(error)(f"{error} (item {place} of the list)") from error.__cause__
            raise
    if same_mesh:
        _check_same_mesh(sources, argument)
    return sources


def grouped(given: Any, argument: str) -> Any:
    """Bring the hemispheres of each image together: a list with one item an image.

    What is one image of one map or several is returned as it is. A mapping of lists is a list of
    pairs, and a flat list of files of both hemispheres too.
    """
    if isinstance(given, Mapping):
        lists = {side: own for side, own in given.items() if isinstance(own, list | tuple)}
        if len(lists) < len(given) or not lists:
            return given
        return _pairs_of_lists(given, argument)
    pairs = None if isinstance(given, tuple) and is_pair(given) else _pairs_in(given, argument)
    if pairs is None:
        return given
    items = _items(given)
    images = [(items[left], items[right]) for left, right in pairs]
    return _labelled(images, pairs, given, argument) if _is_series(given) else images


def _pairs_in(given: Any, argument: str) -> list[tuple[int, int]] | None:
    """Return the numbers of the files of each pair in a flat list; None if it is no such list."""
    items = _items(given)
    if not items or not all(_is_one_hemisphere(item) for item in items):
        return None
    names = [_name_of(item, f"image {place}") for place, item in enumerate(items, start=1)]
    if any(existing_files(name) for name in names):  # they are names of pairs
        return None
    return grouped_files(
        names, lambda number: _open_hemisphere(items[number], names[number]).told_side, argument
    )


def _labelled(
    images: list[Any], pairs: Sequence[tuple[int, int]], given: Any, argument: str
) -> Any:
    """Return images with the labels that both of their hemispheres have in a Series."""
    labels = [(given.index[left], given.index[right]) for left, right in pairs]
    for one, other in labels:
        if one != other:
            raise ArgumentError(
                argument,
                f"the label {in_quotes(one)} for a left hemisphere and {in_quotes(other)} for the "
                "right one",
                remedy="give both the label of their subject",
                verb="has",
            )
    return type(given)(images, index=[one for one, _ in labels], name=given.name)


def _is_series(given: object) -> bool:
    pandas = sys.modules.get("pandas")  # a Series exists only if its caller has imported pandas
    return pandas is not None and isinstance(given, pandas.Series)


def _items(given: Any) -> Any:
    """Return the items of a list-like input as a list; None if it is one image."""
    if isinstance(given, list | tuple):
        return list(given)
    is_array = isinstance(given, np.ndarray) and given.ndim == 1
    return list(given.tolist()) if is_array or _is_series(given) else None


def is_pair(given: Sequence[Any]) -> bool:
    """Return whether two items are the hemispheres of one image, not two images."""
    if len(given) != 2 or not all(item is None or _is_one_hemisphere(item) for item in given):
        return False
    left, right = given
    if left is None or right is None:
        return True
    sides = [side_in_name(_name_of(item, "")) for item in given]
    return None in sides or sides[0] != sides[1] or sides == ["left", "left"]


def _pairs_of_lists(given: Mapping[Any, Any], argument: str) -> list[Any]:
    _check_sides(given, argument)
    counts = {side: len(own) for side, own in given.items()}
    if len(set(counts.values())) > 1:
        raise ArgumentError(
            argument,
            f"{counts['left']} files of the left hemisphere and {counts['right']} of the right one",
            remedy="give both of each subject, in the same order",
            verb="has",
        )
    if len(given) == 1:
        ((side, own),) = given.items()
        return [{side: item} for item in own]
    return list(zip(given["left"], given["right"], strict=True))


def _check_sides(given: Mapping[Any, Any], argument: str) -> None:
    unknown = [side for side in given if side not in SIDES]
    if unknown or not given:
        raise ArgumentError(
            argument,
            f"a mapping of {', '.join(map(repr, given)) or 'nothing'}",
            remedy="its keys are 'left' and 'right'",
        )


def _is_one_hemisphere(item: object) -> bool:
    return isinstance(item, str | os.PathLike) or is_hemisphere_image(item)


def _name_of(item: Any, name: str) -> str:
    if isinstance(item, str | os.PathLike):
        return os.path.expanduser(os.fspath(item))  # noqa: PTH111 (a Path would rewrite the name)
    file = item.get_filename()
    return file if isinstance(file, str) else name


def open_one(item: Any, name: str, *, argument: str = "", labels: bool = False) -> SurfaceSource:
    """Open one image of one map."""
    return _sources(item, name, argument, labels=labels, one=True)[0]


def label_names(item: Any, name: str) -> dict[str, Mapping[int, str]]:
    """Return the names of labels that the file of each hemisphere gives."""
    found, _, _ = _hemispheres(item, name, name, labels=True)
    return {side: own.labels for side, own in found.items() if own.labels}


def open_several(
    item: Any, name: str, *, argument: str = "", labels: bool = False
) -> list[SurfaceSource]:
    """Open every map of one image, of one hemisphere or of both."""
    return _sources(item, name, argument, labels=labels, one=False)


def _sources(
    item: Any, name: str, argument: str, *, labels: bool, one: bool
) -> list[SurfaceSource]:
    """Open the maps of one image; with `one` there must be one."""
    found, form, called = _hemispheres(item, name, argument or name, labels=labels)
    counts = {own.n_maps for own in found.values()}
    if len(counts) > 1:
        told = " and ".join(f"{own.n_maps} of the {side} one" for side, own in found.items())
        raise ImageError(
            f"{called}: has maps of different numbers: {told}; give as many of both hemispheres"
        )
    (n_maps,) = counts
    if one and n_maps > 1:  # before a source is made of each
        raise DimensionError(
            f"{called}: holds {n_maps} maps, but each image must have one; split it into images of "
            "one map"
        )
    sources = []
    for number in range(n_maps):
        own_name = called if n_maps == 1 else f"{called}, map {number + 1}"
        members = {
            side: own.source(
                side, number, own.name if n_maps == 1 else f"{own.name}, map {number + 1}"
            )
            for side, own in found.items()
        }
        sources.append(SurfaceSource(own_name, members, form))
    return sources


def _hemispheres(
    item: Any, name: str, argument: str, *, labels: bool
) -> tuple[dict[str, Hemisphere], Form, str]:
    """Return the hemispheres of an image, the form of results like it, and its name."""
    if is_surface_image(item):
        found = hemispheres_of_image(item, name)
        return found, Form("surface_image", template=Template.of(item)), name
    if isinstance(item, SurfaceMaps):
        item = dict(item.parts)
    if isinstance(item, str | os.PathLike):
        check_path(name.removesuffix(" in memory"), os.fspath(item), ImageError)
        files = existing_files(_name_of(item, name))
        if len(files) == 2:
            item = files
    if isinstance(item, list | tuple) and len(item) == 2:
        item = {side: own for side, own in zip(SIDES, item, strict=True) if own is not None}
    if isinstance(item, Mapping):
        _check_sides(item, argument)
        return _of_sides(item, name, argument, labels=labels)
    if not _is_one_hemisphere(item):
        wanted = f"an image of surfaces ({_FORMS})" if name == argument else _WANTED
        raise ArgumentTypeError.about(
            argument, again(argument) + f" must be {wanted}, but {name} is a {type(item).__name__}"
        )
    own = _open_hemisphere(item, name, labels=labels)
    side = _side_of(own)
    return {side: own}, Form(own.form, is_pair=False), own.name


def _of_sides(
    item: Mapping[str, Any], name: str, argument: str, *, labels: bool
) -> tuple[dict[str, Hemisphere], Form, str]:
    found = {}
    for side in SIDES:
        if side not in item:
            continue
        if not _is_one_hemisphere(item[side]):
            raise ArgumentTypeError.about(
                argument,
                f"{name}: its {side} hemisphere must be a file name or a nibabel image, but is a "
                f"{type(item[side]).__name__}",
            )
        own = found[side] = _open_hemisphere(item[side], f"{name}, {side}", labels=labels)
        told = _told(own)
        if told is not None and told != side:
            both = [side_in_name(_name_of(each, "")) for each in item.values()]
            what = f"two {told} hemispheres" if both == [told, told] else "the hemispheres swapped"
            raise ArgumentError.about(
                argument,
                f"{in_quotes(own.name)} is of the {told} hemisphere, but was given as the {side} "
                f"one: {name if ' in memory' not in name else argument} has {what}",
                "give (left, right), in this order",
            )
    names = [own.name for own in found.values()]
    if len(names) == 2:
        check_subjects(names[0], names[1], argument)
    forms = [own.form for own in found.values()]
    called = nominal_name(*names) if len(names) == 2 else names[0]
    in_memory = not any(isinstance(own, str | os.PathLike) for own in item.values())
    if in_memory and called == f"{name}, {next(iter(found))}":
        called = name
    return found, Form(forms[0], is_pair=len(found) == 2), called


def _told(own: Hemisphere) -> str | None:
    """Return the hemisphere that the name or the metadata of a file tell; refuse a conflict."""
    by_name = side_in_name(own.name)
    if by_name is not None and own.told_side is not None and by_name != own.told_side:
        raise ImageError(
            f"{own.name}: its name says the {by_name} hemisphere, its metadata "
            f"(AnatomicalStructurePrimary) the {own.told_side} one; correct what is wrong"
        )
    return by_name or own.told_side


def _side_of(own: Hemisphere) -> str:
    side = _told(own)
    if side is None:
        raise ImageError(
            f"{own.name}: neither its name (hemi-L, .L., lh.) nor its metadata "
            "(AnatomicalStructurePrimary) say of which hemisphere it is; give it as "
            "{'left': ...} or {'right': ...}"
        )
    return side


def _open_hemisphere(item: Any, name: str, *, labels: bool = False) -> Hemisphere:
    if not isinstance(item, str | os.PathLike):
        return open_image_in_memory(item, name, labels=labels)
    path = _name_of(item, name)
    if not os.path.lexists(path):
        pattern = "a pattern is not expanded, give sorted(glob.glob(...))"
        hint = pattern if set(path) & set("*?") else "check the name"
        raise ImageError(f"{path}: File not found: {hint}")
    return open_file(path, labels=labels)


def _check_same_mesh(sources: Sequence[SurfaceSource], argument: str) -> None:
    first = sources[0]
    for place, source in enumerate(sources, start=1):
        difference = source.difference(first)
        if difference is not None:
            called = f"image {place} of {argument}"
            if " in memory" not in source.name:
                called = f"{source.name}: {called}"
            raise GridMismatchError(
                f"{called} is not on the mesh of image 1 ({first.name}): {difference}; {_RESAMPLE}"
            )
