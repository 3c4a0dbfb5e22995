# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a command wrote before, read back: `values_of`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

__all__ = ["values_of"]


def values_of(path: Path) -> tuple[Source, Space, NDArray[np.float64]]:
    """Read a map of an earlier run.

    Parameters
    ----------
    path : pathlib.Path
        The map.

    Returns
    -------
    source : Source
        The map, opened.
    space : Space
        All places of the map.
    values : array of float64, shape (n_values,)
        As they are stored.

    Raises
    ------
    ImageError
        If it is gone or damaged; the message says how it is made again.
    """
    from groupglm.errors import ImageError
    from groupglm.spaces.registry import kind_of

    try:
        source, space = kind_of(path).open_map(path, str(path))
        values = np.empty(space.n_values)
        space.read_stored(source, values)
    except ImageError as error:
        raise ImageError(
            f"{error} (a result of an earlier run: remove it to have it made again)"
        ) from error
    return source, space, values
