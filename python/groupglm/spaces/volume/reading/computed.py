# SPDX-License-Identifier: BSD-3-Clause
"""A volume that another object computes when it is read: `ComputedVolume`."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import GridMismatchError
from groupglm.spaces.volume.reading.opening import open_image
from groupglm.spaces.volume.reading.source import VolumeSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["ComputedVolume"]

# The object that computes may not support calls from several threads at once.
_ONE_AT_A_TIME = threading.Lock()


class ComputedVolume(VolumeSource):
    """An image that exists only while it is read, so that many cost the memory of one.

    Parameters
    ----------
    name : str
        How messages call it.
    compute : callable
        Returns the image.
    grid : Grid, optional
        The grid that the image must be on. By default the image is computed now, and its grid
        taken; the first reading then uses that image.

    Raises
    ------
    groupglm.errors.ImageError
        If what is computed is not a 3-D image of real numbers.
    """

    def __init__(self, name: str, compute: Callable[[], object], grid: Grid | None = None) -> None:
        self._compute = compute
        self._ready: VolumeSource | None = None
        if grid is None:
            self._ready = open_image(compute(), name=name)
            grid = self._ready.grid
        # float64 holds the values of any type that the computed image may have.
        super().__init__(name=name, grid=grid, stored=np.dtype(np.float64), slope=1.0, inter=0.0)

    @property
    def nbytes_in_memory(self) -> float:
        """Infinite: the size is unknown, and the computing object would have to be sent too."""
        return math.inf

    def _stored_values(self) -> NDArray[Any]:
        with _ONE_AT_A_TIME:
            source, self._ready = self._ready, None
            if source is None:
                source = open_image(self._compute(), name=self.name)
        difference = source.grid.difference(self.grid)
        if difference is not None:
            raise GridMismatchError(
                f"{self.name}: the image is not on the grid of the first: {difference}; fit all "
                "first-level models on one grid"
            )
        values = np.empty(self.grid.n_voxels, dtype=np.float64)
        source.read_into(values)
        return values
