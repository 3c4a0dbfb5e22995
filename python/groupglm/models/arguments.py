# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what a fit is asked for: contrasts, statistics, rows of a design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from groupglm.design.collinearity import confounded_columns, describe_contrast, quote_names
from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.runtime.arguments import check_choice, real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "StatType",
    "check_contrast",
    "check_data",
    "check_rows",
    "choose_stat_type",
    "confounds",
    "refuse",
]

StatType = Literal["t", "F"]


def check_contrast(contrast: ArrayLike, column_names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return a contrast unchanged, a vector or a matrix, if it fits the design's columns."""
    values = _real_array(contrast, "contrast")
    n_columns = len(column_names)
    if values.ndim not in (1, 2) or values.size == 0 or values.shape[-1] != n_columns:
        raise ArgumentError(
            "contrast",
            f"shape {values.shape}",
            (
                f"({n_columns},) or (n_rows, {n_columns}), one number for each column: "
                f"{', '.join(column_names)}"
            ),
            verb="has",
        )
    if not np.isfinite(values).all():
        raise ArgumentError(
            "contrast", "NaN or infinite values", remedy="give finite numbers", verb="holds"
        )
    if not values.any():
        raise ArgumentError.about(
            "contrast", "Contrast is null: all its values are zero", "give at least one weight"
        )
    return values


def choose_stat_type(values: NDArray[np.float64], stat_type: StatType | None) -> StatType:
    """Return the statistic to compute: as asked for, else t for a vector and F for a matrix."""
    if stat_type is None:
        return "t" if values.ndim == 1 else "F"
    check_choice("stat_type", stat_type, ("t", "F", None))
    if stat_type == "t" and values.ndim == 2 and values.shape[0] > 1:
        raise ArgumentError.about(
            "stat_type",
            f"stat_type='t' needs a single contrast, but {values.shape[0]} rows were given",
            "give one row, or stat_type='F' to test them together",
        )
    return stat_type


def confounds(X: NDArray[np.float64], rows: NDArray[np.float64]) -> bool:
    """Return whether a design confounds columns on which a contrast depends.

    Shapes: `X` (n_images, n_columns), `rows` (n_rows, n_columns).
    """
    names = tuple(map(str, range(X.shape[1])))
    return any(confounded_columns(X, names, row) for row in rows if row.any())


def refuse(
    X: NDArray[np.float64], column_names: tuple[str, ...], rows: NDArray[np.float64]
) -> NotEstimableError:
    """Return the error for a contrast, shape (n_rows, n_columns), that X cannot estimate."""
    for row in rows:
        columns = confounded_columns(X, column_names, row)
        if columns:
            return NotEstimableError(
                f"contrast {describe_contrast(row, column_names)} is not estimable: the "
                f"design cannot tell apart the columns {quote_names(columns)}; drop one of "
                "them, or test a contrast that does not depend on how the effect is shared "
                "among them"
            )
    return NotEstimableError("contrast is not estimable with this design matrix")


def check_rows(X: ArrayLike, column_names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return rows of a design, shape (n_rows, n_columns), C-ordered."""
    rows = np.ascontiguousarray(_real_array(X, "X"))
    if rows.ndim != 2 or rows.shape[1] != len(column_names):
        raise ArgumentError(
            "X",
            f"shape {rows.shape}",
            wanted=f"(n_rows, {len(column_names)}), with the columns {', '.join(column_names)}",
            verb="has",
        )
    return rows


def check_data(
    Y: ArrayLike, n_rows: int, n_values: int
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return the data of rows, shape (n_rows, n_values), of float32 or float64."""
    data = real_array("Y", Y, missing=True)
    if data.shape != (n_rows, n_values) or data.dtype.kind != "f":
        raise ArgumentError(
            "Y",
            f"{data.dtype} of shape {data.shape}",
            wanted=f"float32 or float64 of shape ({n_rows}, {n_values}), as it was for the fit",
        )
    return data if data.dtype in (np.float32, np.float64) else data.astype(np.float64)


def _real_array(values: ArrayLike, name: str) -> NDArray[np.float64]:
    return real_array(name, values).astype(np.float64)
