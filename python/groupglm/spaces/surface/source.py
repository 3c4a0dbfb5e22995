# SPDX-License-Identifier: BSD-3-Clause
"""An image of one hemisphere or of both, opened and not read yet: `SurfaceSource`."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import GridMismatchError
from groupglm.spaces.composite_source import CompositeSource
from groupglm.spaces.surface.hemisphere_source import HemisphereSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.surface.form import Form

__all__ = ["ComputedSurface", "SurfaceSource"]

# The object that computes may not support calls from several threads at once.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, eq=False)
class SurfaceSource(CompositeSource):
    """The values of one hemisphere, or of both.

    Parameters
    ----------
    name : str
        What messages call it.
    members : mapping of str to HemisphereSource
        By "left" and "right".
    form : Form
        What images of results are.
    """

    members: Mapping[str, HemisphereSource]
    form: Form

    def difference(self, other: Any) -> str | None:
        """Say which hemisphere is of another mesh than in another source, or a space, and how."""
        theirs: Mapping[str, Any] = getattr(other, "hemispheres", None) or other.members
        if set(self.members) != set(theirs):
            return f"it has the {_sides(self.members)}, not the {_sides(theirs)}"
        for side, source in self.members.items():
            difference = source.difference(theirs[side])
            if difference is not None:
                return f"{side} hemisphere: {difference}"
        return None

    def opened(self) -> SurfaceSource:
        """Return what one reading reads: here the source itself."""
        return self


class _ToBeComputed(HemisphereSource):
    """A hemisphere of an image that does not exist yet."""

    nbytes_in_memory = math.inf

    def __init__(self, name: str, side: str, n_vertices: int, owner: ComputedSurface) -> None:
        super().__init__(name, side, n_vertices, np.dtype(np.float64))
        self._owner = owner

    def read(self) -> NDArray[Any]:
        """Compute the image, of which this is a part."""
        return self._owner.opened().members[self.side].read()


class ComputedSurface(SurfaceSource):
    """An image that exists only while it is read, so that many cost the memory of one.

    Parameters
    ----------
    name : str
        How messages call it.
    compute : callable
        Returns the image.
    like : SurfaceSource
        An image of the same hemispheres and vertices.
    open_one : callable
        Opens an image that was computed.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[], object],
        like: SurfaceSource,
        open_one: Callable[[object, str], SurfaceSource],
    ) -> None:
        members = {
            side: _ToBeComputed(f"{name}, {side}", side, own.n_vertices, self)
            for side, own in like.members.items()
        }
        super().__init__(name, members, like.form)
        self.__dict__.update(_compute=compute, _like=like, _open_one=open_one)

    def opened(self) -> SurfaceSource:
        """Compute the image, and return it opened.

        Raises
        ------
        groupglm.errors.ImageError
            If what is computed is no image of surfaces.
        groupglm.errors.GridMismatchError
            If it is on another mesh than the first.
        """
        own: Any = self
        with _ONE_AT_A_TIME:
            source: SurfaceSource = own._open_one(own._compute(), self.name)
        difference = source.difference(own._like)
        if difference is not None:
            raise GridMismatchError(
                f"{self.name}: the image is not on the mesh of the first: {difference}; fit all "
                "first-level models on one mesh"
            )
        return source


def _sides(members: Mapping[str, Any]) -> str:
    found = " and ".join(members)
    return f"{found} hemisphere{'s' if len(members) > 1 else ''}"
