# SPDX-License-Identifier: BSD-3-Clause
"""Spheres around positions in mm, which are discs on surfaces: `Sphere`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.runtime.arguments import real_array, real_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["Sphere", "as_sphere", "is_sphere", "places_of_sphere"]


_FARTHEST = 1e6  # mm, a kilometre: squares of distances are far from overflow


@dataclass(frozen=True)
class Sphere:
    """The places within a distance of a position.

    Of volumes, these are the voxels whose centres are in the sphere, and the voxel that holds its
    centre. Of surfaces, they are the vertices of a disc: those within the distance, along the edges
    of the mesh, of the vertex that is nearest to the position.

    Parameters
    ----------
    center : tuple of 3 floats
        Position in mm.
    radius : float
        Distance in mm.

    Raises
    ------
    ValueError
        If a number is not finite or beyond a kilometre, or the radius not positive.

    Examples
    --------
    >>> Sphere((-45, -24, 48), 8)
    Sphere(center=(-45.0, -24.0, 48.0), radius=8.0)
    """

    center: tuple[float, float, float]
    radius: float

    def __post_init__(self) -> None:
        center = real_array("center", self.center)
        if center.shape != (3,) or not (np.abs(center) <= _FARTHEST).all():  # NaN too
            raise ArgumentError(
                "center", shown(self.center), "three finite numbers, a position in mm"
            )
        radius = real_number("radius", self.radius)
        if not 0 < radius <= _FARTHEST:
            raise ArgumentError(
                "radius", f"{radius:g}", f"positive and at most {_FARTHEST:g}, a distance in mm"
            )
        object.__setattr__(self, "center", tuple(map(float, center)))
        object.__setattr__(self, "radius", radius)

    @property
    def words(self) -> str:
        """The sphere in words: ``sphere of 8 mm at (-45, -24, 48) mm``."""
        x, y, z = self.center
        return f"sphere of {self.radius:g} mm at ({x:g}, {y:g}, {z:g}) mm"


def is_sphere(given: object) -> bool:
    """Return whether an object is a sphere, or the four numbers of one."""
    if isinstance(given, Sphere):
        return True
    return (
        isinstance(given, Sequence | np.ndarray)
        and not isinstance(given, str)
        and len(given) == 4
        and all(isinstance(value, int | float | np.number) for value in given)
    )


def as_sphere(given: Any, argument: str) -> Sphere:
    """Return a sphere, or that of four numbers: x, y, z and radius."""
    if isinstance(given, Sphere):
        return given
    if not is_sphere(given):
        raise ArgumentTypeError(
            argument, f"a {type(given).__name__}", "a Sphere, or its numbers x, y, z, radius in mm"
        )
    x, y, z, radius = given
    return Sphere((x, y, z), radius)


def places_of_sphere(sphere: Sphere, space: Space, argument: str, name: str) -> NDArray[np.intp]:
    """Return the places of a space in a sphere; ArgumentError if there are none."""
    places, distance = space.ball(sphere.center, sphere.radius)
    if len(places):
        return places
    one, _ = space.place_words
    if not np.isfinite(distance) or np.isnan(space.coordinates()).any():
        raise ArgumentError.about(
            argument,
            f"the {sphere.words} holds no {one} of {name} whose position in mm is known",
            "give surfaces if the data are of surfaces, or regions of another form",
        )
    raise ArgumentError.about(
        argument,
        f"the {sphere.words} holds no {one} of {name}: the nearest one is {distance:.1f} mm from "
        "its centre",
        "give a position inside the mask, or a larger radius",
    )
