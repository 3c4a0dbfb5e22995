# SPDX-License-Identifier: BSD-3-Clause
"""The fit at one place, as pictures need it: by least squares, or of any model by its weights."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from scipy import special

from groupglm import _core
from groupglm.errors import NotEstimableError, RankDeficientWarning
from groupglm.models.ols import fit_ols

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Fit
    from groupglm.models.contrast_result import ContrastResult

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["ModelPlace", "OlsPlace", "PlaceFit", "half_width", "half_widths"]


class PlaceFit(Protocol):
    """The fit at one place, of the images that have a value there.

    Attributes
    ----------
    X : array, shape (n, n_columns)
        The rows of the design.
    y : array, shape (n,)
        The values.
    beta : array, shape (n_columns,)
        The coefficients.
    """

    X: FloatArray
    y: FloatArray
    beta: FloatArray

    def interval(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return fitted values of rows, shape (k, n_columns), and half widths of intervals."""
        ...

    def regressor(self, contrast: FloatArray) -> FloatArray:
        """Return the regressor, shape (n,), whose only coefficient is a contrast."""
        ...


class OlsPlace:
    """A fit by ordinary least squares."""

    def __init__(self, X: FloatArray, values: FloatArray, level: float) -> None:
        from scipy.stats import t

        with warnings.catch_warnings():
            # Columns that depend on each other were reported at the fit of the model.
            warnings.simplefilter("ignore", RankDeficientWarning)
            fit = fit_ols(X, values[:, np.newaxis], n_threads=1)
        present = np.isfinite(values)
        self.X, self.y = X[present], values[present]
        self.beta: FloatArray = fit.beta[:, 0]
        df = int(np.ravel(fit.df_residual)[0])
        self._design = _core.Design(np.ascontiguousarray(self.X))
        self._sigma = float(fit.residual_sd[0]) if df > 0 else 0.0
        self._quantile = float(t.ppf(0.5 + level / 2, df)) if df > 0 else np.nan

    def interval(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return fitted values of rows, shape (k, n_columns), and half widths of intervals."""
        error = self._sigma * np.linalg.norm(self._gains(rows), axis=1)
        return rows @ self.beta, self._quantile * error

    def regressor(self, contrast: FloatArray) -> FloatArray:
        """Return the regressor, shape (n,), whose only coefficient is a contrast."""
        gain = self._gains(contrast[np.newaxis])[0]
        regressor: FloatArray = gain / (gain @ gain)
        return regressor

    def _gains(self, rows: FloatArray) -> FloatArray:
        """Return the weights, shape (k, n), by which the images estimate rows (k, n_columns)."""
        return self._design.gains(np.ascontiguousarray(rows))


class ModelPlace:
    """A fit of a model in which each image has a weight.

    Parameters
    ----------
    fit : Fit
        The fit at this place alone.
    X : array, shape (n_images, n_columns)
        The design there: a covariate's column holds the values of this place.
    values : array, shape (n_images,)
        The values; NaN where an image has none.
    weights : array, shape (n_images,)
        The weight of each image; zero where it does not count.
    level : float
        Level of the intervals.
    """

    def __init__(
        self, fit: Fit, X: FloatArray, values: FloatArray, weights: FloatArray, level: float
    ) -> None:
        present = np.isfinite(values) & (weights > 0)
        self.X, self.y = X[present], values[present]
        self.beta: FloatArray = fit.beta[:, 0]
        self._roots = np.sqrt(weights[present])
        self._fit, self._level = fit, level

    def interval(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return fitted values of rows, shape (k, n_columns), and half widths of intervals.

        The interval is that of the model's own test of the row as a contrast.
        """
        return rows @ self.beta, np.array([self._half(row) for row in rows])

    def _half(self, row: FloatArray) -> float:
        if not row.any():  # the coefficients of nothing are known
            return 0.0
        try:
            return half_width(self._fit.contrast(row, stat_type="t"), self._level)
        except NotEstimableError:
            return np.nan

    def regressor(self, contrast: FloatArray) -> FloatArray:
        """Return the regressor, shape (n,), whose only coefficient is a contrast."""
        # X (X'WX)^- c over c'(X'WX)^- c, by the pseudoinverse of the weighted design.
        gain = contrast @ np.linalg.pinv(self._roots[:, np.newaxis] * self.X)
        regressor: FloatArray = gain / self._roots / (gain @ gain)
        return regressor


def half_width(result: ContrastResult, level: float) -> float:
    """Return half of the confidence interval of a t contrast at one place; NaN without a test."""
    return float(half_widths(result, level)[0])


def half_widths(result: ContrastResult, level: float) -> NDArray[np.float64]:
    """Return half of the confidence intervals of a t contrast, shape (n_values,); NaN without."""
    df: Any = result.df
    degrees = np.broadcast_to(np.asarray(df, np.float64), result.effect_variance.shape)
    known = np.where(degrees > 0, degrees, np.nan)
    return np.asarray(special.stdtrit(known, 0.5 + level / 2) * np.sqrt(result.effect_variance))
