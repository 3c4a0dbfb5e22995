# SPDX-License-Identifier: BSD-3-Clause
"""Images that are read from their files only once, although their values are used again."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime.scratch import ScratchFile
from groupglm.spaces.volume.reading.source import VolumeSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KeptVolume", "read_once"]


def read_once(sources: Sequence[VolumeSource], memory_budget: float) -> list[VolumeSource]:
    """Return sources of the same values, which keep the values of their first reading."""
    from_files = [source for source in sources if not _is_in_memory(source)]
    sizes = [source.grid.n_voxels * source.stored_dtype.itemsize for source in from_files]
    scratch = ScratchFile(len(sizes), max(sizes)) if sum(sizes) > memory_budget else None
    numbers = iter(range(len(sizes)))
    return [
        source if _is_in_memory(source) else KeptVolume(source, scratch, next(numbers))
        for source in sources
    ]


def _is_in_memory(source: VolumeSource) -> bool:
    return 0 < source.nbytes_in_memory < math.inf  # infinite: computed when it is read


class KeptVolume(VolumeSource):
    """An image whose stored values are kept when they are first read.

    Parameters
    ----------
    source : VolumeSource
        Reads them.
    scratch : ScratchFile or None
        Where they are kept; None for memory.
    number : int
        The image's record in the scratch file.
    """

    def __init__(self, source: VolumeSource, scratch: ScratchFile | None, number: int) -> None:
        super().__init__(
            name=source.name,
            grid=source.grid,
            stored=source.stored_dtype,
            slope=source._slope,
            inter=source._inter,
        )
        self._source = source
        self._scratch = scratch
        self._number = number
        self._kept: NDArray[Any] | None = None
        self._is_in_scratch = False

    @property
    def kept_bytes(self) -> int:
        """Bytes of memory that the values take once they have been read."""
        return 0 if self._scratch is not None else self.grid.n_voxels * self.stored_dtype.itemsize

    def _origin(self) -> Hashable:
        return self._source._origin()

    def _stored_values(self) -> NDArray[Any]:
        if self._kept is not None:
            return self._kept
        if self._scratch is not None and self._is_in_scratch:
            values = np.empty(self.grid.n_voxels, self.stored_dtype)
            self._scratch.read(self._number, values)
            return values
        values = self._source._stored_values()
        if self._scratch is None:
            self._kept = values
        else:
            self._scratch.write(self._number, values.astype(self.stored_dtype, copy=False))
            self._is_in_scratch = True
        return values
