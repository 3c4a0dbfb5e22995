# SPDX-License-Identifier: BSD-3-Clause
"""The result of a contrast, whatever the model: `ContrastResult`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.arguments import StatType

__all__ = ["ContrastResult"]

_INFINITE = "\N{INFINITY}"

DegreesOfFreedom: TypeAlias = "float | NDArray[np.int64] | NDArray[np.float64]"


@dataclass(frozen=True, eq=False)
class ContrastResult:
    """The statistics of a contrast at every voxel.

    All values of a voxel are NaN if the rows that have a value there cannot estimate the contrast.

    Parameters
    ----------
    effect_size : array, shape (n_voxels,) for t, (n_rows, n_voxels) for F
        The contrast times the coefficients, in the units of the data.
    effect_variance : array, shape (n_voxels,)
        Variance of the effect for t; the residual variance for F.
    stat : array, shape (n_voxels,)
        The t or F statistic.
    p_value : array, shape (n_voxels,)
        Probability of a larger statistic under the null hypothesis; one-sided for t.
    z_score : array, shape (n_voxels,)
        The standard normal quantile with the same upper tail. It is finite and exact also where the
        p-value is too small for a float64.
    stat_type : {"t", "F"}
        The statistic.
    df : float or array of float, shape (n_voxels,), or a pair of them
        Residual degrees of freedom for t; the pair (numerator, residual) for F. Whole numbers for
        ordinary least squares.
    null_value : float, default=0
        The effect under the null hypothesis of t, in the units of the data. `effect_size` is not
        the difference from it.
    """

    effect_size: NDArray[np.float64]
    effect_variance: NDArray[np.float64]
    stat: NDArray[np.float64]
    p_value: NDArray[np.float64]
    z_score: NDArray[np.float64]
    stat_type: StatType
    df: DegreesOfFreedom | tuple[int, DegreesOfFreedom]
    null_value: float = field(default=0.0, kw_only=True)

    def __repr__(self) -> str:
        return f"ContrastResult({self.degrees} at {len(self.stat):,} voxels)"

    @property
    def degrees(self) -> str:
        """The statistic with its degrees of freedom: ``t(17)`` or ``F(2, 17)``; ``z``."""
        if isinstance(self.df, tuple):
            return f"F({self.df[0]}, {_residual(self.df[1])})"
        residual = _residual(self.df)
        return "z" if residual == _INFINITE else f"t({residual})"

    @property
    def df_numerator(self) -> int:
        """Numerator degrees of freedom, 1 for t; the same wherever the contrast is estimable."""
        return self.df[0] if isinstance(self.df, tuple) else 1


def _residual(df: DegreesOfFreedom) -> str:
    return _INFINITE if np.isinf(np.ravel(df)).all() else span(df)
