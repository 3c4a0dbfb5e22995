# SPDX-License-Identifier: BSD-3-Clause
"""Open CIFTI files and nibabel's images of them; refuse wrong ones before values are read."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
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
from groupglm.runtime.naming import counted
from groupglm.runtime.paths import check_path
from groupglm.spaces.cifti.header import read_header
from groupglm.spaces.cifti.matrix import Matrix, MatrixReader, matrix_of_image
from groupglm.spaces.cifti.source import CiftiSource, FileMap, ImageMap, MapsOfFile

__all__ = ["GRAYORDINATES", "PARCELS", "Family", "map_count", "open_inputs", "open_map", "path_of"]


@dataclass(frozen=True)
class Family:
    """The files and images of one kind of places.

    Parameters
    ----------
    kind : str
        What an axis calls them.
    letter : str
        What the endings of their files begin with.
    name : str
        What messages call an image of them.
    """

    kind: str
    letter: str
    name: str

    @property
    def endings(self) -> tuple[str, str]:
        """The endings of files of maps."""
        return f".{self.letter}scalar.nii", f".{self.letter}tseries.nii"

    def holds(self, given: object) -> bool:
        """Return whether an object is an image of these places, or the name of a file of them.

        Also of a file whose values no model takes, so that it is refused by name.
        """
        if isinstance(given, str | os.PathLike):
            name = os.fspath(given)
            return isinstance(name, str) and name.lower().endswith(self._names)
        nibabel = sys.modules.get("nibabel.cifti2")  # an image exists only if that is imported
        if nibabel is None or not isinstance(given, nibabel.Cifti2Image):
            return False
        matrix = getattr(given.header, "matrix", None) or ()
        kinds = [str(one.indices_map_to_data_type) for one in matrix]
        # An image of neither is one of grayordinates, in whose words it is refused.
        is_of_parcels = f"CIFTI_INDEX_TYPE_{PARCELS.kind}" in kinds
        return is_of_parcels == (self.kind == PARCELS.kind)

    @property
    def _names(self) -> tuple[str, ...]:
        values = ["scalar", "tseries", "label", "conn"]
        values += ["pconn"] if self.letter == "d" else ["dconn", "connseries", "connscalar"]
        packed = ("", ".gz")
        return tuple(f".{self.letter}{value}.nii{end}" for value in values for end in packed)

    @property
    def wanted(self) -> str:
        """What the images of a model may be."""
        return (
            f"a list of images (names of {self.endings[0]} files, or Cifti2Images), or one of many "
            "maps"
        )


GRAYORDINATES = Family("BRAIN_MODELS", "d", "an image of grayordinates")
PARCELS = Family("PARCELS", "p", "an image of parcels")


def path_of(given: Any) -> str | None:
    """Return the name of an image's file; None if it has none, or is no such image."""
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    name = given.get_filename() if hasattr(given, "get_filename") else None
    return None if name is None else os.fspath(name)


def open_inputs(
    given: Any,
    *,
    argument: str,
    same_placement: bool,
    at_least: int,
    family: Family = GRAYORDINATES,
) -> list[CiftiSource]:
    """Open the images of a model: each of one map, or one of several by itself."""
    reader = MatrixReader(family.kind)
    if family.holds(given):
        sources = _open(given, f"{argument} in memory", argument, reader)
        if len(sources) < at_least:
            raise ArgumentError(
                argument,
                f"one image of one map ({sources[0].name}), but a model needs at least two",
                remedy="give a list of images, or an image of several maps",
            )
        return sources
    sources = []
    items = _items(given, argument, at_least, family)
    # Only the model's images are called so without saying of what.
    of = "" if argument in ("second_level_input", "imgs") else f" of {argument}"
    for place, item in enumerate(items, start=1):
        name = f"image {place}{of} in memory"
        try:
            sources.append(
                _only(_open(item, name, argument, reader), "give one map for each image")
            )
        except ImageError as error:
            # The message begins with the file's name. In a long list the item's number helps too.
            if not isinstance(item, str | os.PathLike):
                raise
            raise type(error)(f"{error} (item {place} of the list)") from error.__cause__
    if same_placement:
        _check_same_axes(sources, argument)
    return sources


def open_map(
    given: Any, name: str, family: Family = GRAYORDINATES, *, labels: bool = False
) -> CiftiSource:
    """Open one image of one map, with `labels` also one of labels."""
    reader = MatrixReader(family.kind, labels=labels)
    sources = _open(given, name, name.removesuffix(" in memory"), reader)
    return _only(sources, "give an image of one map, as wb_command -cifti-merge -column makes it")


def map_count(given: Any, family: Family) -> int | None:
    """Return how many maps an image has; None if it cannot be opened."""
    try:
        return len(_open(given, "image", "image", MatrixReader(family.kind)))
    except (ImageError, OSError):
        return None


