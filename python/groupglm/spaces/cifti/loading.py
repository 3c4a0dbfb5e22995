# SPDX-License-Identifier: BSD-3-Clause
"""Spaces of grayordinates and parcels, made of what a saved model holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.array_archives import check_type
from groupglm.runtime.json_facts import (
    Check,
    check_entries,
    is_flag,
    is_text,
    is_whole,
    list_of,
    none_or,
)
from groupglm.spaces.cifti.axes import side_of
from groupglm.spaces.cifti.brain_models import GivenModel, GivenVolume, brain_axis
from groupglm.spaces.cifti.parcel_axis import GivenParcel, parcel_axis
from groupglm.spaces.cifti.parcel_space import ParcelSpace
from groupglm.spaces.cifti.space import CiftiSpace
from groupglm.spaces.composite import load_composite
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.loading import load_hemisphere
from groupglm.spaces.volume.kind import load_space as load_volume
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_parcels", "load_space"]

_PARCELS: dict[str, Check] = {
    "regions": list_of(is_text, unique=True),
    "zero_is_missing": is_flag,
    "surfaces": lambda value: (
        isinstance(value, list)
        and all(isinstance(own, list) and len(own) == 2 for own in value)
        and all(is_text(name) and is_whole(n) for name, n in value)
    ),
}  # fmt: skip
_FACTS = {"grid": none_or(list_of(is_whole, 3))}
_MODEL = {
    "structure": is_text, "first": is_whole, "count": is_whole, "n_vertices": none_or(is_whole),
}  # fmt: skip


def load_space(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CiftiSpace:
    """Make a space from what `CiftiSpace.stored` returned."""
    models, volume, indices = facts["models"], _volume(facts, arrays), arrays["indices"]
    check_type("indices", indices, "int64", 1)
    given = []
    for model in models:
        check_entries(model, _MODEL, "brain model of space")
        own = indices[model["first"] : model["first"] + model["count"]]
        is_surface = model["n_vertices"] is not None
        if not is_surface and volume is not None:
            own = np.stack(np.unravel_index(own, tuple(volume.shape), order="F"), axis=-1)
        given.append(
            GivenModel(
                model["structure"],
                is_surface,
                model["first"],
                model["count"],
                model["n_vertices"] or 0,
                lambda own=own: own,  # type: ignore[misc]
            )
        )
    if sum(model["count"] for model in models) != len(indices):
        raise ValueError(f"its {len(indices)} indices are not those of its brain models")
    axis = brain_axis(given, volume)
    loaders = {HemisphereSpace.tag: _load_surface, VolumeSpace.tag: load_volume}
    loaded: dict[str, Any] = load_composite(facts, arrays, loaders)
    whole, members = CiftiSpace.whole(axis), {}
    for name, member in loaded.items():
        everywhere = whole.members.get(name)
        if everywhere is None or everywhere.tag != member.tag:
            raise ValueError(f"its member {name!r} is not one of its brain models")
        _check_member(name, member, everywhere)
        is_surface = isinstance(member, HemisphereSpace)
        members[name] = replace(member, side=side_of(name)) if is_surface else member
    return CiftiSpace(members, axis)


def _volume(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> GivenVolume | None:
    """Return the volume of the voxels; None if there is none."""
    shape = facts.get("grid")
    check_entries({"grid": shape}, _FACTS, "space")
    if shape is None:
        return None
    check_type("affine", arrays["affine"], "float64", 2)
    return GivenVolume(shape, arrays["affine"], -3)


def load_parcels(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ParcelSpace:
    """Make a space from what `ParcelSpace.stored` returned."""
    check_entries(facts, _PARCELS, "space")
    content, places, volume = arrays["content"], arrays["places"], _volume(facts, arrays)
    check_type("content", content, "int64", 2)
    check_type("places", places, "int64", 1)
    surfaces = [(name, n) for name, n in facts["surfaces"]]
    if content.shape[1] != 3 or not _are_numbers(content, len(facts["regions"]), len(surfaces)):
        raise ValueError("what its parcels are made of is not there")
    parcels = []
    for number, name in enumerate(facts["regions"]):
        own = content[content[:, 0] == number]
        vertices = [
            (structure, own[own[:, 1] == place, 2]) for place, (structure, _) in enumerate(surfaces)
        ]
        voxels = own[own[:, 1] < 0, 2]
        shape = (0, 0, 0) if volume is None else tuple(volume.shape)
        ijk = np.stack(np.unravel_index(voxels, shape, order="F"), axis=-1)
        parcels.append(GivenParcel(name, vertices, ijk))
    axis = parcel_axis(parcels, surfaces, volume)
    return ParcelSpace(axis.table, places, facts["zero_is_missing"], axis=axis)


def _are_numbers(content: NDArray[Any], n_parcels: int, n_surfaces: int) -> bool:
    """Return whether numbers of parcels and of structures are those of some."""
    low, high = content[:, :2].min(axis=0, initial=0), content[:, :2].max(axis=0, initial=-1)
    return bool((low >= [0, -1]).all() and (high < [n_parcels, n_surfaces]).all())


def _load_surface(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> HemisphereSpace:
    """Make a member of vertices, whose structure may have no side."""
    return load_hemisphere({**facts, "side": "left"}, arrays)


def _check_member(name: str, member: Any, everywhere: Any) -> None:
    """Refuse a member that has other places than the axis has."""
    is_voxels = member.tag == "volume"
    if is_voxels:
        difference = member.grid.difference(everywhere.grid)
        own, all_of_them = member.places(np.arange(member.n_values)), everywhere.indices
    else:
        same = member.n_vertices == everywhere.n_vertices
        difference = None if same else "it has other vertices"
        own, all_of_them = member.numbers(), everywhere.numbers()
    if difference is not None or not np.isin(own, all_of_them).all():
        raise ValueError(f"its member {name!r} is at other places than its brain models")
