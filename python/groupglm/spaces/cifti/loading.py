# SPDX-License-Identifier: BSD-3-Clause
"""Spaces of grayordinates, made of what a saved model holds: `load_space`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.array_archives import check_type
from groupglm.runtime.json_facts import check_entries, is_text, is_whole, list_of, none_or
from groupglm.spaces.cifti.axes import side_of
from groupglm.spaces.cifti.brain_models import GivenModel, GivenVolume, brain_axis
from groupglm.spaces.cifti.space import CiftiSpace
from groupglm.spaces.composite import load_composite
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.loading import load_hemisphere
from groupglm.spaces.volume.kind import load_space as load_volume
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_space"]

_FACTS = {"grid": none_or(list_of(is_whole, 3))}
_MODEL = {
    "structure": is_text, "first": is_whole, "count": is_whole, "n_vertices": none_or(is_whole),
}  # fmt: skip


def load_space(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CiftiSpace:
    """Make a space from what `CiftiSpace.stored` returned."""
    models, shape = facts["models"], facts.get("grid")
    check_entries({"grid": shape}, _FACTS, "space")
    indices = arrays["indices"]
    check_type("indices", indices, "int64", 1)
    volume = None
    if shape is not None:
        check_type("affine", arrays["affine"], "float64", 2)
        volume = GivenVolume(shape, arrays["affine"], -3)
    given = []
    for model in models:
        check_entries(model, _MODEL, "brain model of space")
        own = indices[model["first"] : model["first"] + model["count"]]
        is_surface = model["n_vertices"] is not None
        if not is_surface and shape is not None:
            own = np.stack(np.unravel_index(own, tuple(shape), order="F"), axis=-1)
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
