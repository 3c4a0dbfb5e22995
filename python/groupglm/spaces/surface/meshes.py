# SPDX-License-Identifier: BSD-3-Clause
"""The meshes and areas that a user gives for the hemispheres of the data: `open_meshes`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, in_quotes
from groupglm.messages import argument
from groupglm.runtime.arguments import real_array
from groupglm.runtime.naming import counted
from groupglm.spaces.surface.mesh import warn_of_unreal_areas
from groupglm.spaces.surface.named import NAMES, is_name, standard_surface
from groupglm.spaces.surface.reading.metric_file import read_metric
from groupglm.spaces.surface.reading.opening import is_hemisphere_image
from groupglm.spaces.surface.reading.surface_file import OpenedMesh, open_mesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.surface.hemisphere import HemisphereSpace
    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["HemisphereMesh", "open_meshes", "refuse_after_smoothing"]

_SIDES = ("left", "right")
_RESAMPLE = (
    "give the surface of the data's mesh; maps on the surfaces of subjects must be resampled to "
    "fsaverage or fsLR first (mri_surf2surf, wb_command -metric-resample)"
)


@dataclass(frozen=True, eq=False)
class HemisphereMesh:
    """The mesh of a hemisphere and the areas of its vertices, as far as they are known.

    Parameters
    ----------
    mesh : Mesh or None
        The mesh.
    areas : array of float64, shape (n_vertices,), or None
        The area of each vertex in mm2: the one given, or else that on the mesh.
    """

    mesh: Mesh | None
    areas: NDArray[np.float64] | None

    def under(self, space: HemisphereSpace) -> HemisphereSpace:
        """Put the vertices of a space on this mesh; on their own one if only areas are known."""
        mesh = space.mesh if self.mesh is None else self.mesh
        return replace(space, mesh=mesh, areas=self.areas)


def refuse_after_smoothing(space: Space, geometry: Geometry) -> None:
    """Refuse other surfaces for values that were smoothed on those of the fit."""
    if space.preparation_options:
        name = "areas" if geometry.surfaces is None else "surfaces"
        raise ArgumentError.about(
            name,
            f"{argument(name)} would replace those on which the model's images were smoothed",
            "leave it out, or fit the model again on these",
        )


def open_meshes(
    geometry: Geometry, sides: Sequence[str], n_vertices: Mapping[str, int]
) -> dict[str, HemisphereMesh]:
    """Open the meshes and areas of the data's hemispheres.

    Parameters
    ----------
    geometry : Geometry
        What the user gave.
    sides : sequence of str
        The data's hemispheres, "left" or "right" or both.
    n_vertices : mapping of str to int
        Number of vertices of the data in each.

    Returns
    -------
    dict of str to HemisphereMesh
        Of each hemisphere.

    Raises
    ------
    groupglm.errors.ArgumentError
        If surfaces or areas are of other hemispheres or of another number of vertices.
    groupglm.errors.ImageError
        If a file cannot be read, or holds no surface.

    Warns
    -----
    UserWarning
        If areas are those of an inflated or spherical surface.
    """
    surfaces = _of_sides(geometry.surfaces, "surfaces", sides, n_vertices)
    given_areas = _of_sides(geometry.areas, "areas", sides, n_vertices)
    opened = {side: open_mesh(given, f"the {side} surface") for side, given in surfaces.items()}
    _check_sides(opened)
    found: dict[str, HemisphereMesh] = {}
    for side in sides:
        mesh = opened[side].mesh if side in opened else None
        if mesh is not None and mesh.n_vertices != n_vertices[side]:
            raise ArgumentError.about(
                "surfaces",
                f"{mesh.name}, the {side} surface, has {mesh.n_vertices:,} vertices, but the data "
                f"have {n_vertices[side]:,} there",
                _RESAMPLE,
            )
        areas = None if mesh is None else mesh.areas
        if side in given_areas:
            areas = _checked_areas(given_areas[side], side, n_vertices[side])
        found[side] = HemisphereMesh(mesh, areas)
    if not geometry.is_drawn_only:
        warn_of_unreal_areas([opened[side].mesh for side in opened if side not in given_areas])
    return found


def _of_sides(
    given: Any, name: str, sides: Sequence[str], n_vertices: Mapping[str, int]
) -> dict[str, Any]:
    """Return what was given for each hemisphere of the data; nothing if nothing was given."""
    if given is None:
        return {}
    if name == "surfaces" and is_name(given):
        return {side: standard_surface(given, side, n_vertices[side]) for side in sides}
    # The parts of a mesh, of data, or of the data of an image.
    parts = getattr(given, "parts", getattr(getattr(given, "data", None), "parts", given))
    if isinstance(parts, Mapping):
        return _of_mapping(parts, name, sides)
    items = list(given) if isinstance(given, list | tuple) else [given]
    if len(items) == 2:
        return {side: items[_SIDES.index(side)] for side in sides}
    if len(items) != 1:
        raise ArgumentError(
            name,
            f"a list of {len(items)} items",
            remedy="give two, (left, right), or one if the data have one hemisphere",
        )
    if len(sides) == 1:
        return {sides[0]: items[0]}
    names = f", or one of {' and '.join(map(repr, NAMES))}" if name == "surfaces" else ""
    raise ArgumentError.about(
        name,
        argument(name)
        + f" is one item ({_shown(items[0])}), but the data have the hemispheres left and right",
        f"give both, (left, right){names}",
    )


def _of_mapping(given: Mapping[Any, Any], name: str, sides: Sequence[str]) -> dict[str, Any]:
    """Return the items of a mapping for the hemispheres of the data."""
    unknown = [key for key in given if key not in _SIDES]
    absent = [side for side in sides if given.get(side) is None]
    if unknown or absent:
        keys = ", ".join(in_quotes(str(key)) for key in given) or "nothing"
        raise ArgumentError.about(
            name,
            argument(name) + f" holds {keys}, but the data have {' and '.join(sides)}",
            f"give {{{', '.join(f'{side!r}: ...' for side in sides)}}}",
        )
    return {side: given[side] for side in sides}


def _check_sides(opened: Mapping[str, OpenedMesh]) -> None:
    """Refuse a surface of one hemisphere that is given for the other."""
    wrong = {side: one for side, one in opened.items() if one.side not in (None, side)}
    if not wrong:
        return
    side, first = next(iter(wrong.items()))
    sides = {one.side for one in opened.values()}
    if len(opened) == 2 and len(sides) == 1:
        raise ArgumentError.about(
            "surfaces",
            f"both surfaces are of the {first.side} hemisphere "
            f"({', '.join(one.mesh.name for one in opened.values())})",
            "give one of each, (left, right)",
        )
    raise ArgumentError.about(
        "surfaces",
        f"{first.mesh.name} is of the {first.side} hemisphere, but was given for the {side} one",
        "give (left, right), in this order",
    )


def _checked_areas(given: Any, side: str, n_vertices: int) -> NDArray[np.float64]:
    """Return the areas of the vertices of a hemisphere, which cannot be written to."""
    called = f"the {side} item of areas"
    areas = np.array(_area_values(given, called), np.float64)
    if areas.shape != (n_vertices,):
        raise ArgumentError.about(
            "areas",
            f"{called} ({_shown(given)}) has {_shape_in_words(areas)}, but the data have "
            f"{n_vertices:,} vertices there",
            "give one area in mm2 for each vertex of the data's mesh",
        )
    bad = ~(np.isfinite(areas) & (areas >= 0))
    if bad.any() or not areas.any():
        vertex = int(np.argmax(bad))
        found = (
            f"{counted(int(bad.sum()), 'value')} that are no area (vertex {vertex}: "
            f"{areas[vertex]:g})"
            if bad.any()
            else "zero everywhere"
        )
        raise ArgumentError.about(
            "areas",
            f"{called} ({_shown(given)}) has {found}",
            "give areas in mm2, finite and not below zero",
        )
    areas.setflags(write=False)
    return areas


def _shape_in_words(areas: NDArray[np.float64]) -> str:
    if areas.ndim == 1:
        return counted(len(areas), "value")
    return f"the shape {areas.shape}"


def _area_values(given: Any, called: str) -> NDArray[Any]:
    """Return the values of a file of one map, or of an array; one column counts as none."""
    if isinstance(given, str | os.PathLike) or is_hemisphere_image(given):
        return read_metric(given, called)
    values = real_array("areas", given)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _shown(given: Any) -> str:
    """Name an item for a message."""
    if isinstance(given, str | os.PathLike):
        return in_quotes(os.fspath(given))
    return f"a {type(given).__name__}"
