# SPDX-License-Identifier: BSD-3-Clause
"""The values of one hemisphere, opened and not read yet: `HemisphereSource`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from groupglm.errors import ImageError, in_quotes

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["AbsentHemisphere", "HasVertices", "HemisphereSource"]


class HasVertices(Protocol):
    """What a source is compared with: another source, or a space."""

    @property
    def side(self) -> str: ...  # noqa: D102
    @property
    def n_vertices(self) -> int: ...  # noqa: D102
    @property
    def faces(self) -> NDArray[np.int32] | None: ...  # noqa: D102


class HemisphereSource(ABC):
    """One value for each vertex of a hemisphere, opened but not read.

    Parameters
    ----------
    name : str
        The file's name, or the image's place in the input; error messages begin with it.
    side : str
        "left" or "right".
    n_vertices : int
        Number of vertices of the mesh.
    stored : data-type
        The type of the values.
    """

    is_quantised = False
    is_readable = True
    saved_in: str | None = None
    nbytes_in_memory: float = 0.0

    def __init__(self, name: str, side: str, n_vertices: int, stored: np.dtype[Any]) -> None:
        self.name, self.side, self.n_vertices = name, side, n_vertices
        fits = np.can_cast(stored, np.float32, "safe")
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if fits else np.float64)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def faces(self) -> NDArray[np.int32] | None:
        """The triangles of the image's own mesh, shape (n_faces, 3), if it has one."""
        return None

    @abstractmethod
    def read(self) -> NDArray[Any]:
        """Return the values, shape (n_vertices,), not to be written to.

        Raises
        ------
        groupglm.errors.ImageError
            If they cannot be read.
        """

    def files(self) -> Sequence[str]:
        """Return the files that hold the values; none of an image in memory."""
        return ()

    def read_into(
        self, out: NDArray[np.float32] | NDArray[np.float64], vertices: NDArray[np.int64] | None
    ) -> None:
        """Put the values at some vertices, or at all, into a row, shape (n_values,)."""
        values = self.read()
        if len(values) != self.n_vertices:  # an object in memory may have changed
            raise ImageError(
                f"{self.name}: gives {len(values)} values, but was opened with {self.n_vertices} "
                "vertices; do not change images while they are read"
            )
        if vertices is None:
            out[...] = values
        elif values.dtype == out.dtype:
            # "raise" would make numpy gather into a buffer first; all vertices are of the mesh.
            np.take(values, vertices, out=out, mode="clip")
        else:
            out[...] = values.take(vertices, mode="clip")

    @property
    def extent(self) -> str:
        """The number of vertices, in words."""
        return f"{self.n_vertices} vertices of the {self.side} hemisphere"

    def fingerprint(self) -> Hashable:
        """Identify the values by the state of their files; None if there are none."""
        return self.file_state()

    def file_state(self) -> Hashable:
        """Return what changes when the files are written to; None if unknown."""
        try:
            return tuple(map(_file_state, self.files())) or None
        except OSError:
            return None  # reading the file will say what is wrong

    def difference(self, other: HasVertices) -> str | None:
        """Return how its mesh differs from that of another source or a space; None if not."""
        if self.side != other.side:
            return f"it is of the {self.side} hemisphere, not of the {other.side} one"
        if self.n_vertices != other.n_vertices:
            return f"it has {self.n_vertices} vertices, not {other.n_vertices}"
        if self.faces is None or other.faces is None or self.faces is other.faces:
            return None
        return None if np.array_equal(self.faces, other.faces) else "its mesh has other faces"

    def value_range(self) -> tuple[float, float]:
        """Read it, and return the least and the largest of its finite values and zero."""
        values = self.read()
        finite = values[np.isfinite(values)]
        return float(finite.min(initial=0)), float(finite.max(initial=0))


class AbsentHemisphere(HemisphereSource):
    """The values of a hemisphere that were fitted elsewhere: only the name is known.

    Parameters
    ----------
    name : str
        The name of the image.
    side, n_vertices
        Of the fit.
    saved_in : str
        The saved model that names the image.
    """

    is_readable = False

    def __init__(self, name: str, side: str, n_vertices: int, saved_in: str) -> None:
        super().__init__(name, side, n_vertices, np.dtype(np.float32))
        self.saved_in = saved_in

    def read(self) -> NDArray[Any]:
        """Refuse to: the values are not known."""
        raise ImageError(
            f"{self.name}: its values are not in {in_quotes(str(self.saved_in))}, which this model "
            "was loaded from; what reads the images again, such as residuals, needs a model that "
            "is fitted here"
        )


def _file_state(path: str) -> tuple[str, int, int]:
    status = os.stat(path)  # noqa: PTH116 (a Path for each of many files is slow)
    return (os.path.realpath(path), status.st_size, status.st_mtime_ns)
