# SPDX-License-Identifier: BSD-3-Clause
"""Open the images of a model; refuse wrong ones before any values are read."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimensionError,
    GridMismatchError,
    ImageError,
)
from groupglm.messages import again
from groupglm.messages import argument as named
from groupglm.runtime.paths import check_path
from groupglm.runtime.regular_files import check_file
from groupglm.spaces.volume.reading.header import (
    check_compression,
    files_of,
    layout_of_image,
    read_layout,
)
from groupglm.spaces.volume.reading.source import VolumeSource
from groupglm.spaces.volume.reading.unread import (
    refuse_other_spaces,
    refuse_shape_of_other_space,
    unread_kind,
)
from groupglm.spaces.volume.reading.volumes import volumes_of_file, volumes_of_image

__all__ = ["ImageLike", "header_of", "open_image", "open_image_or_series", "open_images"]

ImageLike: TypeAlias = str | os.PathLike[str] | SpatialImage
"""A file name or a nibabel image."""

_WANTED = "a list of images (file names, or nibabel images), or one 4-D image"


def open_images(
    images: object,
    *,
    argument: str = "second_level_input",
    same_grid: bool = True,
    at_least: int = 2,
) -> list[VolumeSource]:
    """Open the images of a model; only their headers are read."""
    if isinstance(images, str | os.PathLike | SpatialImage):
        sources = _open_volumes(images, f"{argument} in memory")
        if len(sources) < at_least:
            raise ArgumentError(
                argument,
                f"one image of one volume ({sources[0].name}), but a model needs at least two",
                remedy="give a list of images, or a 4-D image",
            )
        return sources
    items = _items(images, argument, at_least)
    sources = [_open_item(item, place, argument) for place, item in enumerate(items, start=1)]
    if same_grid:
        _check_same_grid(sources, argument)
    return sources


def open_image(image: object, *, name: str = "image in memory") -> VolumeSource:
    """Open one 3-D image; only its header is read."""
    sources = open_image_or_series(image, name=name)
    if len(sources) > 1:
        shape = (*sources[0].grid.shape, len(sources))
        called = _name_of(cast("ImageLike", image), name)
        raise DimensionError(
            f"{called}: holds {len(sources)} volumes (shape {shape}), but each "
            "image must be 3D, or 4D with single volume. Input data has incompatible "
            "dimensionality: Expected dimension is 3D and you provided a 4D image; split it into "
            "single volumes"
        )
    return sources[0]


def open_image_or_series(
    image: object, *, name: str = "image in memory", most_axes: int = 4
) -> list[VolumeSource]:
    """Open every volume of one image, 3-D or of more axes; only its header is read."""
    if not isinstance(image, str | os.PathLike | SpatialImage):
        found = unread_kind(image) or f"a {type(image).__name__}"
        raise ArgumentTypeError.about(
            name, f"{name} must be a file name or a nibabel image, but is {found}"
        )
    return _open_volumes(image, name, most_axes)


def _open_item(item: object, place: int, argument: str) -> VolumeSource:
    if isinstance(item, str | os.PathLike):
        check_path(argument, os.fspath(item), ImageError, item=f"item {place} of ")
    # Only the model's images are called so without saying of what.
    of = "" if argument in ("second_level_input", "imgs") else f" of {argument}"
    try:
        return open_image(item, name=f"image {place}{of} in memory")
    except ImageError as error:
        # The message begins with the file's name. In a long list the item's number helps too.
        if isinstance(item, SpatialImage):
            raise
        raise type(error)(f"{error} (item {place} of the list)") from error.__cause__


def _items(images: object, argument: str, at_least: int) -> Sequence[object]:
    """Return the items of a list-like input, all of one kind."""
    items = _as_sequence(images)
    if items is None:
        found = unread_kind(images) or f"a {type(images).__name__}"
        raise ArgumentTypeError.about(
            argument, again(argument) + f" must be either {_WANTED}, but is {found}"
        )
    for place, item in enumerate(items, start=1):
        if not isinstance(item, str | os.PathLike | SpatialImage):
            found = unread_kind(item) or f"a {type(item).__name__}"
            begins_well = isinstance(items[0], str | os.PathLike | SpatialImage)
            rule = again(argument) + f" must be either {_WANTED}"
            if begins_well:
                rule = "Elements of " + again(argument) + " must be of the same type"
            raise ArgumentTypeError.about(
                argument,
                rule
                + f": item {place} of "
                + named(argument)
                + f" must be a file name or a nibabel image, but is {found}",
            )
        if isinstance(item, SpatialImage) != isinstance(items[0], SpatialImage):
            raise ArgumentTypeError.about(
                argument,
                "Elements of "
                + again(argument)
                + " must be of the same type, but it mixes file names with "
                f"images in memory: item 1 is a {type(items[0]).__name__}, item {place} a "
                f"{type(item).__name__}",
                "give one kind",
            )
    if len(items) < at_least:
        wanted = "at least two images" if at_least > 1 else "an image"
        raise ArgumentTypeError.about(
            argument,
            named(argument) + f" must hold {wanted}, but holds {len(items)}",
            "a 4-D image is given by itself, not in a list",
        )
    return items


def _as_sequence(images: object) -> Sequence[object] | None:
    if isinstance(images, list | tuple):
        return images
    # A Series exists only if its caller has imported pandas.
    pandas = sys.modules.get("pandas")
    is_series = pandas is not None and isinstance(images, pandas.Series)
    if is_series or (isinstance(images, np.ndarray) and images.ndim == 1):
        items: list[object] = images.tolist()  # type: ignore[attr-defined]
        return items
    return None


def _open_volumes(image: ImageLike, name: str, most_axes: int = 4) -> list[VolumeSource]:
    """Open every volume of an image; turn every failure into an `ImageError`."""
    if isinstance(image, SpatialImage):
        name = _name_of(image, name)
    else:
        given = os.fspath(image)
        check_path(name.removesuffix(" in memory"), given, ImageError)
        name = os.path.expanduser(given)  # noqa: PTH111 (a Path would rewrite the name)
    try:
        if isinstance(image, SpatialImage):
            return _volumes_of_nibabel_image(image, name, most_axes)
        refuse_other_spaces(name)
        for file in files_of(name):
            check_file(file, f"{file}:", ImageError)
        layout = read_layout(name)
        if layout is not None:
            refuse_shape_of_other_space(name, layout.shape)
            return volumes_of_file(layout, most_axes=most_axes)
        return _volumes_of_nibabel_image(_load(name), name, most_axes)
    except ImageError:
        raise
    except Exception as error:  # nibabel raises anything on a damaged header
        raise _image_error(error, name) from error


def header_of(image: ImageLike) -> Any:
    """Return nibabel's header of an image that has been opened."""
    if isinstance(image, SpatialImage):
        return image.header
    name = os.path.expanduser(os.fspath(image))  # noqa: PTH111
    try:
        for file in files_of(name):
            check_file(file, f"{file}:", ImageError)
        with _unheard():
            return nib.load(name).header
    except nib.filebasedimages.ImageFileError:
        return None
    except ImageError:
        raise
    except Exception as error:  # nibabel raises anything on a damaged file
        raise _image_error(error, name) from error


