# SPDX-License-Identifier: BSD-3-Clause
"""The two axes of a CIFTI matrix, of a file's XML or of a nibabel image: `Matrix`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError, printable
from groupglm.runtime.xml_elements import Element, XmlError, parse_xml
from groupglm.spaces.cifti.brain_models import (
    GivenModel,
    GivenVolume,
    brain_axis,
    numbers,
    whole,
)

if TYPE_CHECKING:
    from groupglm.spaces.cifti.axes import BrainAxis

__all__ = ["Matrix", "MatrixReader", "matrix_of_image"]

_SKIPPED = frozenset({"MetaData", "LabelTable"})
_INDEX = "CIFTI_INDEX_TYPE_"
_OF_MAPS = ("SCALARS", "SERIES")
_REFUSED = {
    "LABELS": (
        "holds labels of regions (as a dlabel file does), which are no measured values; give the "
        "scalars of each subject (.dscalar.nii)"
    ),
    "BRAIN_MODELS": (
        "holds connections between grayordinates (as a dconn file does), and a model needs one "
        "value a place; give maps of one value a grayordinate (.dscalar.nii)"
    ),
    "PARCELS": (
        "holds connections of parcels (as a pconn file does), and a model needs one value a "
        "place; give maps of one value a parcel (.pscalar.nii)"
    ),
}
_COPY = "copy the file again from its source, or make it again"


@dataclass(frozen=True, eq=False)
class Matrix:
    """The axes of a matrix of maps and places.

    Attributes
    ----------
    n_maps : int or None
        How many maps the axes declare.
    map_names : tuple of str
        Their names; empty of a series.
    places : BrainAxis
        Where the values lie.
    """

    n_maps: int
    map_names: tuple[str, ...]
    places: BrainAxis


class MatrixReader:
    """Parses the XML of files; of many files of the same XML, or the same axes, only the first."""

    def __init__(self) -> None:
        self._xml: bytes | None = None
        self._matrix: Matrix | None = None

    def read(self, xml: bytes, name: str) -> Matrix:
        """Return the axes of a file called `name`; ImageError says what is wrong with its XML."""
        if self._matrix is None or xml != self._xml:
            self._matrix = _named(name, lambda: _matrix_of_xml(xml))
            self._xml = xml
        return self._matrix


def _named(name: str, parse: Callable[[], Matrix]) -> Matrix:
    """Begin the message of an error with the file's name."""
    try:
        return parse()
    except _Refused as error:
        raise ImageError(f"{name}: {error}") from None
    except XmlError as error:
        raise ImageError(f"{name}: its XML cannot be parsed: {error}; {_COPY}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise ImageError(f"{name}: {error}; {_COPY}") from error


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """A matrix of another kind, sound in itself."""


def _matrix_of_xml(xml: bytes) -> Matrix:
    root = parse_xml(xml, _SKIPPED)
    version = root.attributes.get("Version", "")
    if root.name != "CIFTI" or not version.startswith("2"):
        if root.name == "CIFTI" and version.startswith("1"):
            raise _Refused(
                "is a CIFTI-1 file; convert it by wb_command -file-convert "
                "-cifti-version-convert FILE 2 NEW_FILE"
            )
        raise XmlError(f"its root is {printable(root.name)[:40]!r}, not CIFTI of version 2")
    matrix = root.first("Matrix")
    if matrix is None:
        raise XmlError("it has no Matrix")
    by_dimension: dict[int, Element] = {}
    for element in matrix.named("MatrixIndicesMap"):
        dimensions = element.attributes.get("AppliesToMatrixDimension", "").split(",")
        for text in dimensions:
            dimension = whole(text, "AppliesToMatrixDimension")
            if dimension in by_dimension:
                raise XmlError(f"it has two MatrixIndicesMap for dimension {dimension}")
            by_dimension[dimension] = element
    kinds = {dimension: _kind_of(element) for dimension, element in by_dimension.items()}
    _check_kinds(kinds)
    maps = by_dimension[0]
    if kinds[0] == "SERIES":
        names: tuple[str, ...] = ()
        n_maps = _whole_of(maps, "NumberOfSeriesPoints")
    else:
        names = tuple(_map_name(element) for element in maps.named("NamedMap"))
        n_maps = len(names)
    return Matrix(n_maps, names, _places(by_dimension[1]))


def _check_kinds(kinds: dict[int, str]) -> None:
    """Refuse a matrix that is not one of maps, along the first dimension, and brain models."""
    if sorted(kinds) != [0, 1]:
        raise XmlError(f"it describes the dimensions {sorted(kinds)} of the matrix, not 0 and 1")
    if kinds[1] == "BRAIN_MODELS" and kinds[0] in _OF_MAPS:
        return
    if "LABELS" in kinds.values():
        raise _Refused(_REFUSED["LABELS"])
    if kinds[0] in _REFUSED:
        raise _Refused(_REFUSED[kinds[0]])
    raise _Refused(
        f"has {kinds[0]} along the first dimension of its matrix and {kinds[1]} along the second, "
        "not maps and places; give .dscalar.nii files"
    )


def _kind_of(element: Element) -> str:
    kind = element.attributes.get("IndicesMapToDataType", "")
    return printable(kind.removeprefix(_INDEX))[:40]


def _map_name(element: Element) -> str:
    name = element.first("MapName")
    return "" if name is None else name.text


def _whole_of(element: Element, name: str) -> int:
    return whole(element.attributes.get(name), name)


def _places(element: Element) -> BrainAxis:
    """Return the axis of an element; files of one study mostly have the same."""
    volume = element.first("Volume")
    affine = None if volume is None else volume.first("TransformationMatrixVoxelIndicesIJKtoXYZ")
    models = []
    for model in element.named("BrainModel"):
        lists = [(name, model.first(name)) for name in ("VertexIndices", "VoxelIndicesIJK")]
        texts = tuple(None if child is None else child.text for _, child in lists)
        models.append((tuple(sorted(model.attributes.items())), texts))
    return _axis_of_texts(
        None if volume is None else volume.attributes.get("VolumeDimensions", ""),
        None if affine is None else affine.attributes.get("MeterExponent"),
        None if affine is None else affine.text,
        tuple(models),
    )


@lru_cache(maxsize=4)
def _axis_of_texts(
    dimensions: str | None, exponent: str | None, affine: str | None, models: tuple[Any, ...]
) -> BrainAxis:
    """Make an axis of the texts in the XML: comparing them is faster than reading numbers."""
    volume = None
    if dimensions is not None:
        if affine is None:
            raise ValueError("its Volume has no affine (TransformationMatrixVoxelIndicesIJKtoXYZ)")
        shape = [whole(text, "VolumeDimensions") for text in dimensions.split(",")]
        values = numbers(affine, "the affine of its volume", np.float64)
        volume = GivenVolume(shape, values, whole(exponent, "MeterExponent"))
    return brain_axis([_given(dict(attributes), *texts) for attributes, texts in models], volume)


def _given(attributes: dict[str, str], vertices: str | None, voxels: str | None) -> GivenModel:
    structure = attributes.get("BrainStructure", "")
    kind = attributes.get("ModelType", "")
    if not structure:
        raise ValueError("it has a brain model without a BrainStructure")
    if kind not in ("CIFTI_MODEL_TYPE_SURFACE", "CIFTI_MODEL_TYPE_VOXELS"):
        raise ValueError(f"its brain model {structure} has the ModelType {printable(kind)[:40]!r}")
    is_surface = kind == "CIFTI_MODEL_TYPE_SURFACE"

    def indices() -> Any:
        if is_surface:
            return None if vertices is None else numbers(vertices, f"the vertices of {structure}")
        if voxels is None:
            return None
        found = numbers(voxels, f"the voxels of {structure}")
        if len(found) % 3:
            raise ValueError(f"the voxels of {structure} are {len(found)} numbers, not three each")
        return found.reshape(-1, 3)

    n_vertices = attributes.get("SurfaceNumberOfVertices")
    return GivenModel(
        printable(structure),
        is_surface,
        whole(attributes.get("IndexOffset"), f"IndexOffset of {structure}"),
        whole(attributes.get("IndexCount"), f"IndexCount of {structure}"),
        whole(n_vertices, f"SurfaceNumberOfVertices of {structure}") if is_surface else 0,
        indices,
    )


def matrix_of_image(image: Any, name: str) -> Matrix:
    """Return the axes of a nibabel image, without writing its header as XML."""
    return _named(name, lambda: _matrix_of_header(image.header.matrix))


def _matrix_of_header(matrix: Any) -> Matrix:
    maps = {int(d): one for one in matrix for d in one.applies_to_matrix_dimension}
    kinds = {
        dimension: str(one.indices_map_to_data_type).removeprefix(_INDEX)
        for dimension, one in maps.items()
    }
    _check_kinds(kinds)
    if kinds[0] == "SERIES":
        names: tuple[str, ...] = ()
        n_maps = int(maps[0].number_of_series_points)
    else:
        names = tuple(str(one.map_name or "") for one in maps[0].named_maps)
        n_maps = len(names)
    given = [
        GivenModel(
            str(one.brain_structure),
            one.model_type == "CIFTI_MODEL_TYPE_SURFACE",
            int(one.index_offset),
            int(one.index_count),
            int(one.surface_number_of_vertices or 0),
            lambda one=one: _listed(one),  # type: ignore[misc]
        )
        for one in maps[1].brain_models
    ]
    volume = maps[1].volume
    if volume is not None:
        affine = volume.transformation_matrix_voxel_indices_ijk_to_xyz
        volume = GivenVolume(
            tuple(volume.volume_dimensions), np.asarray(affine.matrix), int(affine.meter_exponent)
        )
    return Matrix(n_maps, names, brain_axis(given, volume))


def _listed(model: Any) -> Any:
    """Return the vertices or voxels that a nibabel brain model lists."""
    if model.model_type == "CIFTI_MODEL_TYPE_SURFACE":
        vertices = model.vertex_indices
        return None if vertices is None else np.array(vertices[:], np.int64)
    voxels = model.voxel_indices_ijk
    return None if voxels is None else np.array(list(voxels), np.int64).reshape(-1, 3)
