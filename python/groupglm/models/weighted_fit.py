# SPDX-License-Identifier: BSD-3-Clause
"""What all fits with a factor for each place share: `WeightedFit`, the fit of weighted models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.models.arguments import (
    StatType,
    check_contrast,
    check_data,
    check_rows,
    choose_stat_type,
    confounds,
    refuse,
)
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.image_shares import PRESENT, TOTAL, ImageShares
from groupglm.models.number_range import (
    refuse_squares_beyond_double,
    report_squares_beyond_double,
)
from groupglm.models.ols import design_of_parts
from groupglm.models.weighted_words import words_of_weighted
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Model
    from groupglm.models.words import Words

__all__ = ["WeightedFit", "state_of_parts"]

Floats: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True, eq=False)
class WeightedFit(ImageShares):
    """A weighted least-squares fit at every voxel; made by `fit_weighted`.

    It keeps only the state, a few numbers per voxel. Each attribute is computed from the state, in
    compiled code, every time that you use it. In a loop, use a variable that holds the attribute.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix. The columns of voxelwise covariates come last, and hold the mean of each
        image's covariate over the voxels.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    model : Model
        What was fitted.
    """

    X: Floats = field(repr=False)
    column_names: tuple[str, ...]
    n_threads: int
    model: Model = field(repr=False)
    _state: _core.WeightedState = field(repr=False)
    _design: _core.Design = field(repr=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.described('voxels')})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the compiled object itself: a processor of another level has another compiled module.
        return _fit_of, (
            type(self), self.X, self.column_names, self.n_threads, self.model,
            self._state.__getstate__(), self._design.__getstate__(),
        )  # fmt: skip

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
        weighted = "weighted " if "weight" in self.model.beside else ""
        return (
            f"{len(self.X):,} {weighted}images: {self.n_voxels:,} {places}, "
            f"{span(self._residual_freedom)} degrees of freedom, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> Self:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        WeightedFit
            Its state is a copy.
        """
        return replace(self, _state=self._state.select(places))

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self._state.n_voxels

    @property
    def n_covariates(self) -> int:
        """Number of voxelwise covariates, the last columns of the design."""
        return len(self.column_names) - self._design.n_columns

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (n_columns, n_voxels), covariates last.

        In units of the data per unit of the column. If the columns of a voxel are linearly
        dependent, these are the coefficients of minimum norm, which depend on the units of the
        columns; estimable contrasts do not. NaN where a voxel has no data.
        """
        return _core.weighted_beta(self._state, self._design, self.n_threads)

    @property
    def mean(self) -> Floats:
        """Unweighted mean of the images that have the voxel, shape (n_voxels,); NaN without any."""
        n = self._state.counts[PRESENT]
        mean: Floats = self._state.sums[TOTAL] / np.where(n > 0, n, np.nan)
        return mean

    @property
    def rss(self) -> Floats:
        """Weighted residual sum of squares, shape (n_voxels,); NaN where a voxel has no data."""
        return _core.weighted_rss(self._state, self._design, self.n_threads)

    @property
    def residual_sd(self) -> Floats:
        """Standard deviation of an image of weight one about the fit, shape (n_voxels,)."""
        df = np.asarray(self._residual_freedom, dtype=np.float64)
        return np.sqrt(self.rss / np.where(df > 0, df, np.nan))

    @property
    def r_square(self) -> Floats:
        """1 - RSS/TSS, both weighted, shape (n_voxels,); NaN where the data do not vary.

        TSS is about the weighted mean if the columns of the voxel contain the constant (as a column
        or a combination of columns), else about zero.
        """
        return _core.weighted_r_square(self._state, self._design, self.n_threads)

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) if any image lacks a voxel."""
        n_images = self._state.n_rows
        if self._state.n_missing == 0:
            return n_images
        n: NDArray[np.int64] = self._state.counts[PRESENT].astype(np.int64)
        return n

    @property
    def rank(self) -> int | NDArray[np.int64]:
        """Rank of the columns: one number, or one for each voxel, shape (n_voxels,)."""
        rank = _core.weighted_rank(self._state, self._design, self.n_threads)
        expected = self._design.rank + self.n_covariates
        return expected if (rank == expected).all() else rank

    @property
    def df_residual(self) -> float | NDArray[Any]:
        """Residual degrees of freedom, n - rank: one number, or shape (n_voxels,)."""
        return self._residual_freedom

    @property
    def _residual_freedom(self) -> int | NDArray[np.int64]:
        n = self._state.n_rows if self._state.n_missing == 0 else self._state.counts[PRESENT]
        return n - self.rank

    @property
    def _inference(self) -> tuple[str, str]:
        """What scales the variances, and what the degrees of freedom are, as the core has them."""
        return "residual", "residual"

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        """Test a contrast of the coefficients at every voxel.

        Parameters
        ----------
        contrast : array_like, shape (n_columns,) or (n_rows, n_columns)
            Over the columns of the design and then the covariates. A vector gives a t statistic,
            and a matrix an F statistic of its rows together.
        stat_type : {"t", "F"}, optional
            The statistic, if it should be another one: "F" of a vector, "t" of a matrix of one row.

        Returns
        -------
        ContrastResult
            Effects, statistics, p-values and z-scores. All are NaN at a voxel whose images cannot
            estimate the contrast, as where a covariate is constant.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If no voxel can estimate it.
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        self._refuse_unless_estimable(rows)
        effect, variance, stat, p_value, z_score, rank = _core.weighted_contrast(
            self._state, self._design, rows, chosen, *self._inference, self.n_threads
        )
        absent = np.isnan(stat)
        if absent.all():
            self._refuse_squares_beyond_double()
        elif absent.any():
            self._report_squares_beyond_double(absent)
        return ContrastResult(
            effect_size=effect[0] if chosen == "t" else effect,
            effect_variance=variance,
            stat=stat,
            p_value=p_value,
            z_score=z_score,
            stat_type=chosen,
            df=self.df_residual if chosen == "t" else (rank, self.df_residual),
        )

    @property
    def _is_tested(self) -> NDArray[np.bool_]:
        """Whether a voxel has images enough for a test, shape (n_voxels,)."""
        present: NDArray[np.bool_] = self._state.counts[PRESENT] > 0
        return present & (np.asarray(self._residual_freedom) > 0)

    def _report_squares_beyond_double(self, absent: NDArray[np.bool_]) -> None:
        fit = self.select(np.flatnonzero(absent & self._is_tested))
        report_squares_beyond_double(fit.rss, fit._state.sums[TOTAL], self.n_voxels)

    def _refuse_squares_beyond_double(self) -> None:
        tested = self._is_tested
        refuse_squares_beyond_double(self.rss[tested], self._state.sums[TOTAL, tested])

    def _refuse_unless_estimable(self, rows: Floats) -> None:
        if not self._state.counts[PRESENT].any():
            return  # without any data there is nothing to tell apart
        if _core.weighted_is_estimable(self._state, self._design, rows, self.n_threads):
            return
        self._refuse_squares_beyond_double()
        own = rows[:, : self._design.n_columns]
        X = self.X[:, : self._design.n_columns]
        names_of_design = self.column_names[: self._design.n_columns]
        if self.n_covariates == 0 or confounds(X, own):
            raise refuse(X, names_of_design, own)
        names = listed([repr(name) for name in self.column_names[self._design.n_columns :]])
        raise NotEstimableError(
            f"contrast is not estimable at any place: a covariate ({names}) is the same in all "
            "images, or follows from other columns; leave the covariate out, or test a contrast "
            "that does not depend on it"
        )

    def predicted(self, X: ArrayLike | None = None, Z: ArrayLike | None = None) -> Floats:
        """Compute the fitted values.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), optional
            Rows of a design, by default those that were fitted. With `Z`, their columns of
            covariates are not used.
        Z : array_like, shape (n_covariates, n_rows, n_voxels), optional
            The rows' covariates at every voxel; by default those in the last columns of `X`.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Fitted values.

        Raises
        ------
        ValueError
            If X or Z has another shape.
        """
        rows = self.X if X is None else check_rows(X, self.column_names)
        if Z is None:
            return _core.predict(rows, self.beta, self.n_threads)
        p = self._design.n_columns
        values = self._covariates(Z, len(rows))
        beta = self.beta
        own = np.ascontiguousarray(rows[:, :p])
        fitted = _core.predict(own, np.ascontiguousarray(beta[:p]), self.n_threads)
        for each, slope in zip(values, beta[p:], strict=True):
            fitted += each * slope
        return fitted

    def residuals(
        self,
        X: ArrayLike | None,
        Y: NDArray[np.float32] | NDArray[np.float64],
        Z: ArrayLike | None = None,
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Compute the residuals. The fit does not keep the data: give them again.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), or None
            The rows' design; None for the design that was fitted.
        Y : array of float32 or float64, shape (n_rows, n_voxels)
            The data.
        Z : array_like, shape (n_covariates, n_rows, n_voxels), optional
            As for `predicted`.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Of Y's type; NaN where Y or Z is NaN.

        Raises
        ------
        ValueError
            If the shapes do not match the fit, or Y is of another type.
        """
        rows = self.X if X is None else check_rows(X, self.column_names)
        data = check_data(Y, len(rows), self.n_voxels)
        if Z is None:
            return _core.residuals(rows, self.beta, data, self.n_threads)
        left: Any = (data - self.predicted(rows, Z)).astype(data.dtype)
        return left  # type: ignore[no-any-return]

    def _covariates(self, Z: ArrayLike, n_rows: int) -> NDArray[Any]:
        values = np.asarray(Z)
        wanted = (self.n_covariates, n_rows, self.n_voxels)
        if values.shape != wanted:
            raise ArgumentError("Z", f"shape {values.shape}", f"{wanted}", verb="has")
        return values

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "r_square".
        """
        return {"r_square": lambda: self.r_square}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name, for a file.

        Returns
        -------
        dict of array
            "slots", "sums" and "counts", one column a voxel each, and with covariates
            "covariate_means", shape (n_images, n_covariates).
        """
        *_, slots, sums, counts = self._state.__getstate__()
        own = {"slots": slots, "sums": sums, "counts": counts}
        means = self.X[:, self._design.n_columns :]
        return own | {"covariate_means": means} if self.n_covariates else own

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_weighted(self.model.beside)


def state_of_parts(parts: tuple[Any, ...]) -> _core.WeightedState:
    """Return the state that a tuple of numbers and arrays describes; ValueError if none does."""
    state = _core.WeightedState.__new__(_core.WeightedState)
    state.__setstate__(parts)
    return state


def _fit_of(
    kind: type[WeightedFit],
    X: Floats,
    column_names: tuple[str, ...],
    n_threads: int,
    model: Model,
    parts: tuple[Any, ...],
    design: tuple[Any, ...],
) -> WeightedFit:
    own = design_of_parts(design)
    return kind(X, column_names, n_threads, model, state_of_parts(parts), own)
