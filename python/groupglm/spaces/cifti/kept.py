# SPDX-License-Identifier: BSD-3-Clause
"""Maps that are read from their files only once, although their values are used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.scratch import ScratchFile
from groupglm.spaces.cifti.source import CiftiSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["read_once"]


def read_once(
    sources: Sequence[CiftiSource], memory_budget: float
) -> tuple[list[CiftiSource], int]:
    """Return sources that keep the values of their first reading, and the bytes of memory for it.

    If all values are larger than the budget, they are kept in a scratch file.
    """
    from_files = [source for source in sources if not source.nbytes_in_memory]
    n_bytes = 8 * sum(source.axis.n_places for source in from_files)
    n_places = max((source.axis.n_places for source in from_files), default=0)
    in_memory = n_bytes <= memory_budget
    scratch = None if in_memory else ScratchFile(len(from_files), 8 * n_places)
    numbers = {id(source): number for number, source in enumerate(from_files)}
    kept = [
        _KeptMap(source, scratch, numbers[id(source)]) if id(source) in numbers else source
        for source in sources
    ]
    return kept, n_bytes if in_memory else 0


class _KeptMap(CiftiSource):
    """A map whose values are kept when they are first read."""

    def __init__(self, source: CiftiSource, scratch: ScratchFile | None, number: int) -> None:
        super().__init__(source.name, source.axis, source.dtype)
        self.is_quantised = source.is_quantised
        self._source, self._scratch, self._number = source, scratch, number
        self._kept: NDArray[Any] | None = None
        self._is_in_scratch = False

    def files(self) -> list[str]:
        """Return the files of the map itself."""
        return self._source.files()

    def fingerprint(self) -> Hashable:
        """Identify the values as the map itself does."""
        return self._source.fingerprint()

    def _stored_values(self) -> NDArray[Any]:
        if self._kept is not None:
            return self._kept
        if self._scratch is not None and self._is_in_scratch:
            values = np.empty(self.axis.n_places, self.dtype)
            self._scratch.read(self._number, values)
            return values
        values = self._source.read().astype(self.dtype, copy=False)
        if self._scratch is None:
            self._kept = values
        else:
            self._scratch.write(self._number, values)
            self._is_in_scratch = True
        return values
