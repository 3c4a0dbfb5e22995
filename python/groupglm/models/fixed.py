# SPDX-License-Identifier: BSD-3-Clause
"""Fixed effects: images weighted by the inverse of their own variances, tested by z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.models.effect_size_rules import OF_Z, EffectSizeRules
from groupglm.models.ols import checked_design
from groupglm.models.weighted import WeightedPlan, load_state
from groupglm.models.weighted_fit import WeightedFit
from groupglm.models.weighted_words import words_of_fixed
from groupglm.runtime.arguments import real_array
from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Rows
    from groupglm.models.words import Words

__all__ = ["FixedEffects", "FixedFit", "FixedPlan"]


@dataclass(frozen=True)
class FixedEffects:
    """Fixed effects: every image has a known variance, and nothing else makes images differ.

    The weight of an image at a place is the inverse of its variance there, and the variance of a
    contrast is :math:`c'(X'WX)^{-1}c`, whatever the residuals are. The test is z, or chi-square
    over its degrees of freedom for several rows. The conclusion holds for these images, not for the
    population that they are drawn from, unless their true effects do not differ.

    References
    ----------
    Hedges LV, Olkin I. *Statistical Methods for Meta-Analysis*. Academic Press, 1985, chapters 6
    and 8.

    Examples
    --------
    >>> from groupglm.models.fixed import FixedEffects
    >>> FixedEffects().beside
    ('variance',)
    """

    kind: ClassVar[str] = "fixed effects"
    beside: ClassVar[tuple[str, ...]] = ("variance",)
    rows_per_image: ClassVar[int] = 2
    keeps_rows: ClassVar[bool] = False

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_Z

    def settings(self) -> dict[str, Any]:
        """Return no settings.

        Returns
        -------
        dict
            Empty.
        """
        return {}

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> FixedPlan:
        """Factorise a design, and refuse or report what cannot be fitted well.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        FixedPlan
            Ready for rows of values and of variances.

        Raises
        ------
        ValueError
            If no residual degree of freedom is left.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        """
        return FixedPlan(X, column_names, checked_design(X, column_names), self)

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> FixedFit:
        """Make a fit of the arrays of its state, which a file held.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        arrays : mapping of str to array
            As `FixedFit.arrays` returned them.
        n_values : int
            Number of places.
        n_threads : int
            Number of threads; 0 means all.

        Returns
        -------
        FixedFit
            Equal to the one that was saved.

        Raises
        ------
        KeyError
            If an array is lacking.
        ValueError
            If the arrays do not fit each other or the design.
        """
        own = load_state(X, column_names, arrays, n_values=n_values)
        return FixedFit(own.X, column_names, n_threads, self, own.state, own.design)


class FixedPlan(WeightedPlan):
    """A factorised design, whose images have variances."""

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> FixedFit:
        """Return the fit to the rows of all images."""
        del rows  # the state is enough
        state = accumulator.state
        return FixedFit(self.X, self.column_names, n_threads, self.model, state, self.design)


class FixedFit(WeightedFit):
    """A fit by fixed effects at every place; weights are inverse variances.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    model : FixedEffects
        What was fitted.
    """

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers.

        Parameters
        ----------
        places : str
            What places are called, such as ``"voxels"``.

        Returns
        -------
        str
            Numbers of images and places, and the columns.
        """
        names = self.column_names
        return (
            f"{len(self.X):,} images, fixed effects: {self.n_voxels:,} {places}, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    @property
    def df_residual(self) -> float | NDArray[Any]:
        """Infinite: the variances are taken as known."""
        return np.inf

    @property
    def residual_sd(self) -> NDArray[np.float64]:
        """Standard deviation of an image of mean weight, shape (n_voxels,); NaN without data."""
        n = self._state.counts[0]
        total = self._state.sums[1]
        sd: NDArray[np.float64] = np.sqrt(n / np.where(total > 0, total, np.nan))
        return sd

    @property
    def q(self) -> NDArray[np.float64]:
        """Cochran's Q, the weighted residual sum of squares, shape (n_voxels,)."""
        return self.rss

    @property
    def q_p_value(self) -> NDArray[np.float64]:
        """Probability of a larger Q if images differ by their variances only, shape (n_voxels,).

        By chi-square with n - rank degrees of freedom; NaN where there are none.
        """
        from scipy.special import chdtrc

        df = np.asarray(self._residual_freedom, dtype=np.float64)
        p_value: NDArray[np.float64] = chdtrc(np.where(df > 0, df, np.nan), self.q)
        return p_value

    @property
    def i_squared(self) -> NDArray[np.float64]:
        """Share of Q that exceeds its expectation, 100 (Q - df) / Q percent, at least 0: I2.

        Shape (n_voxels,).
        """
        q, df = self.q, np.asarray(self._residual_freedom, dtype=np.float64)
        excess = np.maximum(q - df, 0.0) / np.where(q > 0, q, 1.0)
        share: NDArray[np.float64] = np.where(df > 0, 100 * excess, np.nan)
        return share

    @property
    def h_squared(self) -> NDArray[np.float64]:
        """Q over its expectation, its degrees of freedom: H2, shape (n_voxels,)."""
        df = np.asarray(self._residual_freedom, dtype=np.float64)
        return self.q / np.where(df > 0, df, np.nan)

    def weights(self, V: ArrayLike) -> NDArray[np.float64]:
        """Return the weights of the images, in percent of the weight of all.

        Parameters
        ----------
        V : array_like, shape (n_images, n_voxels)
            The variances of the images, which the fit does not keep. Select places before:
            ``fit.select(places).weights(V[:, places])``.

        Returns
        -------
        array, shape (n_images, n_voxels)
            They add up to 100 at every voxel; 0 for an image whose variance is NaN or 0.

        Raises
        ------
        ValueError
            If V has another shape.
        """
        v = real_array("V", V, missing=True).astype(np.float64)
        wanted = (len(self.X), self.n_voxels)
        if v.shape != wanted:
            raise ArgumentError("V", f"shape {v.shape}", f"{wanted}, as it was fitted", verb="has")
        total = np.where(v > 0, v, np.inf) + self._tau2_of_images()
        # Relative to the smallest: no weight is too large for a float64.
        w = np.fmin.reduce(total, axis=0) / np.where(np.isnan(total), np.inf, total)
        w = np.where(np.isinf(total), 0.0, w)
        share: NDArray[np.float64] = 100 * w / np.sum(w, axis=0)
        return share

    def _tau2_of_images(self) -> NDArray[np.float64]:
        """Return the variance of every image beside its own."""
        return np.zeros(self.n_voxels)

    @property
    def _inference(self) -> tuple[str, str]:
        return "one", "infinite"

    def maps(self) -> Mapping[str, Callable[[], NDArray[np.float64]]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "i_squared", "h_squared", "q" and "q_p_value".
        """
        return {
            "i_squared": lambda: self.i_squared,
            "h_squared": lambda: self.h_squared,
            "q": lambda: self.q,
            "q_p_value": lambda: self.q_p_value,
        }

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_fixed()
