# SPDX-License-Identifier: BSD-3-Clause
"""The two axes of a CIFTI matrix, of a file's XML or of a nibabel image: `Matrix`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.errors import ImageError, printable
from groupglm.runtime.xml_elements import Element, XmlError, parse_xml
from groupglm.spaces.cifti.brain_models import whole
from groupglm.spaces.cifti.nibabel_places import places_of_mapping
from groupglm.spaces.cifti.xml_places import places_of_element

if TYPE_CHECKING:
    from groupglm.spaces.cifti.source import Axis

__all__ = ["Matrix", "MatrixReader", "matrix_of_image"]

_SKIPPED = frozenset({"MetaData", "LabelTable"})
_INDEX = "CIFTI_INDEX_TYPE_"
_OF_MAPS = ("SCALARS", "SERIES")
_OF_PLACES = {"BRAIN_MODELS": ".dscalar.nii", "PARCELS": ".pscalar.nii"}
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
    n_maps : int
        How many maps the axes declare.
    places : Axis
        Where the values lie.
    """

    n_maps: int
    places: Axis


class MatrixReader:
    """Parses the XML of files; of many files of the same XML, or the same axes, only the first.

    Parameters
    ----------
    kind : {"BRAIN_MODELS", "PARCELS"}
        What the places must be.
    labels : bool, default=False
        Whether the maps may be of labels.
    """

    def __init__(self, kind: str, *, labels: bool = False) -> None:
        self.kind, self.labels = kind, labels
        self._xml: bytes | None = None
        self._matrix: Matrix | None = None

    def read(self, xml: bytes, name: str) -> Matrix:
        """Return the axes of a file called `name`; ImageError says what is wrong with its XML."""
        if self._matrix is None or xml != self._xml:
            self._matrix = _named(name, lambda: _matrix_of_xml(xml, self.kind, self.labels))
            self._xml = xml
        return self._matrix


def matrix_of_image(image: Any, name: str, kind: str, *, labels: bool = False) -> Matrix:
    """Return the axes of a nibabel image, without writing its header as XML."""
    return _named(name, lambda: _matrix_of_header(image.header.matrix, kind, labels))


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


def _matrix_of_xml(xml: bytes, kind: str, labels: bool) -> Matrix:
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
        for text in element.attributes.get("AppliesToMatrixDimension", "").split(","):
            dimension = whole(text, "AppliesToMatrixDimension")
            if dimension in by_dimension:
                raise XmlError(f"it has two MatrixIndicesMap for dimension {dimension}")
            by_dimension[dimension] = element
    kinds = {dimension: _kind_of(element) for dimension, element in by_dimension.items()}
    _check_kinds(kinds, kind, labels)
    maps = by_dimension[0]
    if kinds[0] == "SERIES":
        n_maps = whole(maps.attributes.get("NumberOfSeriesPoints"), "NumberOfSeriesPoints")
    else:
        n_maps = sum(1 for _ in maps.named("NamedMap"))
    return Matrix(n_maps, places_of_element(by_dimension[1], kind))


def _matrix_of_header(matrix: Any, kind: str, labels: bool) -> Matrix:
    maps = {int(d): one for one in matrix for d in one.applies_to_matrix_dimension}
    kinds = {
        dimension: str(one.indices_map_to_data_type).removeprefix(_INDEX)
        for dimension, one in maps.items()
    }
    _check_kinds(kinds, kind, labels)
    if kinds[0] == "SERIES":
        n_maps = int(maps[0].number_of_series_points)
    else:
        n_maps = sum(1 for _ in maps[0].named_maps)
    return Matrix(n_maps, places_of_mapping(maps[1], kind))


def _kind_of(element: Element) -> str:
    kind = element.attributes.get("IndicesMapToDataType", "")
    return printable(kind.removeprefix(_INDEX))[:40]


def _check_kinds(kinds: Mapping[int, str], wanted: str, labels: bool) -> None:
    """Refuse a matrix that is not one of maps, along the first dimension, and of the places."""
    if sorted(kinds) != [0, 1]:
        raise XmlError(f"it describes the dimensions {sorted(kinds)} of the matrix, not 0 and 1")
    if kinds[1] == wanted and kinds[0] in (*_OF_MAPS, *(("LABELS",) if labels else ())):
        return
    if "LABELS" in kinds.values():
        raise _Refused(_REFUSED["LABELS"])
    if kinds[0] in _REFUSED:
        raise _Refused(_REFUSED[kinds[0]])
    if kinds[0] in _OF_MAPS and kinds[1] in _OF_PLACES:
        raise _Refused(
            f"holds maps of {kinds[1]}, not of {wanted}; give it a name that ends in "
            f"{_OF_PLACES[kinds[1]]}, and give files of one kind"
        )
    raise _Refused(
        f"has {kinds[0]} along the first dimension of its matrix and {kinds[1]} along the second, "
        f"not maps and places; give {_OF_PLACES[wanted]} files"
    )
