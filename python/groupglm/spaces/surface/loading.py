# SPDX-License-Identifier: BSD-3-Clause
"""Spaces of surfaces, made of what a saved model holds: `load_space`, `load_hemisphere`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.array_archives import check_type
from groupglm.runtime.json_facts import (
    Check,
    check_entries,
    is_flag,
    is_number,
    is_text,
    is_whole,
    none_or,
)
from groupglm.spaces.composite import load_composite
from groupglm.spaces.surface.form import Form
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.preparation import Preparation
from groupglm.spaces.surface.reading.pairing import SIDES
from groupglm.spaces.surface.space import SurfaceSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_hemisphere", "load_space"]


def _is_preparation(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"zero_is_missing", "fill", "smoothing_fwhm"}
        and is_flag(value["zero_is_missing"])
        and none_or(is_number)(value["fill"])
        and is_number(value["smoothing_fwhm"])
        and 0 <= value["smoothing_fwhm"] < math.inf
    )


_HEMISPHERE: dict[str, Check] = {
    "side": lambda value: value in SIDES,
    "n_vertices": lambda value: is_whole(value) and 0 < value <= 2**31,
    "preparation": none_or(_is_preparation),
    "mesh": none_or(is_text),
    "mesh_is": is_text,
    "has_mask": is_flag,
    "has_areas": is_flag,
}
_FACTS: dict[str, Check] = {
    "form": lambda value: value in ("gifti", "mgh"),
    "is_pair": is_flag,
    "hemispheres": lambda value: (
        isinstance(value, dict)
        and set(value) <= set(SIDES)
        and all(is_whole(n) and 0 < n <= 2**31 for n in value.values())
    ),
}


def load_space(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SurfaceSpace:
    """Make a space from what `SurfaceSpace.stored` returned."""
    check_entries(facts, _FACTS, "space")
    members: dict[str, Any] = load_composite(facts, arrays, {HemisphereSpace.tag: load_hemisphere})
    for side, space in members.items():
        if not isinstance(space, HemisphereSpace) or space.side != side:
            raise ValueError(f"its member {side!r} is no such hemisphere")
        if facts["hemispheres"].get(side) != space.n_vertices:
            raise ValueError(f"its {side} hemisphere has another number of vertices than its mesh")
    whole = {
        side: replace(members[side], vertices=None)
        if side in members
        else HemisphereSpace(side, n_vertices)
        for side, n_vertices in facts["hemispheres"].items()
    }
    return SurfaceSpace(members, Form(facts["form"], facts["is_pair"]), whole)


def load_hemisphere(
    facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> HemisphereSpace:
    """Make a space from what `HemisphereSpace.stored` returned."""
    from groupglm.spaces.surface.mesh import Mesh

    check_entries({"mesh_is": "", **facts}, _HEMISPHERE, "space")
    n_vertices = facts["n_vertices"]
    vertices, mesh, areas = None, None, None
    if facts["has_mask"]:
        vertices = arrays["vertices"]
        check_type("vertices", vertices, "int64", 1)
    if facts["mesh"] is not None:
        check_type("coordinates", arrays["coordinates"], "float64", 2)
        check_type("faces", arrays["faces"], "int32", 2)
        declared = facts.get("mesh_is", "")  # models of earlier versions do not tell
        mesh = Mesh(facts["mesh"], arrays["coordinates"], arrays["faces"], declared)
        if mesh.n_vertices != n_vertices:
            raise ValueError(f"its mesh has {mesh.n_vertices} vertices, not {n_vertices}")
    if facts["has_areas"]:
        areas = arrays["areas"]
        check_type("areas", areas, "float64", 1)
        if len(areas) != n_vertices or not (np.isfinite(areas) & (areas >= 0)).all():
            raise ValueError("its areas do not fit its vertices")
    own = facts["preparation"]
    preparation = None if own is None else Preparation(**own)
    space = HemisphereSpace(facts["side"], n_vertices, vertices, mesh, areas, preparation)
    if preparation is not None and preparation.smoothing_fwhm and mesh is None:
        raise ValueError("it smooths without a mesh")
    return space
