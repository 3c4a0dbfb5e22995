# SPDX-License-Identifier: BSD-3-Clause
"""The result of a fit with a variance for each group of images: `UnequalFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.design.collinearity import quote_names
from groupglm.models.arguments import (
    StatType,
    check_contrast,
    choose_stat_type,
    refuse,
)
from groupglm.models.base import by_arrays
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.fitted_values import FittedValues
from groupglm.models.results import OlsFit
from groupglm.models.variance_groups import GroupDesign, mean_of_groups, split_contrast
from groupglm.models.welch_james import GroupEffects, welch_james
from groupglm.models.words import Words
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Model
    from groupglm.models.ols import OlsAccumulator

    Floats = NDArray[np.float64]

__all__ = ["UnequalFit"]

_REFERENCES = (
    "Johansen S. The Welch-James approximation to the distribution of the residual sum of squares "
    "in a weighted linear regression. Biometrika. 1980;67(1):85-92.",
    "Satterthwaite FE. An approximate distribution of estimates of variance components. Biometrics "
    "Bulletin. 1946;2(6):110-114.",
    "Welch BL. The generalization of 'Student's' problem when several different population "
    "variances are involved. Biometrika. 1947;34(1-2):28-35.",
    "Welch BL. On the comparison of several mean values: an alternative approach. Biometrika. "
    "1951;38(3-4):330-336.",
)


@dataclass(frozen=True, eq=False)
class UnequalFit(FittedValues):
    """A fit at every voxel by ordinary least squares, with a variance for each group of images.

    It keeps the state of each group's fit, a few numbers per voxel. Each attribute is computed from
    the states every time that you use it.

    Parameters
    ----------
    model : groupglm.UnequalVariances
        The model.
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    groups : tuple of GroupDesign
        The groups: their names, images and columns.
    """

    model: Model = field(repr=False)
    X: Floats = field(repr=False)
    column_names: tuple[str, ...]
    n_threads: int
    groups: tuple[GroupDesign, ...] = field(repr=False)
    _states: tuple[OlsAccumulator, ...] = field(repr=False)
    _design: _core.Design = field(repr=False)

    def __repr__(self) -> str:
        return f"UnequalFit({self.described('voxels')})"

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
            Numbers of images, groups, places and degrees of freedom, and the columns.
        """
        names = self.column_names
        return (
            f"{len(self.X):,} images in {len(self.groups)} groups of unequal variance: "
            f"{self.n_voxels:,} {places}, {span(self.df_residual)} degrees of freedom, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> UnequalFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        UnequalFit
            Its states are copies.
        """
        return replace(self, _states=tuple(own.select(places) for own in self._states))

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self._states[0].state.n_voxels

    @property
    def _fits(self) -> tuple[OlsFit, ...]:
        """The ordinary fit of each group to its own images."""
        return tuple(
            OlsFit(group.X, tuple(self.column_names[j] for j in group.columns), self.n_threads,
                   own.state, own.design)
            for group, own in zip(self.groups, self._states, strict=True)
        )  # fmt: skip

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) when any value is missing."""
        return sum(fit.n_observations for fit in self._fits)

    @property
    def rank(self) -> int | NDArray[np.int64]:
        """Rank of the design: one number, or one for the rows of each voxel, shape (n_voxels,)."""
        return sum(fit.rank for fit in self._fits)

    @property
    def df_residual(self) -> int | NDArray[np.int64]:
        """Residual degrees of freedom of all groups together, n - rank.

        One number, or shape (n_voxels,). A contrast has other degrees of freedom, which depend on
        the groups' variances: see `ContrastResult.df`.
        """
        return sum(fit.df_residual for fit in self._fits)

    @property
    def group_variance(self) -> Floats:
        """Residual variance of each group, shape (n_groups, n_voxels); NaN where it has none."""
        return np.stack([fit.residual_variance for fit in self._fits])

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (n_columns, n_voxels), in units of the data per unit of the column.

        They are those of ordinary least squares. NaN where the group of a column has no data. If
        columns of the whole design are linearly dependent, these are one of the solutions.
        """
        beta = np.zeros((self.X.shape[1], self.n_voxels))
        parts = split_contrast(self.groups, self._design.gains(np.eye(self.X.shape[1])))
        for fit, part in zip(self._fits, parts, strict=True):
            if part is None:
                continue
            own = fit.beta
            for j in np.flatnonzero(part.any(axis=1)):
                for k in np.flatnonzero(part[j]):
                    beta[j] += part[j, k] * own[k]
        return beta

    @property
    def mean(self) -> Floats:
        """Mean of the images that have the voxel, shape (n_voxels,); NaN where none has it."""
        total, count = np.zeros(self.n_voxels), np.zeros(self.n_voxels)
        for fit in self._fits:
            n = np.broadcast_to(fit.n_observations, self.n_voxels)
            total += n * np.where(n > 0, fit.mean, 0.0)
            count += n
        return total / np.where(count > 0, count, np.nan)

    @property
    def residual_sd(self) -> Floats:
        """Standard deviation of an image about the fit, pooled over the groups, (n_voxels,)."""
        df = np.asarray(self.df_residual, dtype=np.float64)
        return self._norm / np.sqrt(np.where(df > 0, df, np.nan))

    @property
    def _norm(self) -> Floats:
        """Root of the residual sum of squares, also where double does not hold the squares."""
        found = [_core.residual_norm(own.state, own.design, self.n_threads) for own in self._states]
        norms = np.nan_to_num(np.stack(found), nan=0.0)  # of a group without data
        largest = norms.max(axis=0)
        unit = np.where(largest > 0, largest, 1.0)
        root: Floats = unit * np.sqrt(((norms / unit) ** 2).sum(axis=0))
        return root

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
            Effects, statistics, p-values and z-scores, as `UnequalVariances` defines them. Its
            `df` are a number for each voxel: Satterthwaite's for t, Johansen's for F. Values are
            NaN where a group that the contrast depends on has no residual degree of freedom.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.

        Notes
        -----
        A group whose data do not vary at a voxel has a variance of zero there. If no group of the
        contrast varies and there is no effect, t or F and z are 0.
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        try:
            basis, _ = self._design.partition(rows)
        except ValueError:
            raise refuse(self.X, self.column_names, rows) from None
        parts, norms = [], []
        for part, own in zip(split_contrast(self.groups, basis), self._states, strict=True):
            if part is None:
                continue
            found = _core.contrast_parts(own.state, own.design, part, self.n_threads)
            parts.append(GroupEffects(*found))
            norms.append(_core.residual_norm(own.state, own.design, self.n_threads))
        result = welch_james(parts, norms, self.n_threads)
        lengths = self._design.gains(rows) @ basis.T
        effect = lengths @ result.effect
        if chosen == "t":
            variance = float(lengths[0, 0]) ** 2 * result.variance
            return ContrastResult(effect[0], variance, *result.t(), "t", result.df)
        with np.errstate(over="ignore"):
            pooled = self.residual_sd**2
        return ContrastResult(effect, pooled, *result.f(), "F", (len(basis), result.df))

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return no maps: the variances of groups are in `group_variance`.

        Returns
        -------
        mapping
            Empty.
        """
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the groups' states as arrays by name, for a file.

        Returns
        -------
        dict of array
            Those of `OlsFit.arrays`, with "group0_", "group1_" and so on before their names.
        """
        return {
            f"group{number}_{name}": array
            for number, fit in enumerate(self._fits)
            for name, array in fit.arrays().items()
        }

    def standardiser(self, contrast: Floats) -> Floats:
        """Return what Cohen's d divides by: the root of the mean of the groups' variances.

        Parameters
        ----------
        contrast : array, shape (n_columns,) or (1, n_columns)
            Groups on which it does not depend are left out.

        Returns
        -------
        array, shape (n_voxels,)
            In units of the data.
        """
        mean = mean_of_groups(self.groups, self._design, contrast, self.group_variance)
        return np.sqrt(mean)

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase with the groups, one with its sources, and the references.
        """
        sizes = quote_names([group.name for group in self.groups])
        plain = (
            "fitted by ordinary least squares, with a residual variance for each of "
            f"{len(self.groups)} groups ({sizes})"
        )
        return Words(
            plain=plain,
            cited=plain + "; degrees of freedom are approximated voxel by voxel from the groups' "
            "variances (Satterthwaite, 1946; Welch, 1947; Welch, 1951; Johansen, 1980)",
            references=_REFERENCES,
        )
