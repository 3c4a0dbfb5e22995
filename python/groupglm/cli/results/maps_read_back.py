# SPDX-License-Identifier: BSD-3-Clause
"""The values of maps that a command has written, now or before: `values_of`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.spaces.geometry import NO_GEOMETRY, Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

    Values: TypeAlias = tuple[Source, Space, NDArray[np.float64]]

__all__ = ["values_of"]


def values_of(image: Any, geometry: Geometry = NO_GEOMETRY) -> Values:
    """Return the values of a map of this run, or read one of an earlier run.

    Returns `values` (n_values,).
    """
    from groupglm.errors import ImageError
    from groupglm.spaces.registry import kind_of

    try:
        source, space = kind_of(image).open_map(image, "a map", geometry)
        values = np.empty(space.n_values)
        space.read_stored(source, values)
    except ImageError as error:
        raise type(error)(
            f"{error} (a result of an earlier run: remove it to have it made again)"
        ) from error
    return source, space, values
