# SPDX-License-Identifier: BSD-3-Clause
"""The result of robust regression: `RobustFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from groupglm import _core
from groupglm.models.arguments import check_data
from groupglm.models.base import Model, by_arrays
from groupglm.models.robust_places import WEIGHT_UNIT, RobustPlaces
from groupglm.models.robust_words import TUNING, words_of_robust
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.arguments import StatType
    from groupglm.models.base import Values
    from groupglm.models.contrast_result import ContrastResult
    from groupglm.models.results import OlsFit
    from groupglm.models.words import Words

    Floats = NDArray[np.float64]

__all__ = ["RobustFit"]


class RobustModel(Model, Protocol):
    """What a fit knows of its model, `groupglm.Robust`."""

    @property
    def weights(self) -> str:
        """The function of the weights."""
        ...

    @property
    def tuning(self) -> float | None:
        """How far off a residual may be; None for the default of the function."""
        ...


@dataclass(frozen=True, eq=False)
class RobustFit:
    """A robust fit at every voxel; made by `fit_robust`.

    It keeps a few numbers per voxel: the state of least squares of values that have the robust
    coefficients and the robust scale, from which every contrast follows. Most attributes are
    computed, in compiled code, every time that you use them.

    Parameters
    ----------
    model : groupglm.Robust
        The model.
    """

    model: RobustModel = field(repr=False)
    _ols: OlsFit = field(repr=False)
    _places: RobustPlaces = field(repr=False)
    _totals: NDArray[np.int64] = field(repr=False)

    def __repr__(self) -> str:
        return f"RobustFit({self.described('voxels')})"

    def __reduce__(self) -> tuple[Any, ...]:
        return by_arrays(self, self.n_voxels)

    @property
    def X(self) -> Floats:  # noqa: N802 - a matrix
        """The design matrix, shape (n_images, n_columns)."""
        return self._ols.X

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of the design."""
        return self._ols.column_names

    @property
    def n_threads(self) -> int:
        """Number of threads for what is computed later; 0 means all."""
        return self._ols.n_threads

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self._ols.n_voxels

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers.

        Parameters
        ----------
        places : str
            What places are called, such as ``"voxels"``.

        Returns
        -------
        str
            Numbers of images, places and degrees of freedom, and the columns.
        """
        names = self.column_names
        n_open = self.n_not_converged
        return (
            f"{len(self.X):,} images, robust ({self.model.weights}): {self.n_voxels:,} {places}"
            + (f" ({n_open:,} not converged)" if n_open else "")
            + f", {span(self.df_residual)} degrees of freedom, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> RobustFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        RobustFit
            Its arrays are copies. The mean weights of images remain those over all voxels.
        """
        return replace(self, _ols=self._ols.select(places), _places=self._places.select(places))

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (n_columns, n_voxels), in units of the data per unit of the column.

        If the columns are linearly dependent, these are the coefficients of minimum norm.
        """
        return self._ols.beta

    @property
    def mean(self) -> Floats:
        """Plain mean of the images that have the voxel, shape (n_voxels,)."""
        return self._places.mean

    @property
    def residual_sd(self) -> Floats:
        """The scale sigma of DuMouchel and O'Brien, shape (n_voxels,), in units of the data."""
        return self._ols.residual_sd

    @property
    def scale(self) -> Floats:
        """The scale by which residuals are divided for their weights, shape (n_voxels,).

        The median absolute deviation over 0.6745; NaN where no degree of freedom is left.
        """
        return self._places.scale

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) when any value is missing."""
        return self._ols.n_observations

    @property
    def rank(self) -> int | NDArray[np.int64]:
        """Rank of the design: one number, or one for the rows of each voxel, shape (n_voxels,)."""
        return self._ols.rank

    @property
    def df_residual(self) -> int | NDArray[np.int64]:
        """Residual degrees of freedom, n - rank: one number, or shape (n_voxels,)."""
        return self._ols.df_residual

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Where iterations ended because the coefficients no longer changed, shape (n_voxels,)."""
        return self._places.is_converged

    @property
    def n_not_converged(self) -> int:
        """Number of voxels that have a fit but have not converged."""
        return int(np.count_nonzero(self._places.is_fitted & ~self._places.is_converged))

    @property
    def n_equal(self) -> int:
        """Number of voxels at which at least half of the residuals are zero."""
        return int(np.count_nonzero(self._places.is_floored))

    @property
    def iterations(self) -> NDArray[np.int16]:
        """Number of weighted fits, shape (n_voxels,)."""
        return self._places.iterations

    @property
    def mean_weight(self) -> Floats:
        """Mean of the images' weights at each voxel, shape (n_voxels,), between 0 and 1."""
        return self._places.mean_weight

    @property
    def mean_weights(self) -> Floats:
        """Mean of the weights of each image over the voxels, shape (n_images,); NaN without any."""
        total, _, n = self._totals
        mean: Floats = np.where(n > 0, total * WEIGHT_UNIT, np.nan) / np.maximum(n, 1)
        return mean

    @property
    def low_shares(self) -> Floats:
        """Share of its voxels at which an image has less than half of a weight, (n_images,)."""
        _, low, n = self._totals
        share: Floats = np.where(n > 0, low, np.nan) / np.maximum(n, 1)
        return share

    def weights(self, Y: Values) -> Floats:
        """Compute the weights of the images at every voxel. The fit does not keep the data.

        Parameters
        ----------
        Y : array of float32 or float64, shape (n_images, n_voxels)
            The data that were fitted.

        Returns
        -------
        array, shape (n_images, n_voxels)
            Between 0 and 1; NaN where Y is NaN or no degree of freedom is left.

        Raises
        ------
        ValueError
            If the shapes do not match the fit, or Y is of another type.
        """
        data = check_data(Y, len(self.X), self.n_voxels)
        return weights_of(self, data)

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        """Test a contrast of the coefficients at every voxel.

        Parameters
        ----------
        contrast : array_like, shape (n_columns,) or (n_rows, n_columns)
            A vector gives a t statistic, and a matrix an F statistic of its rows together.
        stat_type : {"t", "F"}, optional
            The statistic, if it should be another one: "F" of a vector, "t" of a matrix of one row.

        Returns
        -------
        ContrastResult
            Effects, statistics, p-values and z-scores. t and F have n - p degrees of freedom.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.
        """
        return self._ols.contrast(contrast, stat_type=stat_type)

    def predicted(self, X: ArrayLike | None = None) -> Floats:
        """Compute the fitted values X beta.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), optional
            Rows of a design, by default those that were fitted.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Fitted values.
        """
        return self._ols.predicted(X)

    def residuals(self, X: ArrayLike | None, Y: Values) -> Values:
        """Compute the residuals Y - X beta, without weights. Give the data again.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), or None
            The rows' design; None for the design that was fitted.
        Y : array of float32 or float64, shape (n_rows, n_voxels)
            The data.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Of Y's type; NaN where Y is NaN.
        """
        return self._ols.residuals(X, Y)

    def weighted_residuals(self, image: int, residuals: Floats) -> Floats:
        """Return the residuals of an image times its weights, as they count in the coefficients.

        Weights follow from the scale of each place, with the leverage that the image has where all
        images have a value.

        Parameters
        ----------
        image : int
            The number of the image.
        residuals : array, shape (n_voxels,)
            Its residuals.

        Returns
        -------
        array, shape (n_voxels,)
            NaN where it has no value.
        """
        design = self.X
        leverage = min(float((design[image] @ np.linalg.pinv(design))[image]), _MOST_LEVERAGE)
        limit = tuning_of(self.model) * np.sqrt(1.0 - leverage) * self.scale
        sizes = np.abs(residuals)
        # Zero where nearly all residuals are, so that any other counts nothing.
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(sizes > 0, sizes / limit, 0.0)
            if self.model.weights == "huber":
                return residuals * np.minimum(1.0, 1.0 / np.maximum(u, 1.0))
        return residuals * np.square(np.maximum(1.0 - np.square(u), 0.0))

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "converged": 1 where the fit has converged, 0 where it has not. "iterations": how many
            weighted fits that took. "mean_weight": the mean of the images' weights. NaN where no
            degree of freedom is left.
        """
        fitted = self._places.is_fitted
        return {
            "converged": lambda: np.where(fitted, self.converged, np.nan),
            "iterations": lambda: np.where(fitted, self.iterations, np.nan),
            "mean_weight": lambda: self.mean_weight,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fit as arrays by name, for a file.

        Returns
        -------
        dict of array
            Those of `OlsFit.arrays`; "mean", "scale", "mean_weight", "iterations" and "status" of
            each place; "weight_totals", shape (3, n_images): for each image the sum of its weights,
            in units of 2^-32, at how many places it is below a half, and how many places it has.
        """
        return self._ols.arrays() | self._places.arrays() | {"weight_totals": self._totals}

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_robust(self.model.weights, tuning_of(self.model))


_MOST_LEVERAGE = 0.9999  # as in the core


def tuning_of(model: RobustModel) -> float:
    """Return the tuning of a model, which is set when it is made."""
    return TUNING[model.weights] if model.tuning is None else model.tuning


def weights_of(fit: RobustFit, data: Values) -> Floats:
    """Return the weights of all images at some of the places, shape (n_images, n_places)."""
    design = fit._ols._design
    model = fit.model
    found = _core.robust_fit(design, data, model.weights, tuning_of(model), True, fit.n_threads)
    return found[1]
