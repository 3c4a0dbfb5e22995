# SPDX-License-Identifier: BSD-3-Clause
"""The facts that a map's file or its header in memory has about its values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from groupglm.errors import ImageError
from groupglm.runtime.xml_elements import Element, XmlError, parse_xml
from groupglm.spaces.cifti.brain_models import whole
from groupglm.spaces.cifti.header import read_header
from groupglm.spaces.cifti.images import statistic_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from groupglm.spaces.statistic import Statistic

__all__ = ["label_names", "said_by_map"]


def said_by_map(given: Any) -> tuple[Statistic | None, str | None]:
    """Return what a map's header says that its values are, and the name of the contrast."""
    if isinstance(given, str | os.PathLike):
        path = os.path.expanduser(os.fspath(given))  # noqa: PTH111
        header, xml = read_header(path)
        metadata, descrip = _metadata_of_xml(xml), header.descrip
    else:
        named_map = next(iter(given.header.get_index_map(0).named_maps), None)
        metadata = dict((named_map.metadata if named_map else None) or {})
        field = bytes(given.nifti_header["descrip"].item())
        descrip = field.decode("utf-8", errors="replace").strip("\0 ")
    return statistic_of(metadata, descrip), descrip.partition(" of contrast ")[2] or None


def label_names(given: Any) -> dict[int, str]:
    """Return the names of the labels of the first map; {} if it is none of labels."""
    if isinstance(given, str | os.PathLike):
        path = os.path.expanduser(os.fspath(given))  # noqa: PTH111
        _, xml = read_header(path)
        try:
            return _labels_of_xml(xml)
        except ValueError as error:  # of XML, or of a number
            raise ImageError(f"{path}: its table of labels is damaged: {error}") from error
    named_map = next(iter(given.header.get_index_map(0).named_maps), None)
    table = getattr(named_map, "label_table", None) or {}
    return {int(key): str(table[key].label or "") for key in table}


def _labels_of_xml(xml: bytes) -> dict[int, str]:
    """Return the names in the first table of labels."""
    root = parse_xml(xml, frozenset({"BrainModel", "Parcel", "MetaData"}))
    for table in _below(root, "Matrix", "MatrixIndicesMap", "NamedMap", "LabelTable"):
        return {
            whole(label.attributes.get("Key"), "the Key of a Label"): label.text.strip()
            for label in table.named("Label")
        }
    return {}


def _metadata_of_xml(xml: bytes) -> dict[str, str]:
    """Return the metadata of the first map."""
    try:
        root = parse_xml(xml, frozenset({"BrainModel", "Parcel", "LabelTable"}))
    except XmlError:
        return {}  # opening the map says what is wrong
    found: dict[str, str] = {}
    for metadata in _below(root, "Matrix", "MatrixIndicesMap", "NamedMap", "MetaData"):
        for pair in metadata.named("MD"):
            name, value = pair.first("Name"), pair.first("Value")
            if name is not None and value is not None:
                found.setdefault(name.text, value.text)
        break
    return found


def _below(element: Element, *names: str) -> Iterator[Element]:
    """Yield the elements at the end of a path of names."""
    if not names:
        yield element
        return
    for child in element.named(names[0]):
        yield from _below(child, *names[1:])