def _only(sources: list[CiftiSource], remedy: str) -> CiftiSource:
    if len(sources) > 1:
        called = sources[0].name.removesuffix(", map 1")
        raise DimensionError(
            f"{called}: holds {len(sources)} maps, and one is wanted: {remedy}; an image of one "
            "map a subject is given by itself, not in a list"
        )
    return sources[0]


def _open(given: Any, name: str, argument: str, reader: MatrixReader) -> list[CiftiSource]:
    """Open every map of an image."""
    if not isinstance(given, str | os.PathLike):
        return _maps_of_image(given, name, reader)
    text = os.fspath(given)
    check_path(argument, text, ImageError)
    path = os.path.expanduser(text)  # noqa: PTH111 (a Path would rewrite the name)
    return _maps_of_file(path, reader)


def _maps_of_file(path: str, reader: MatrixReader) -> list[CiftiSource]:
    header, xml = read_header(path)
    matrix = reader.read(xml, path)
    _check_lengths(path, matrix, header.n_maps, header.n_places)
    maps = MapsOfFile(header)
    names = _names(path, header.n_maps)
    return [FileMap(maps, number, name, matrix.places) for number, name in enumerate(names)]


def _names(name: str, n_maps: int) -> list[str]:
    return [name] if n_maps == 1 else [f"{name}, map {number + 1}" for number in range(n_maps)]


def _maps_of_image(image: Any, name: str, reader: MatrixReader) -> list[CiftiSource]:
    file = image.get_filename()
    called = file or name
    matrix = matrix_of_image(image, called, reader.kind, labels=reader.labels)
    shape = tuple(image.shape)
    if len(shape) != 2:
        raise ImageError(f"{called}: has the shape {shape}, not (maps, places)")
    _check_lengths(called, matrix, *shape)
    data = image.dataobj
    if isinstance(data, np.ndarray) and data.dtype.kind not in "biuf":
        raise ImageError(f"{called}: its values are {data.dtype}, but the model needs real numbers")
    if file is not None and not isinstance(data, np.ndarray):
        # Our own reader takes one map of many without reading all of them for each.
        sources = _maps_of_file(file, reader)
        if len(sources) == shape[0] and sources[0].axis.difference(matrix.places) is None:
            return sources
    names = _names(called, shape[0])
    return [ImageMap(image, number, own, matrix.places) for number, own in enumerate(names)]


def _check_lengths(name: str, matrix: Matrix, n_maps: int, n_places: int) -> None:
    """Compare the lengths of the matrix with those of its axes."""
    found = (matrix.n_maps, matrix.places.n_places)
    if found != (n_maps, n_places):
        raise ImageError(
            f"{name}: holds {counted(n_maps, 'map')} of {n_places} values, but its XML describes "
            f"{counted(found[0], 'map')} of {found[1]}; copy the file again from its source, or "
            "make it again"
        )


def _items(images: object, argument: str, at_least: int, family: Family) -> list[Any]:
    """Return the items of a list-like input."""
    pandas = sys.modules.get("pandas")
    is_series = pandas is not None and isinstance(images, pandas.Series)
    if is_series or (isinstance(images, np.ndarray) and images.ndim == 1):
        images = images.tolist()  # type: ignore[attr-defined]
    if not isinstance(images, list | tuple):
        raise ArgumentTypeError.about(
            argument,
            again(argument) + f" must be {family.wanted}, but is a {type(images).__name__}",
        )
    for place, item in enumerate(images, start=1):
        if not family.holds(item):
            found = in_quotes(item) if isinstance(item, str | os.PathLike) else type(item).__name__
            raise ArgumentTypeError.about(
                argument,
                "Elements of "
                + again(argument)
                + f" must be of the same type, but item 1 is {family.name}, and item {place} is "
                + found,
                "give files of one kind",
            )
    if len(images) < at_least:
        wanted = "at least two images" if at_least > 1 else "an image"
        raise ArgumentTypeError.about(
            argument,
            named(argument) + f" must hold {wanted}, but holds {len(images)}",
            "an image of several maps is given by itself, not in a list",
        )
    return list(images)


def _check_same_axes(sources: list[CiftiSource], argument: str) -> None:
    first = sources[0]
    for place, source in enumerate(sources, start=1):
        difference = source.difference(first)
        if difference is not None:
            called = f"image {place} of {argument}"
            if not source.name.startswith("image "):  # a file
                called = f"{source.name}: {called}"
            raise GridMismatchError(
                f"{called} is not on the axes of image 1 ({first.name}): {difference}; bring all "
                "to one set of places, as wb_command -cifti-create-dense-from-template does, or "
                "-cifti-parcellate with one atlas"
            )
