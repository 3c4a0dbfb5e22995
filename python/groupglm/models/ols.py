# SPDX-License-Identifier: BSD-3-Clause
"""Ordinary least squares at many voxels: on arrays, and as a model of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.design.collinearity import quote_names
from groupglm.design.matrix import check_design_matrix, check_size, describe_dependence
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, RankDeficientWarning, renamed, warn_caller
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import AsGiven, fill
from groupglm.models.effect_size_rules import OF_LEAST_SQUARES, EffectSizeRules
from groupglm.models.results import OlsFit
from groupglm.runtime.arguments import real_array, whole_number
from groupglm.runtime.array_archives import check_type
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays, subjects_of_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Rows

__all__ = [
    "OLS",
    "STATE_TYPES",
    "check_threads",
    "check_x",
    "check_y",
    "checked_design",
    "design_of_parts",
    "fit_ols",
]

_COMPLETE = -1
"""The slot, in the state, of a voxel that every row has."""

STATE_TYPES = {
    "r": ("float64", 2),
    "w": ("float64", 2),
    "rss": ("float64", 1),
    "missing_slot": ("int32", 1),
    "missing_factors": ("float64", 1),
    "missing_rows": ("int32", 1),
    "exponent": ("int16", 1),
}


def fit_ols(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    *,
    n_threads: int | None = None,
) -> OlsFit:
    """Fit the same linear model at every voxel.

    NaN in `Y` is a missing value, which is left out voxel by voxel: the numbers of a voxel are
    those of an ordinary fit to the rows that have a value there. Data without missing values take
    no longer for this.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers. Messages use the names of its columns, if it is a data
        frame. If X and Y are data frames whose indexes hold labels, rows are matched by label;
        labels that do not match are an error.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Data, with any strides. They are not copied. NaN and masked values are missing.
    n_threads : int, optional
        Number of threads, by default all. Any number gives the same bits.

    Returns
    -------
    OlsFit
        Coefficients, variances and degrees of freedom. Its method ``contrast`` tests contrasts.

    Raises
    ------
    TypeError
        If `X` or `Y` does not hold real numbers.
    ValueError
        If shapes do not match, `X` is not finite, `Y` holds infinite values (the message names the
        row and how many), or no residual degree of freedom is left. If an index called
        ``subject_label`` or ``participant_id`` has a subject on several rows, and `X` has no
        columns for the subjects (see `fit_repeated`).

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.

    Notes
    -----
    Orthogonal transformations add the rows to the fit (Golub and Van Loan, *Matrix Computations*,
    4th ed., section 6.5.3). Sums of squares therefore lose no digits, even if the mean of the data
    is large. The rank is that of a QR with column pivoting, of the columns scaled to unit length,
    with a tolerance of 1e-12.

    Memory, besides the data: 8 (n_columns + 2) bytes per voxel.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm import fit_ols
    >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> Y = np.array([[1.0, 0.0], [3.0, 1.0], [5.0, np.nan], [7.0, 0.5]])
    >>> fit = fit_ols(X, Y)
    >>> fit.beta[:, 0].round(6).tolist()
    [1.0, 2.0]
    >>> fit.df_residual.tolist()
    [2, 1]
    """
    rows = align_arrays({"X": X, "Y": Y}, "Y")
    matrix, names = check_x(rows["X"])
    data = check_y(rows["Y"], matrix.shape[0])
    refuse_repeated_subjects(subjects_of_arrays(rows), matrix, images="Y", matrix="X")
    threads = check_threads(n_threads)
    with renamed(design_matrix="X"):
        plan = OLS.prepare(matrix, names)
    try:
        seen = fill(plan, ArrayRows(data), n_threads=threads)
    except _core.InfiniteValueError as error:
        row, count = error.args
        raise ArgumentError(
            "Y",
            f"{count} infinite values in row {row + 1} (Y[{row}])",
            remedy="replace them by NaN to treat them as missing, or correct the image",
            verb="holds",
        ) from None
    return plan.finish(seen, threads)


@dataclass(frozen=True, eq=False)
class OlsAccumulator:
    """The compiled state of a fit, and the design whose rows it takes."""

    state: _core.OlsState
    design: _core.Design

    def __reduce__(self) -> tuple[Any, ...]:
        return _accumulator_of, (self.state.__getstate__(), self.design.__getstate__())

    @property
    def n_missing(self) -> int:
        """Number of voxels that some row has lacked so far."""
        return self.state.n_factors

    def update(
        self, first: int, rows: NDArray[np.float32] | NDArray[np.float64], n_threads: int
    ) -> None:
        """Take rows; `first` is the number of the first of them."""
        self.state.update(self.design, first, rows, n_threads)

    def merge(self, other: OlsAccumulator, n_threads: int) -> None:
        """Take what another accumulator has seen."""
        self.state.merge(other.state, n_threads)

    def select(self, places: NDArray[np.int64]) -> OlsAccumulator:
        """Return the accumulator of some of the voxels."""
        return OlsAccumulator(self.state.select(places), self.design)

    def spread(self, places: NDArray[np.int64], n_values: int) -> OlsAccumulator:
        """Return the accumulator of more places, at which all rows seen here were +0."""
        n_rows, r, w, rss, slot, factors, rows_of_slots, exponent = self.state.__getstate__()
        own = _core.OlsState.__new__(_core.OlsState)
        own.__setstate__(
            (
                n_rows,
                r,
                _spread(w, places, n_values),
                _spread(rss, places, n_values),
                _spread(slot, places, n_values, _COMPLETE) if len(slot) else slot,
                factors,
                rows_of_slots,
                _spread(exponent, places, n_values) if len(exponent) else exponent,
            )
        )
        return OlsAccumulator(own, self.design)


def _spread(
    values: NDArray[Any], places: NDArray[np.int64], n_values: int, rest: int = 0
) -> NDArray[Any]:
    whole = np.full((*values.shape[:-1], n_values), rest, dtype=values.dtype)
    whole[..., places] = values
    return whole


@dataclass(frozen=True)
class Ols:
    """Ordinary least squares; missing values are left out voxel by voxel."""

    kind: ClassVar[str] = "ols"
    beside: ClassVar[tuple[str, ...]] = ()
    rows_per_image: ClassVar[int] = 1
    keeps_rows: ClassVar[bool] = False

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_LEAST_SQUARES

    def settings(self) -> dict[str, Any]:
        """Return no settings."""
        return {}

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> OlsPlan:
        """Factorise a design, and refuse or report what cannot be fitted well."""
        design = checked_design(X, column_names)
        return OlsPlan(X, column_names, design)

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> OlsFit:
        """Make a fit of the arrays of its state, which a file held."""
        own = {name: arrays[name] for name in STATE_TYPES if name != "exponent"}
        own["exponent"] = arrays.get("exponent", np.empty(0, np.int16))
        for name, array in own.items():
            check_type(name, array, *STATE_TYPES[name])
        if (own["missing_rows"] > len(X)).any():
            raise ValueError(f"a voxel has more images than {len(X)}")
        if own["rss"].shape != (n_values,) or own["w"].shape[1:] != (n_values,):
            raise ValueError(f"its state does not fit the {n_values} voxels of its mask")
        return OlsFit.from_parts(X, column_names, n_threads, (len(X), *own.values()))


OLS = Ols()
OlsFit.model = OLS


def checked_design(
    X: NDArray[np.float64], column_names: tuple[str, ...], *, n_covariates: int = 0
) -> _core.Design:
    """Factorise a design, and refuse or report what cannot be fitted well.

    Voxelwise covariates take degrees of freedom besides.
    """
    n_images = len(X)
    check_size(n_images, X.shape[1] + n_covariates)
    design = _core.Design(X)
    if design.rank + n_covariates >= n_images:
        besides = f" and {counted(n_covariates, 'voxelwise covariate')}" if n_covariates else ""
        raise ArgumentError.about(
            "design_matrix",
            f"no residual degrees of freedom: {counted(n_images, 'image')} and a design matrix of "
            f"rank {design.rank} ({quote_names(column_names)}){besides}",
            "add images or drop columns",
        )
    if design.rank < design.n_columns:
        warn_caller(
            f"the design matrix has rank {design.rank}, but {design.n_columns} columns: "
            f"{describe_dependence(X, column_names)}. Degrees of freedom follow the rank; "
            "contrasts that the columns confound are refused",
            RankDeficientWarning,
        )
    return design


@dataclass(frozen=True, eq=False)
class OlsPlan(AsGiven):
    """A factorised design, one row an image."""

    X: NDArray[np.float64]
    column_names: tuple[str, ...]
    design: _core.Design
    model: ClassVar[Ols] = OLS

    def __reduce__(self) -> tuple[Any, ...]:
        # As arrays: a worker's processor may run the compiled core of another level.
        return _plan_of, (self.X, self.column_names, self.design.__getstate__())

    @property
    def rank(self) -> int:
        """Rank of the design."""
        return self.design.rank

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of two states, and of the factors of voxels with missing values.

        A state has (n_columns + 2) numbers a voxel. A voxel that some image lacks has a triangular
        factor in both, and in a third while one of them grows or is merged.
        """
        q = self.design.n_working
        factors = n_missing * 12 * (q * (q + 1) + 4)
        return 16 * (self.design.n_columns + 2) * n_values + factors

    def part(self, first: int, count: int) -> OlsPlan:
        """Return the plan of some of the images."""
        X = self.X[first : first + count]
        return OlsPlan(X, self.column_names, self.design.rows(first, count))

    def accumulator(self, n_values: int) -> OlsAccumulator:
        """Return an empty one."""
        return OlsAccumulator(_core.OlsState(self.design.n_working, n_values), self.design)

    def mean(
        self, accumulator: Any, n_threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
        """Return the mean of the images, and how many have each voxel."""
        fit = self.finish(accumulator, n_threads)
        mean = fit.mean
        return mean, np.broadcast_to(fit.n_observations, mean.shape)

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> OlsFit:
        """Return the fit to the rows of all images."""
        del rows  # the state is enough
        return OlsFit(
            X=self.X,
            column_names=self.column_names,
            n_threads=n_threads,
            _state=accumulator.state,
            _design=self.design,
        )


def _accumulator_of(state: tuple[Any, ...], design: tuple[Any, ...]) -> OlsAccumulator:
    own = _core.OlsState.__new__(_core.OlsState)
    own.__setstate__(state)
    return OlsAccumulator(own, design_of_parts(design))


def _plan_of(
    X: NDArray[np.float64], column_names: tuple[str, ...], design: tuple[Any, ...]
) -> OlsPlan:
    return OlsPlan(X, column_names, design_of_parts(design))


def design_of_parts(parts: tuple[Any, ...]) -> _core.Design:
    """Return the design that a tuple of numbers and arrays describes."""
    design = _core.Design.__new__(_core.Design)
    design.__setstate__(parts)
    return design


def check_threads(n_threads: int | None) -> int:
    """Return a number of threads as the core takes it: 0 for all."""
    if n_threads is None:
        return 0
    return min(whole_number("n_threads", n_threads, least=1), 1024)


def check_x(X: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return a design of arrays, finite and not to be written to, and its columns' names."""
    if hasattr(X, "columns"):
        names = tuple(str(name) for name in X.columns)
        matrix = check_design_matrix(X, name="X")
    else:
        raw = real_array("X", X)
        if raw.ndim != 2 or 0 in raw.shape:
            raise ArgumentError(
                "X",
                f"shape {raw.shape}",
                wanted="(n_images, n_columns), with at least one of each",
                verb="has",
            )
        matrix = np.array(raw, dtype=np.float64, order="C")
        names = tuple(str(column) for column in range(matrix.shape[1]))
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        raise ArgumentError(
            "X",
            f"{matrix[row, column]} in row {row + 1} (X[{row}, {column}]), column {names[column]}",
            remedy="a design matrix must be finite: drop the image or fill in the value",
            verb="holds",
        )
    matrix.setflags(write=False)
    return matrix, names


def check_y(Y: Any, n_images: int) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return data of so many images as the core takes them, without a copy where it can."""
    data = real_array("Y", Y, missing=True)
    if data.ndim != 2:
        raise ArgumentError(
            "Y",
            f"shape {data.shape}; it must be (n_images, n_voxels)",
            remedy="for a single voxel give Y[:, None]",
            verb="has",
        )
    if data.shape[0] != n_images:
        raise ArgumentError(
            "Y", f"{data.shape[0]} rows, but X has {n_images}: one row an image", verb="has"
        )
    if data.dtype in (np.float32, np.float64) and data.dtype.isnative and _whole_strides(data):
        return data
    # Whole numbers and foreign byte orders are copied: double holds what they say.
    return np.ascontiguousarray(data, dtype=np.float64)


def _whole_strides(data: NDArray[Any]) -> bool:
    aligned = data.flags.aligned
    return aligned and all(stride % data.itemsize == 0 for stride in data.strides)
