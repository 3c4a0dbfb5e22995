# SPDX-License-Identifier: BSD-3-Clause
"""The result of a fit by least squares, a frozen dataclass over a compiled state: `OlsFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.models.arguments import (
    StatType,
    check_contrast,
    check_data,
    check_rows,
    choose_stat_type,
    refuse,
)
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.words import Words
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Model

__all__ = ["ContrastResult", "OlsFit", "StatType"]

_STATE = ("r", "w", "rss", "missing_slot", "missing_factors", "missing_rows", "exponent")
_SEARLE = "Searle SR. Linear Models. New York: Wiley; 1971."


@dataclass(frozen=True, eq=False)
class OlsFit:
    """An ordinary least-squares fit at every voxel; made by `fit_ols`.

    It keeps only the state, a few numbers per voxel. Each attribute is computed from the state, in
    compiled code, every time that you use it. In a loop, use a variable that holds the attribute.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns, for messages.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    """

    X: NDArray[np.float64] = field(repr=False)
    column_names: tuple[str, ...]
    n_threads: int
    _state: _core.OlsState = field(repr=False)
    _design: _core.Design = field(repr=False)
    model: ClassVar[Model]  # ordinary least squares, whose module makes the fits and sets this

    def __repr__(self) -> str:
        return f"OlsFit({self.facts})"

    @property
    def facts(self) -> str:
        """A short description of the fit: images, voxels, degrees of freedom, columns."""
        return self.described("voxels")

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
        return (
            f"{len(self.X):,} images: {self.n_voxels:,} {places}, {span(self.df_residual)} degrees "
            f"of freedom, {'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> OlsFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        OlsFit
            Its state is a copy.
        """
        return replace(self, _state=self._state.select(places))

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the compiled object itself: a processor of another level has another compiled module.
        parts = self.state_parts()
        # The model travels too, so that the process that loads this knows it.
        return _unpickled, (self.model, self.X, self.column_names, self.n_threads, parts)

    def state_parts(self) -> tuple[Any, ...]:
        """Take the state apart into a number and arrays, for storage.

        Returns
        -------
        tuple
            What `from_parts` takes: the number of images; the factor of the rows; the coordinates
            of the data in the space of the design; the residual sums of squares; for voxels with
            missing values their slots, factors and numbers of rows; and the exponents of two that
            scale voxels whose squares a double cannot hold.
        """
        return self._state.__getstate__()

    @classmethod
    def from_parts(
        cls,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        n_threads: int,
        parts: tuple[Any, ...],
    ) -> OlsFit:
        """Put a fit together again.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        n_threads : int
            Number of threads.
        parts : tuple
            As `state_parts` returns them.

        Returns
        -------
        OlsFit
            Equal to the one that was taken apart.

        Raises
        ------
        ValueError
            If the parts do not fit each other or the design.
        """
        state = _core.OlsState.__new__(_core.OlsState)
        state.__setstate__(parts)
        matrix = np.array(X, order="C")
        matrix.setflags(write=False)
        design = _core.Design(matrix)
        if len(parts[1]) != design.n_working:
            raise ValueError(
                f"a state of {len(parts[1])} dimensions does not fit a design of {design.n_working}"
            )
        return cls(matrix, column_names, n_threads, state, design)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self._state.n_voxels

    @property
    def beta(self) -> NDArray[np.float64]:
        """Coefficients, shape (n_columns, n_voxels), in units of the data per unit of the column.

        If the columns are linearly dependent, these are the coefficients of minimum norm, which
        depend on the units of the columns; estimable contrasts do not. NaN where a voxel has no
        data.
        """
        return _core.beta(self._state, self._design, self.n_threads)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the images that have the voxel, shape (n_voxels,); NaN where none has it."""
        return _core.mean(self._state, self._design, self.n_threads)

    @property
    def rss(self) -> NDArray[np.float64]:
        """Residual sum of squares, shape (n_voxels,)."""
        return _core.rss(self._state, self._design, self.n_threads)

    @property
    def residual_variance(self) -> NDArray[np.float64]:
        """RSS over the residual degrees of freedom, shape (n_voxels,); NaN where there are none."""
        df = np.asarray(self.df_residual, dtype=np.float64)
        return self.rss / np.where(df > 0, df, np.nan)

    @property
    def residual_sd(self) -> NDArray[np.float64]:
        """Root of the residual variance, shape (n_voxels,), also where double holds no square."""
        df = np.asarray(self.df_residual, dtype=np.float64)
        norm = _core.residual_norm(self._state, self._design, self.n_threads)
        return norm / np.sqrt(np.where(df > 0, df, np.nan))

    @property
    def r_square(self) -> NDArray[np.float64]:
        """1 - RSS/TSS, shape (n_voxels,); NaN where the data do not vary.

        TSS is about the mean if the design, in the rows that have a value at the voxel, contains
        the constant (as a column or a combination of columns), else about zero.
        """
        return _core.r_square(self._state, self._design, self.n_threads)

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) when any value is missing."""
        return self._observations_and_rank()[0]

    @property
    def rank(self) -> int | NDArray[np.int64]:
        """Rank of the design: one number, or one for the rows of each voxel, shape (n_voxels,)."""
        return self._observations_and_rank()[1]

    @property
    def df_residual(self) -> int | NDArray[np.int64]:
        """Residual degrees of freedom, n - rank: one number, or shape (n_voxels,)."""
        n_observations, rank = self._observations_and_rank()
        return n_observations - rank

    def _observations_and_rank(
        self,
    ) -> tuple[int, int] | tuple[NDArray[np.int64], NDArray[np.int64]]:
        if not self._state.has_missing:
            return self._state.n_rows, self._design.rank
        return _core.observations_and_rank(self._state, self._design, self.n_threads)

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
            Effects, statistics, p-values and z-scores.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.

        Notes
        -----
        The F statistic of rows :math:`C` is :math:`(C\beta)'[C(X'X)^-C']^-(C\beta) / r\sigma^2`
        with :math:`r` the rank of :math:`C` (Searle, *Linear Models*, 1971, chapter 5). The test is
        of the span of the rows, so F does not depend on how you write them, and :math:`r` is the
        same at every voxel that can estimate the contrast.

        If the data of a voxel do not vary and have no effect, there is no evidence: t or F and z
        are 0, and p is that of the statistic, 0.5 or 1.

        Examples
        --------
        >>> import numpy as np
        >>> from groupglm import fit_ols
        >>> Y = np.array([[1.0], [2.0], [3.0]])
        >>> result = fit_ols(np.ones((3, 1)), Y).contrast([1])
        >>> round(float(result.effect_size[0]), 4), round(float(result.stat[0]), 4), result.df
        (2.0, 3.4641, 2)
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        if not _core.is_estimable(self._state, self._design, rows):
            raise refuse(self.X, self.column_names, np.atleast_2d(values))
        effect, variance, stat, p_value, z_score, rank = _core.contrast(
            self._state, self._design, rows, chosen, self.n_threads
        )
        df_residual = self.df_residual
        return ContrastResult(
            effect_size=effect[0] if chosen == "t" else effect,
            effect_variance=variance,
            stat=stat,
            p_value=p_value,
            z_score=z_score,
            stat_type=chosen,
            df=df_residual if chosen == "t" else (rank, df_residual),
        )

    def predicted(self, X: ArrayLike | None = None) -> NDArray[np.float64]:
        """Compute the fitted values X beta.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), optional
            Rows of a design, by default those that were fitted.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Fitted values.

        Raises
        ------
        ValueError
            If X has another number of columns.
        """
        return _core.predict(self._rows(X), self.beta, self.n_threads)

    def residuals(
        self, X: ArrayLike | None, Y: NDArray[np.float32] | NDArray[np.float64]
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Compute the residuals Y - X beta. The fit does not keep the data: give them again.

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

        Raises
        ------
        ValueError
            If the shapes do not match the fit, or Y is of another type.
        """
        rows = self._rows(X)
        data = check_data(Y, len(rows), self.n_voxels)
        return _core.residuals(rows, self.beta, data, self.n_threads)

    def _rows(self, X: ArrayLike | None) -> NDArray[np.float64]:
        return self.X if X is None else check_rows(X, self.column_names)

    def maps(self) -> Mapping[str, Callable[[], NDArray[np.float64]]]:
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
            Shapes and names are those of `groupglm.estimator.model_file`. An empty array may be
            left out.
        """
        _, *parts = self.state_parts()
        own = dict(zip(_STATE, parts, strict=True))
        if not len(own["exponent"]):
            del own["exponent"]
        return own

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its source, and the references.
        """
        return Words(
            plain="fitted by ordinary least squares",
            cited="fitted by ordinary least squares (Searle, 1971)",
            references=(_SEARLE,),
        )


def _unpickled(model: Model, *parts: Any) -> OlsFit:
    del model
    return OlsFit.from_parts(*parts)
