# SPDX-License-Identifier: BSD-3-Clause
"""An image whose values were fitted elsewhere and cannot be read here: `AbsentVolume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError, in_quotes
from groupglm.spaces.volume.reading.source import VolumeSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid

__all__ = ["AbsentVolume"]


class AbsentVolume(VolumeSource):
    """An image whose name is known, but not its values.

    Parameters
    ----------
    name : str
        The name of the image.
    grid : Grid
        The grid of the fit.
    saved_in : str
        The saved model that names the image.
    """

    def __init__(self, name: str, grid: Grid, saved_in: str) -> None:
        super().__init__(name=name, grid=grid, stored=np.dtype(np.float32), slope=1.0, inter=0.0)
        self._saved_in = saved_in

    @property
    def is_readable(self) -> bool:
        """False: only the name is known."""
        return False

    @property
    def saved_in(self) -> str | None:
        """The saved model that names the image."""
        return self._saved_in

    def _stored_values(self) -> NDArray[Any]:
        raise ImageError(
            f"{self.name}: its values are not in {in_quotes(self._saved_in)}, which this model "
            "was loaded "
            "from; what reads the images again, such as residuals, needs a model that is fitted "
            "here"
        )
