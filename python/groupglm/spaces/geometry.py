# SPDX-License-Identifier: BSD-3-Clause
"""The surfaces on which the data lie, as a user gives them: `Geometry`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from groupglm.errors import ArgumentTypeError, warn_caller
from groupglm.messages import argument

__all__ = ["NO_GEOMETRY", "Geometry", "report_unused_geometry"]


_FORMS = (str, os.PathLike, list, tuple, Mapping, np.ndarray)
_MEMBERS = ("parts", "data", "coordinates", "darrays", "file_path")
"""What objects have that hold meshes or values of vertices, nibabel's and nilearn's too."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a user gave for the meshes of the data; a kind of data with meshes opens it.

    Parameters
    ----------
    surfaces : optional
        A pair or a mapping of surface files, one of them, an object with the parts of a mesh, or
        the name of a standard mesh.
    areas : optional
        The area of each vertex, given as files or arrays in the same forms.
    is_drawn_only : bool, default=False
        Whether the surfaces are for a picture, where inflated ones show more and no area counts.
    """

    surfaces: Any = None
    areas: Any = None
    is_drawn_only: bool = False

    def __post_init__(self) -> None:
        for name, wanted in (("surfaces", "surface files"), ("areas", "files or arrays of areas")):
            given = getattr(self, name)
            if (
                given is None
                or isinstance(given, _FORMS)
                or any(hasattr(given, member) for member in _MEMBERS)
            ):
                continue
            raise ArgumentTypeError(
                name, f"a {type(given).__name__}", f"a pair (left, right) of {wanted}, or None"
            )

    @property
    def given(self) -> bool:
        """Whether the user gave anything."""
        return self.surfaces is not None or self.areas is not None


NO_GEOMETRY = Geometry()
"""Where the user gave nothing."""


def report_unused_geometry(geometry: Geometry, places: str) -> None:
    """Warn of surfaces that were given for data without meshes, whose places are so called."""
    for name in ("surfaces", "areas"):
        if getattr(geometry, name) is not None:
            warn_caller(argument(name) + f" has no effect on {places}; leave it out")
