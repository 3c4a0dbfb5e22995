# SPDX-License-Identifier: BSD-3-Clause
"""The surfaces on which the data lie, as a user gives them: `Geometry`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groupglm.errors import warn_caller
from groupglm.messages import argument

__all__ = ["NO_GEOMETRY", "Geometry", "report_unused_geometry"]


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
    """

    surfaces: Any = None
    areas: Any = None

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
