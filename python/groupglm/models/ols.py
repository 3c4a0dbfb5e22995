# SPDX-License-Identifier: BSD-3-Clause
"""Ordinary least squares at many voxels, on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.design.collinearity import quote_names
from groupglm.design.matrix import check_design_matrix, check_size, describe_dependence
from groupglm.errors import RankDeficientWarning, warn_caller
from groupglm.models.results import OlsFit
from groupglm.runtime.arguments import real_array, whole_number
from groupglm.tabular.labels import align_arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["check_threads", "fit_ols", "prepare_design"]


def fit_ols(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    *,
    n_threads: int | None = None,
) -> OlsFit:
    """Fit the same linear model at every voxel.

    NaN in `Y` is a missing value, left out voxel by voxel: the numbers at a voxel are those of an
    ordinary fit to the rows it has. Data without missing values do not pay for this.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers; a data frame's column names are used in messages. Where X
        and Y are data frames whose index holds labels, rows are matched by them, or refused.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Data, with any strides; taken without a copy. What is masked is missing, as NaN is.
    n_threads : int, optional
        Number of threads; all by default. The result is the same bits for any number.

    Returns
    -------
    OlsFit
        Coefficients, variances and degrees of freedom; contrasts are asked of it.

    Raises
    ------
    TypeError
        If `X` or `Y` does not hold real numbers.
    ValueError
        If shapes do not match, `X` is not finite, `Y` holds infinite values (the message names the
        row and how many), or no residual degree of freedom is left.

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.

    Notes
    -----
    Rows are taken up by orthogonal transformations (Golub and Van Loan, *Matrix Computations*, 4th
    ed., section 6.5.3), so sums of squares never cancel, whatever the mean of the data. The rank is
    that of a column-pivoted QR of the columns brought to unit length, with tolerance 1e-12.

    Memory: 8 bytes times (n_columns + 2) a voxel, besides the data.

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
    matrix, names = _check_x(rows["X"])
    data = _check_y(rows["Y"], matrix.shape[0])
    threads = check_threads(n_threads)
    design = prepare_design(matrix, names)
    state = _core.OlsState(design.n_working, data.shape[1])
    try:
        state.update(design, 0, data, threads)
    except _core.InfiniteValueError as error:
        row, count = error.args
        raise ValueError(
            f"Y holds {count} infinite values in row {row + 1} (Y[{row}]); replace them by NaN "
            "to treat them as missing, or correct the image"
        ) from None
    return OlsFit(X=matrix, column_names=names, n_threads=threads, _state=state, _design=design)


def prepare_design(matrix: NDArray[np.float64], names: tuple[str, ...]) -> _core.Design:
    """Factorise a design matrix, and refuse or report what cannot be fitted well.

    Parameters
    ----------
    matrix : array, shape (n_images, n_columns)
        C-ordered and finite.
    names : tuple of str
        The columns' names.

    Returns
    -------
    _core.Design
        The factorised design.

    Raises
    ------
    ValueError
        If no residual degree of freedom is left.

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns are linearly dependent.
    """
    n_images = matrix.shape[0]
    check_size(n_images, matrix.shape[1])
    design = _core.Design(matrix)
    if design.rank >= n_images:
        raise ValueError(
            f"no residual degrees of freedom: {n_images} images and a design matrix of rank "
            f"{design.rank} ({quote_names(names)}); add images or drop columns"
        )
    if design.rank < design.n_columns:
        warn_caller(
            f"the design matrix has rank {design.rank}, but {design.n_columns} columns: "
            f"{describe_dependence(matrix, names)}. Degrees of freedom follow the rank; contrasts "
            "that the columns confound are refused",
            RankDeficientWarning,
        )
    return design


def check_threads(n_threads: int | None) -> int:
    """Return a number of threads as the core takes it: 0 for all."""
    if n_threads is None:
        return 0
    return min(whole_number("n_threads", n_threads, least=1), 1024)


def _check_x(X: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    if hasattr(X, "columns"):
        names = tuple(str(name) for name in X.columns)
        matrix = check_design_matrix(X)
    else:
        raw = real_array("X", X)
        if raw.ndim != 2 or 0 in raw.shape:
            raise ValueError(
                f"X has shape {raw.shape}; it must be (n_images, n_columns), with at least one of "
                "each"
            )
        matrix = np.array(raw, dtype=np.float64, order="C")
        names = tuple(str(column) for column in range(matrix.shape[1]))
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"X holds {matrix[row, column]} in row {row + 1} (X[{row}, {column}]), column "
            f"{names[column]}; a design matrix must be finite: drop the image or fill in the value"
        )
    matrix.setflags(write=False)
    return matrix, names


def _check_y(Y: Any, n_images: int) -> NDArray[np.float32] | NDArray[np.float64]:
    data = real_array("Y", Y, missing=True)
    if data.ndim != 2:
        raise ValueError(
            f"Y has shape {data.shape}; it must be (n_images, n_voxels); for a single voxel give "
            "Y[:, None]"
        )
    if data.shape[0] != n_images:
        raise ValueError(f"Y has {data.shape[0]} rows, but X has {n_images}: one row an image")
    if data.dtype in (np.float32, np.float64) and data.dtype.isnative and _whole_strides(data):
        return data
    # Whole numbers and foreign byte orders are copied: double holds what they say.
    return np.ascontiguousarray(data, dtype=np.float64)


def _whole_strides(data: NDArray[Any]) -> bool:
    aligned = data.flags.aligned
    return aligned and all(stride % data.itemsize == 0 for stride in data.strides)