def _image_error(error: Exception, name: str) -> ImageError:
    """Return the `ImageError` for a failure, which names the file."""
    if isinstance(error, FileNotFoundError):
        pattern = "a pattern is not expanded, give sorted(glob.glob(...))"
        hint = pattern if set(name) & set("*?") else "check the name"
        return ImageError(f"{error.filename or name}: File not found: {hint}")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return ImageError(
            f"{name}: cannot be opened: the name is longer than the file system takes; check it, "
            "or give a shorter one"
        )
    if isinstance(error, OSError):
        return ImageError(f"{name}: cannot be opened: {error.strerror or error}")
    # Some readers fail without a message, or with nothing but a key.
    said = str(error) if isinstance(error, ValueError) and error.args != (None,) else ""
    told = said.strip() or f"{type(error).__name__} {error}"
    return ImageError(
        f"{name}: its header cannot be read: {told}; copy the file again from its source, or "
        "convert it to NIfTI"
    )


def _volumes_of_nibabel_image(image: SpatialImage, name: str, most_axes: int) -> list[VolumeSource]:
    if not isinstance(image.dataobj, np.ndarray):
        for holder in image.file_map.values():
            if holder.filename is not None:
                check_file(holder.filename, f"{name}:", ImageError)
    refuse_shape_of_other_space(image.get_filename() or name, image.shape)
    layout = layout_of_image(image, name)
    if layout is None:
        return volumes_of_image(image, name, most_axes=most_axes)
    return volumes_of_file(layout, most_axes=most_axes)


@contextmanager
def _unheard() -> Iterator[None]:
    """Drop what nibabel logs in this thread: repairs of a header that is refused here."""
    thread = threading.get_ident()
    logger = nib.imageglobals.logger

    def is_of_another_thread(_: logging.LogRecord) -> bool:
        return threading.get_ident() != thread

    logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another_thread)


def _load(path: str) -> SpatialImage:
    """Open a file that is not plain NIfTI with nibabel."""
    try:
        with _unheard():
            image = nib.load(path)
    except nib.filebasedimages.ImageFileError as error:
        check_compression(path)
        raise ImageError(
            f"{path}: is not an image of a known format, whatever its name says ({error})"
        ) from error
    if not isinstance(image, SpatialImage):
        raise ImageError(
            f"{path}: is a {type(image).__name__}, but only images of voxels can be used here"
        )
    return image


def _name_of(image: ImageLike, name: str) -> str:
    if isinstance(image, SpatialImage):
        return image.get_filename() or name
    return os.fspath(image)


def _check_same_grid(sources: list[VolumeSource], argument: str) -> None:
    first = sources[0]
    for place, source in enumerate(sources, start=1):
        difference = source.grid.difference(first.grid)
        if difference is not None:
            called = f"image {place} of {argument}"
            if not source.name.startswith("image "):  # a file
                called = f"{source.name}: {called}"
            raise GridMismatchError(
                f"{called} is not on the grid of image 1 "
                f"({first.name}). Following field of view errors were detected: {difference}; "
                "resample it to the first image's grid"
            )
