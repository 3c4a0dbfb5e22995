# SPDX-License-Identifier: BSD-3-Clause
"""A contrast's weights as an expression over the columns: `describe_weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["describe_weights"]


def describe_weights(weights: NDArray[np.float64], columns: list[str]) -> str:
    """Write a contrast as an expression over the columns.

    Shapes: `weights` (n_columns,).

    Examples
    --------
    >>> describe_weights(np.array([1.0, -1.0, 0.0]), ["patient", "control", "age"])
    'patient - control'
    >>> describe_weights(np.array([[0.5, 0.0], [0.0, -1.0]]), ["a", "b"])
    '0.5*a; -b'
    """
    return "; ".join(_expression(row, columns) for row in np.atleast_2d(weights))


def _expression(row: NDArray[np.float64], columns: list[str]) -> str:
    text = ""
    for weight, name in zip(row, columns, strict=True):
        if weight == 0:
            continue
        size = "" if abs(weight) == 1 else f"{abs(weight):g}*"
        sign = "-" if weight < 0 else "+"
        joined = f" {sign} " if text else ("-" if weight < 0 else "")
        text += f"{joined}{size}{name}"
    return text
