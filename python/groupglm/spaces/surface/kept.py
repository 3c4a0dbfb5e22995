# SPDX-License-Identifier: BSD-3-Clause
"""Images of surfaces that are read from their files once, although their values are used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.scratch import ScratchFile
from groupglm.spaces.surface.hemisphere_source import HemisphereSource

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from groupglm.spaces.surface.source import SurfaceSource

__all__ = ["read_once"]


def read_once(
    sources: Sequence[SurfaceSource], memory_budget: float
) -> tuple[list[SurfaceSource], int]:
    """Return sources that keep the values of their first reading, and the bytes of memory for it.

    If all values are larger than the budget, they are kept in a scratch file. An image in memory,
    or one that is computed when it is read, stays as it is.
    """
    from_files = [
        own for source in sources for own in source.members.values() if not own.nbytes_in_memory
    ]
    n_bytes = 8 * sum(own.n_vertices for own in from_files)
    longest = max((own.n_vertices for own in from_files), default=0)
    scratch = ScratchFile(len(from_files), 8 * longest) if n_bytes > memory_budget else None
    kept = {id(own): _Kept(own, scratch, place) for place, own in enumerate(from_files)}
    found = [
        replace(source, members={side: kept[id(own)] for side, own in source.members.items()})
        if all(id(own) in kept for own in source.members.values())
        else source
        for source in sources
    ]
    return found, n_bytes if scratch is None else 0


class _Kept(HemisphereSource):
    """A hemisphere whose values are kept when they are first read."""

    def __init__(self, source: HemisphereSource, scratch: ScratchFile | None, place: int) -> None:
        super().__init__(source.name, source.side, source.n_vertices, source.dtype)
        self.is_quantised = source.is_quantised
        self._source, self._scratch, self._place = source, scratch, place
        self._values: NDArray[Any] | None = None
        self._is_in_scratch = False

    @property
    def faces(self) -> NDArray[np.int32] | None:
        """The triangles of its mesh, if it has one of its own."""
        return self._source.faces

    def files(self) -> Sequence[str]:
        """Return the files of the hemisphere itself."""
        return self._source.files()

    def fingerprint(self) -> Hashable:
        """Identify the values as the hemisphere itself does."""
        return self._source.fingerprint()

    def read(self) -> NDArray[Any]:
        """Return the values, from the file only the first time."""
        if self._values is not None:
            return self._values
        if self._scratch is not None and self._is_in_scratch:
            values = np.empty(self.n_vertices, self.dtype)
            self._scratch.read(self._place, values)
            return values
        values = self._source.read().astype(self.dtype, copy=False)
        if self._scratch is None:
            self._values = values
        else:
            self._scratch.write(self._place, values)
            self._is_in_scratch = True
        return values
