# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a command wrote before, read back: `values_of`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["values_of"]


def values_of(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a map of an earlier run.

    Parameters
    ----------
    path : pathlib.Path
        The map.

    Returns
    -------
    values : array, shape of the grid
        As they are stored.
    affine : array, shape (4, 4)
        Of the grid.

    Raises
    ------
    ImageError
        If it is gone or damaged; the message says how it is made again.
    """
    from groupglm.errors import ImageError
    from groupglm.spaces.volume import open_image

    try:
        source = open_image(path)
        values = np.empty(source.grid.n_voxels)
        source.read_into(values)
    except ImageError as error:
        raise ImageError(
            f"{error} (a result of an earlier run: remove it to have it made again)"
        ) from error
    return values.reshape(source.grid.shape, order="F"), source.grid.affine
