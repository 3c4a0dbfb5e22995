# SPDX-License-Identifier: BSD-3-Clause
"""The result of a fit with a random intercept of each subject: `RandomInterceptFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.models.arguments import (
    check_contrast,
    choose_stat_type,
    refuse,
)
from groupglm.models.base import by_arrays
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.fitted_values import FittedValues
from groupglm.models.repeated_words import words_of_random_intercept
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.arguments import StatType
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.subject_rows import SubjectRows
    from groupglm.models.words import Words

    Floats = NDArray[np.float64]

__all__ = ["STATE_NAMES", "RandomInterceptFit"]

STATE_NAMES = ("r", "w", "rss", "missing_slot", "missing_factors", "missing_rows", "exponent")
"""The arrays of a state of least squares, in the order in which it gives them after a number."""


@dataclass(frozen=True, eq=False, repr=False)
class RandomInterceptFit(FittedValues):
    """A fit at every voxel with a random intercept of each subject; made by `fit_repeated`.

    It keeps the states from which the fit follows, a few numbers per voxel, whatever the number of
    images. Most attributes are computed from the states, in compiled code, every time that you use
    them. In a loop, use a variable that holds the attribute.

    Where a voxel's images cannot tell the two variances apart, such as with one image left of each
    subject, its variances and statistics are NaN.

    Parameters
    ----------
    model : groupglm.RepeatedMeasures
        The model.
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    subjects : SubjectRows
        Whose image each image is.
    """

    model: RepeatedMeasures = field(repr=False)
    X: Floats = field(repr=False)
    column_names: tuple[str, ...]
    n_threads: int
    subjects: SubjectRows = field(repr=False)
    _state: _core.RepeatedState = field(repr=False)
    _design: _core.Design = field(repr=False)
    _ratio: Floats = field(repr=False)
    _residual_variance: Floats = field(repr=False)

    def __repr__(self) -> str:
        return f"RandomInterceptFit({self.described('voxels')})"

    def __reduce__(self) -> tuple[Any, ...]:
        return by_arrays(self, self.n_voxels)

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers.

        Parameters
        ----------
        places : str
            What places are called, such as ``"voxels"``.

        Returns
        -------
        str
            Numbers of images, subjects, places and degrees of freedom, and the columns.
        """
        names = self.column_names
        return (
            f"{len(self.X):,} images of {self.subjects.n_subjects:,} subjects, random intercept: "
            f"{self.n_voxels:,} {places}, {span(self.df_residual)} degrees of freedom, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> RandomInterceptFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        RandomInterceptFit
            Its states are copies.
        """
        return replace(
            self,
            _state=self._state.select(places),
            _ratio=self._ratio[places],
            _residual_variance=self._residual_variance[places],
        )

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self._state.n_voxels

    @property
    def residual_variance(self) -> Floats:
        """Variance of an image about its subject's level, in squared units, shape (n_voxels,)."""
        return self._residual_variance

    @property
    def subject_variance(self) -> Floats:
        """Variance of the subjects' levels, in squared units of the data, shape (n_voxels,)."""
        variance: Floats = self._ratio * self._residual_variance
        return variance

    @property
    def intraclass_correlation(self) -> Floats:
        """Correlation of two images of a subject about X beta, from 0 to 1, shape (n_voxels,)."""
        share: Floats = self._ratio / (1.0 + self._ratio)
        return share

    @property
    def at_boundary(self) -> NDArray[np.bool_]:
        """Where the subjects' variance is estimated at 0, shape (n_voxels,)."""
        is_zero: NDArray[np.bool_] = self._ratio == 0.0
        return is_zero

    @property
    def reml_criterion(self) -> Floats:
        r"""Minus twice the restricted log likelihood, shape (n_voxels,).

        :math:`(n-p)(1 + \log(2\pi s^2)) + \log|V_0| + \log|X'V_0^{-1}X|`, with
        :math:`V = s^2 V_0`; as R's lme4 has it. If columns of the design depend on each other, the
        constant :math:`\log|X'X|` is left out.
        """
        return _core.restricted_criterion(self._state, self._design, self._ratio, self.n_threads)

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) if any image lacks a voxel."""
        n = self._present[1]
        return len(self.X) if (n == len(self.X)).all() else n

    @property
    def n_subjects(self) -> NDArray[np.int64]:
        """Number of subjects that have an image with the voxel, shape (n_voxels,)."""
        return self._present[3]

    @property
    def df_residual(self) -> int | NDArray[np.int64]:
        """Number of images less the rank of the design: one number, or shape (n_voxels,).

        A contrast has other degrees of freedom, which depend on the variances: see
        `ContrastResult.df`.
        """
        _, n, rank, _ = self._present
        if (n == len(self.X)).all():
            return len(self.X) - self._design.rank
        return n - rank

    @property
    def mean(self) -> Floats:
        """Mean of the images that have the voxel, shape (n_voxels,); NaN where none has it."""
        return self._present[0]

    @property
    def residual_sd(self) -> Floats:
        """Standard deviation of one image about the fitted values X beta, shape (n_voxels,)."""
        root: Floats = np.sqrt(self._residual_variance) * np.sqrt(1.0 + self._ratio)
        return root

    @property
    def beta(self) -> Floats:
        """Coefficients of generalised least squares, shape (n_columns, n_voxels).

        In units of the data per unit of the column; NaN where the variances are not known.
        """
        return _core.random_intercept_beta(self._state, self._design, self._ratio, self.n_threads)

    @cached_property
    def _present(self) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Mean, number of images, rank and number of subjects of every voxel."""
        return _core.present_images(self._state, self._design, self.n_threads)

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
            Effects, statistics, p-values and z-scores, as `RepeatedMeasures` defines them. Its `df`
            are a number for each voxel. All are NaN where a voxel's images cannot estimate the
            contrast or the variances.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        try:
            self._design.partition(rows)
        except ValueError:
            raise refuse(self.X, self.column_names, rows) from None
        effect, variance, stat, p, z, df, rank = _core.random_intercept_contrast(
            self._state, self._design, self._ratio, rows, chosen, str(self.model.df), self.n_threads
        )
        if chosen == "t":
            return ContrastResult(effect[0], variance, stat, p, z, "t", df)
        return ContrastResult(effect, variance, stat, p, z, "F", (rank, df))

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "intraclass_correlation", "subject_variance", "residual_variance" and "n_subjects".
        """
        names = ("intraclass_correlation", "subject_variance", "residual_variance")
        own: dict[str, Callable[[], Floats]] = {
            name: partial(getattr, self, name) for name in names
        }
        return own | {"n_subjects": lambda: self.n_subjects.astype(np.float64)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the states and the variances as arrays by name, for a file.

        Returns
        -------
        dict of array
            "ratio" and "residual_variance", shape (n_voxels,); "sizes", the numbers of images that
            a subject has; and those of a state of ordinary least squares for what is within
            subjects, their names after "within_", and for the means of subjects with m images,
            after "means{m}_". An empty array is left out.
        """
        within, sizes, means = self._state.__getstate__()
        found = {
            "ratio": self._ratio,
            "residual_variance": self._residual_variance,
            "sizes": sizes,
        }
        named = {f"means{size}": state for size, state in zip(sizes.tolist(), means, strict=True)}
        for prefix, state in ({"within": within} | named).items():
            for name, array in zip(STATE_NAMES, state[1:], strict=True):
                if array.size:
                    found[f"{prefix}_{name}"] = array
        return found

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_random_intercept(str(self.model.df), self.subjects.n_subjects)
