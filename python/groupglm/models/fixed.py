# SPDX-License-Identifier: BSD-3-Clause
"""Fixed effects: images weighted by the inverse of their own variances, tested by z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.models.ols import checked_design
from groupglm.models.weighted import WeightedPlan, load_state
from groupglm.models.weighted_fit import WeightedFit
from groupglm.models.weighted_words import words_of_fixed
from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

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
            f"{len(self.X):,} images of known variance: {self.n_voxels:,} {places}, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    @property
    def df_residual(self) -> float:
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
    def _inference(self) -> tuple[str, str]:
        return "one", "infinite"

    def maps(self) -> Mapping[str, Callable[[], NDArray[np.float64]]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "q".
        """
        return {"q": lambda: self.q}

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_fixed()
