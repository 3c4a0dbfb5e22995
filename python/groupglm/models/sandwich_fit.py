# SPDX-License-Identifier: BSD-3-Clause
"""The result of a fit with the sandwich estimator: `SandwichFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.design.collinearity import describe_contrast
from groupglm.errors import ArgumentError, warn_caller
from groupglm.models.arguments import StatType, check_contrast, choose_stat_type, refuse
from groupglm.models.base import by_arrays
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.sandwich_blocks import numbers_present
from groupglm.models.sandwich_sums import SandwichSums
from groupglm.models.sandwich_words import words_of_sandwich
from groupglm.runtime.naming import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Values
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.results import OlsFit
    from groupglm.models.sandwich_blocks import SandwichBlocks
    from groupglm.models.subject_rows import SubjectRows
    from groupglm.models.words import Words

    Floats = NDArray[np.float64]

__all__ = ["SandwichFit", "fits_exactly"]


@dataclass(frozen=True, eq=False)
class SandwichFit:
    """A fit by ordinary least squares at every voxel, with variances by the sandwich of subjects.

    It keeps the state of least squares and the sums of the residuals' products, from which every
    contrast follows. Most attributes are computed, in compiled code, every time that you use them.

    Parameters
    ----------
    model : groupglm.RepeatedMeasures
        The model.
    subjects : SubjectRows
        Whose image each image is.
    """

    model: RepeatedMeasures = field(repr=False)
    subjects: SubjectRows = field(repr=False)
    _ols: OlsFit = field(repr=False)
    _blocks: SandwichBlocks = field(repr=False)
    _sums: SandwichSums = field(repr=False)

    def __repr__(self) -> str:
        return f"SandwichFit({self.described('voxels')})"

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
            Numbers of images, subjects and places, and the columns.
        """
        names = self.column_names
        groups = self.subjects.groups
        kind = "" if groups is None else f" homogeneous in {counted(len(set(groups)), 'group')}"
        return (
            f"{len(self.X):,} images of {counted(self.subjects.n_subjects, 'subject')}, "
            f"sandwich estimator{kind}: {self.n_voxels:,} {places}, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> SandwichFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        SandwichFit
            Its arrays are copies.
        """
        return replace(self, _ols=self._ols.select(places), _sums=self._sums.select(places))

    @property
    def beta(self) -> Floats:
        """Coefficients of ordinary least squares, shape (n_columns, n_voxels)."""
        return self._ols.beta

    @property
    def mean(self) -> Floats:
        """Mean of the images that have the voxel, shape (n_voxels,); NaN where none has it."""
        return self._ols.mean

    @property
    def residual_sd(self) -> Floats:
        """Standard deviation of an image about the fit, shape (n_voxels,).

        The root of the residual sum of squares over n less the rank: an average over the images,
        whatever their covariance.
        """
        return self._ols.residual_sd

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
        """Images less the rank of the design: one number, or shape (n_voxels,).

        A contrast has other degrees of freedom: see `ContrastResult.df`.
        """
        return self._ols.df_residual

    @property
    def n_subjects(self) -> NDArray[np.int64]:
        """Number of subjects with an image, shape (n_voxels,)."""
        _, counts = numbers_present(self._sums.patterns, self.subjects)
        return np.append(counts, self.subjects.n_subjects)[self._sums.pattern]

    @property
    def at_boundary(self) -> NDArray[np.bool_]:
        """Where negative eigenvalues of a group's covariance became 0, shape (n_voxels,)."""
        projected = self._sums.projected
        return projected != 0 if len(projected) else np.zeros(self.n_voxels, dtype=np.bool_)

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        r"""Test a contrast of the coefficients at every voxel.

        Parameters
        ----------
        contrast : array_like, shape (n_columns,) or (n_rows, n_columns)
            A vector gives a t statistic, and a matrix an F statistic of its rows together.
        stat_type : {"t", "F"}, optional
            The statistic, if it should be another one: "F" of a vector, "t" of a matrix of one row.

        Returns
        -------
        ContrastResult
            Effects, statistics, p-values and z-scores. The degrees of freedom are one number for
            each voxel. All are NaN where the images cannot estimate the contrast, or leave no
            degree of freedom.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, `stat_type` does not fit, or
            the design has no degrees of freedom for it.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.

        Warns
        -----
        UserWarning
            If F has too few degrees of freedom at some voxels.

        Notes
        -----
        With the covariance V of the q estimates C b and df degrees of freedom of V, the statistic
        of several rows is Hotelling's

        .. math:: F = \frac{df - q + 1}{df\, q} (Cb)' V^{-1} (Cb)

        on q and df - q + 1 degrees of freedom (Guillaume et al. 2014). It does not depend on how
        you write the rows: where a rule for df is not the same for all rows, it is taken where V is
        the identity.
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        state, design = self._ols._state, self._ols._design
        try:
            independent, _ = design.partition(rows)
        except ValueError:
            raise refuse(self.X, self.column_names, rows) from None
        lengths = design.gains(rows) @ independent.T
        found = _core.contrast_parts(
            state, design, np.ascontiguousarray(independent @ self.X), self.n_threads
        )
        scaled = self._in_scale(*found)
        variance, wald, df = self._tested(scaled, independent, self._sums)
        has_freedom = not np.isnan(df[~np.isnan(scaled).any(axis=0)]).all()
        if not has_freedom and not self._has_freedom(independent):
            raise self._without_freedom(rows)
        effect = lengths @ found[0]
        if chosen == "t":
            own = float(lengths[0, 0]) ** 2 * self._in_units(variance)
            tested = _core.t_statistics(scaled[0], variance, df, self.n_threads)
            return ContrastResult(effect[0], own, *tested, "t", df)
        q = len(independent)
        left = df - q + 1
        self._warn_of_few(df, q)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            pooled = self.residual_sd**2
            factor = np.where(left > 0, df / left, np.nan)
        left = np.where(left > 0, left, np.nan)
        tested = _core.f_statistics(wald, factor, float(q), left, self.n_threads)
        return ContrastResult(effect, pooled, *tested, "F", (q, left))

    def _has_freedom(self, independent: Floats) -> bool:
        """Return whether a place has degrees of freedom if it has all images, of equal variances.

        Shapes: `independent` (q, n_images).
        """
        blocks = self._blocks
        own = np.zeros((blocks.n_sums, 1))
        own[blocks.diagonals] = 1.0
        place = SandwichSums(
            own,
            np.ones((len(self._sums.fourth), 1)),
            np.full(1, -1, dtype=np.int32),
            self._sums.patterns[:0],
            np.zeros(min(len(self._sums.projected), 1), dtype=np.uint8),
        )
        df = self._tested(np.zeros((len(independent), 1)), independent, place)[2]
        return not bool(np.isnan(df).any())

    def _tested(
        self, effect: Floats, independent: Floats, sums: SandwichSums
    ) -> tuple[Floats, Floats, Floats]:
        """Return the variance, the Wald statistic and the degrees of freedom, in the sums' scale.

        Shapes: `effect` (q, n_places), `independent` (q, n_images); `sums` are those of the places.
        """
        g = np.ascontiguousarray(independent @ self._blocks.basis)
        blocks = self._blocks
        return _core.sandwich_test(
            blocks.basis,
            blocks.subject,
            blocks.part,
            blocks.group,
            blocks.visit,
            str(self.model.adjustment),
            str(self.model.df),
            sums.sums,
            sums.fourth,
            sums.pattern,
            sums.patterns,
            effect,
            g,
            self.n_threads,
        )

    def _in_scale(self, effect: Floats, gram: Floats, df: Floats, rounding: Floats) -> Floats:
        """Return effects in the scale of the sums, 0 where they are rounding beside no variance."""
        del df
        q = len(effect)
        diagonal = np.cumsum([0, *range(q, 1, -1)])
        noise = rounding * np.sqrt(gram[diagonal])
        scaled: Floats = np.where(fits_exactly(self._ols) & (np.abs(effect) <= noise), 0.0, effect)
        exponent = self._ols.state_parts()[-1]
        if len(exponent):
            scaled = np.ldexp(scaled, -exponent.astype(np.int32))
        return np.ascontiguousarray(scaled)

    def _in_units(self, variance: Floats) -> Floats:
        exponent = self._ols.state_parts()[-1]
        if not len(exponent):
            return variance
        with np.errstate(over="ignore"):  # as that of any variance that double does not hold
            own: Floats = np.ldexp(variance, 2 * exponent.astype(np.int32))
        return own

    def _without_freedom(self, rows: Floats) -> ArgumentError:
        """Return the error for a contrast that has no degrees of freedom anywhere."""
        said = " and ".join(describe_contrast(row, self.column_names) for row in rows)
        return ArgumentError.about(
            "contrast",
            f"contrast {said} has no degrees of freedom by the rule {self.model.df!r}: it depends "
            "on what the images of one subject alone estimate, of which residuals say nothing (as "
            "with a column for a subject, or a group of one), or too few of the "
            f"{counted(self.subjects.n_subjects, 'subject')} are left",
            "drop such columns, or test an effect within subjects",
        )

    def _warn_of_few(self, df: Floats, q: int) -> None:
        few = df <= q - 1
        n = int(np.count_nonzero(few))
        if n:
            warn_caller(
                f"F of {q} rows needs more than {q - 1} degrees of freedom, but {n:,} of "
                f"{self.n_voxels:,} places have down to {np.nanmin(df[few]):.3g}: the F there is "
                "NaN. Test fewer rows together, or add subjects",
                UserWarning,
            )

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
        """Compute the residuals Y - X beta, not adjusted. Give the data again.

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

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "n_subjects": how many subjects have an image of the voxel.
        """
        return {"n_subjects": lambda: self.n_subjects.astype(np.float64)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state and the sums as arrays by name, for a file.

        Returns
        -------
        dict of array
            Those of `OlsFit.arrays`; "basis", shape (n_images, rank); "sums", "pattern", "patterns"
            and, if the estimator has them, "fourth" and "projected", as in `SandwichSums`.
        """
        return self._ols.arrays() | {"basis": self._blocks.basis} | self._sums.arrays()

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        return words_of_sandwich(
            str(self.model.adjustment), str(self.model.df), self.subjects.groups is not None
        )


def fits_exactly(ols: OlsFit) -> NDArray[np.bool_]:
    """Return where residuals are rounding, also of data whose squares double does not hold."""
    exact: NDArray[np.bool_] = _core.residual_norm(ols._state, ols._design, ols.n_threads) == 0
    return exact
