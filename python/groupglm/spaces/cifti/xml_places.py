# SPDX-License-Identifier: BSD-3-Clause
"""The places of a CIFTI matrix, of the XML of a file: `places_of_element`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.errors import printable
from groupglm.spaces.cifti.brain_models import (
    GivenModel,
    GivenVolume,
    brain_axis,
    numbers,
    whole,
)
from groupglm.spaces.cifti.parcel_axis import GivenParcel, ParcelAxis, parcel_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.runtime.xml_elements import Element
    from groupglm.spaces.cifti.axes import BrainAxis

__all__ = ["places_of_element"]

# Attributes of an element in order, and texts of its children.
_Texts: TypeAlias = "tuple[tuple[tuple[str, str], ...], tuple[Any, ...]]"


def places_of_element(element: Element, kind: str) -> BrainAxis | ParcelAxis:
    """Return the axis that an element describes: of "BRAIN_MODELS" or "PARCELS".

    Files of one study mostly have equal texts, which are read as numbers only once.
    """
    if kind == "PARCELS":
        surfaces = tuple(_texts(child) for child in element.named("Surface"))
        parcels = tuple(_parcel_texts(child) for child in element.named("Parcel"))
        return _parcels_of_texts(_volume_texts(element), surfaces, parcels)
    models = tuple(
        _texts(model, "VertexIndices", "VoxelIndicesIJK") for model in element.named("BrainModel")
    )
    return _axis_of_texts(_volume_texts(element), models)


def _texts(element: Element, *children: str) -> _Texts:
    """Return an element's attributes, and the texts of its first children of some names."""
    found = (element.first(name) for name in children)
    texts = tuple(None if child is None else child.text for child in found)
    return tuple(sorted(element.attributes.items())), texts


def _parcel_texts(element: Element) -> _Texts:
    vertices = tuple(
        (child.attributes.get("BrainStructure", ""), child.text)
        for child in element.named("Vertices")
    )
    attributes, (voxels,) = _texts(element, "VoxelIndicesIJK")
    return attributes, (vertices, voxels)


def _volume_texts(element: Element) -> tuple[str | None, ...] | None:
    """Return the dimensions, the exponent and the affine of the volume; None if there is none."""
    volume = element.first("Volume")
    if volume is None:
        return None
    affine = volume.first("TransformationMatrixVoxelIndicesIJKtoXYZ")
    if affine is None:
        raise ValueError("its Volume has no affine (TransformationMatrixVoxelIndicesIJKtoXYZ)")
    dimensions = volume.attributes.get("VolumeDimensions", "")
    return dimensions, affine.attributes.get("MeterExponent"), affine.text


def _volume(texts: tuple[str | None, ...] | None) -> GivenVolume | None:
    if texts is None:
        return None
    dimensions, exponent, affine = texts
    shape = [whole(text, "VolumeDimensions") for text in (dimensions or "").split(",")]
    values = numbers(affine or "", "the affine of its volume", np.float64)
    return GivenVolume(shape, values, whole(exponent, "MeterExponent"))


@lru_cache(maxsize=4)
def _axis_of_texts(volume: tuple[str | None, ...] | None, models: tuple[_Texts, ...]) -> BrainAxis:
    return brain_axis(
        [_model(dict(attributes), *texts) for attributes, texts in models], _volume(volume)
    )


def _model(attributes: dict[str, str], vertices: str | None, voxels: str | None) -> GivenModel:
    structure = printable(attributes.get("BrainStructure", ""))
    kind = attributes.get("ModelType", "")
    if not structure:
        raise ValueError("it has a brain model without a BrainStructure")
    if kind not in ("CIFTI_MODEL_TYPE_SURFACE", "CIFTI_MODEL_TYPE_VOXELS"):
        raise ValueError(f"its brain model {structure} has the ModelType {printable(kind)[:40]!r}")
    is_surface = kind == "CIFTI_MODEL_TYPE_SURFACE"

    def indices() -> NDArray[np.int64] | None:
        if not is_surface:
            return None if voxels is None else _ijk(voxels, structure)
        return None if vertices is None else numbers(vertices, f"the vertices of {structure}")

    n_vertices = attributes.get("SurfaceNumberOfVertices")
    return GivenModel(
        structure,
        is_surface,
        whole(attributes.get("IndexOffset"), f"IndexOffset of {structure}"),
        whole(attributes.get("IndexCount"), f"IndexCount of {structure}"),
        whole(n_vertices, f"SurfaceNumberOfVertices of {structure}") if is_surface else 0,
        indices,
    )


def _ijk(text: str, name: str) -> NDArray[np.int64]:
    found = numbers(text, f"the voxels of {name}")
    if len(found) % 3:
        raise ValueError(f"the voxels of {name} are {len(found)} numbers, not three each")
    return found.reshape(-1, 3)


@lru_cache(maxsize=4)
def _parcels_of_texts(
    volume: tuple[str | None, ...] | None,
    surfaces: tuple[_Texts, ...],
    parcels: tuple[_Texts, ...],
) -> ParcelAxis:
    known = []
    for attributes, _ in surfaces:
        own = dict(attributes)
        structure = own.get("BrainStructure", "")
        n_vertices = whole(own.get("SurfaceNumberOfVertices"), "SurfaceNumberOfVertices")
        known.append((structure, n_vertices))
    given = []
    for attributes, (vertices, voxels) in parcels:
        name = dict(attributes).get("Name", "")
        called = f"parcel {printable(name)!r}"
        own_vertices = [
            (structure, numbers(text, f"the vertices of {called}")) for structure, text in vertices
        ]
        ijk = np.empty((0, 3), np.int64) if voxels is None else _ijk(voxels, called)
        given.append(GivenParcel(name, own_vertices, ijk))
    return parcel_axis(given, known, _volume(volume))
