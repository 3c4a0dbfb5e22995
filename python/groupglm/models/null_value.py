# SPDX-License-Identifier: BSD-3-Clause
"""The test of a contrast against a constant other than zero."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.contrast_result import ContrastResult

__all__ = ["against"]


def against(result: ContrastResult, null_value: float, n_threads: int) -> ContrastResult:
    """Return the test of whether the effect of a contrast is a constant, for any model.

    Subtracting the constant's share from the data of each image leaves every residual as it is.
    Variance and degrees of freedom are therefore those of the test against 0, and t is (effect -
    constant) / standard error.

    Raises
    ------
    ValueError
        If the test is an F test and the constant is not 0.
    """
    if null_value == 0:
        return result
    if result.stat_type == "F":
        raise ArgumentError.about(
            "stat_type",
            f"an F test is of whether effects are 0, not {null_value:g}",
            "leave stat_type out: one row against a constant is a t test",
        )
    difference = result.effect_size - null_value
    stat, p_value, z_score = _core.t_statistics(
        difference, result.effect_variance, _one_or_row(result.df), n_threads
    )
    return replace(result, stat=stat, p_value=p_value, z_score=z_score, null_value=null_value)


def _one_or_row(df: Any) -> float | NDArray[np.float64]:
    """Return degrees of freedom as the core takes them: a float, or one of each place."""
    values = np.asarray(df, dtype=np.float64)
    return values.item() if values.ndim == 0 else np.ascontiguousarray(values)
