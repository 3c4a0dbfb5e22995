# SPDX-License-Identifier: BSD-3-Clause
"""The order in which users see the values of a row, which may differ from that of a space.

Users mix our rows with those of other packages: there, the values of a volume are ``image[mask]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["fill_public", "from_public", "to_public"]


def to_public(space: Space, values: NDArray[Any]) -> NDArray[Any]:
    """Return values of a space's places, along the last axis, in the order that users see."""
    order = space.public_order
    return values if order is None else values[..., order]


def from_public(space: Space, values: NDArray[Any]) -> NDArray[Any]:
    """Return values that a user gave, along the last axis, in the order of the space's places."""
    order = space.public_order
    if order is None:
        return values
    own = np.empty_like(values)
    own[..., order] = values
    return own


def fill_public(space: Space, rows: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy rows into others, which may be the same, in the order that users see.

    Row by row, as all rows together may fill the memory. Shapes: both (n_rows, n_values).
    """
    for row, seen in zip(rows, out, strict=True):
        seen[...] = to_public(space, row)
