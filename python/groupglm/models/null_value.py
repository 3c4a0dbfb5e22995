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

__all__ = ["against", "has_no_evidence"]

_ROUNDING = 8 * np.finfo(np.float64).eps


def against(result: ContrastResult, null_value: float, n_threads: int) -> ContrastResult:
    """Return the test of whether the effect of a contrast is a constant, for any model.

    Subtracting the constant's share from the data of each image leaves every residual as it is.
    Variance and degrees of freedom are therefore those of the test against 0, and t is (effect -
    constant) / standard error. Where images do not vary and have no effect, such as outside the
    brain, they say nothing about any constant: there t and z are 0, and p is 0.5, as against 0.

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
    # An effect without a variance is the constant also where it was rounded.
    is_constant = np.abs(difference) <= _ROUNDING * abs(null_value)
    is_empty = has_no_evidence(result) | (is_constant & (result.effect_variance == 0))
    difference = np.where(is_empty, 0.0, difference)
    stat, p_value, z_score = _core.t_statistics(
        difference, result.effect_variance, _one_or_row(result.df), n_threads
    )
    return replace(result, stat=stat, p_value=p_value, z_score=z_score, null_value=null_value)


def has_no_evidence(result: ContrastResult) -> NDArray[np.bool_]:
    """Return where the images of a t do not vary and have no effect, shape (n_voxels,)."""
    return np.asarray((result.stat == 0) & (result.effect_variance == 0))


def _one_or_row(df: Any) -> float | NDArray[np.float64]:
    """Return degrees of freedom as the core takes them: a float, or one of each place."""
    values = np.asarray(df, dtype=np.float64)
    return values.item() if values.ndim == 0 else np.ascontiguousarray(values)
