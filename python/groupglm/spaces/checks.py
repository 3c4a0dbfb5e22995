# SPDX-License-Identifier: BSD-3-Clause
"""Checks of rows of values, and of masks of a row, for every space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["checked_keep", "checked_rows"]


def checked_keep(keep: ArrayLike, n_values: int) -> NDArray[np.bool_]:
    """Return the places of a row to keep, shape (n_values,); refuse anything but truth values."""
    chosen = np.asarray(keep)
    if chosen.shape != (n_values,) or chosen.dtype != np.bool_:
        raise ValueError(
            f"keep must be bool of shape ({n_values},), but is {chosen.dtype} of shape "
            f"{chosen.shape}"
        )
    return chosen


def checked_rows(values: ArrayLike, n_values: int) -> NDArray[Any]:
    """Return one row of values or several; refuse rows of another length."""
    rows = np.asarray(values)
    if rows.ndim not in (1, 2) or rows.shape[-1] != n_values:
        raise ValueError(
            f"values must have the shape ({n_values},) or (k, {n_values}), but have {rows.shape}"
        )
    return rows
