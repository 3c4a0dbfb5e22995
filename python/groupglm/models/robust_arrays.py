# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression on arrays: `fit_robust`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm import _core
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, renamed
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.ols import check_threads, check_x, check_y
from groupglm.models.robust import Robust
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays, subjects_of_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.robust_fit import RobustFit

__all__ = ["fit_robust"]


def fit_robust(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    *,
    weights: str = "bisquare",
    tuning: float | None = None,
    n_threads: int | None = None,
) -> RobustFit:
    """Fit a linear model at every voxel in which images with large residuals count less.

    `Robust` describes the model and has its formulas. Each voxel has weights of its own.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers. Messages use the names of its columns, if it is a data
        frame. If X and Y are data frames whose indexes hold labels, rows are matched by label;
        labels that do not match are an error.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Data, with any strides. They are not copied. NaN and masked values are missing: the numbers
        of a voxel are those of a fit to the rows that have a value there.
    weights : {"bisquare", "huber"}, default="bisquare"
        How weights depend on residuals.
    tuning : float, optional
        How far off a residual may be; 4.685 for "bisquare" and 1.345 for "huber" by default.
    n_threads : int, optional
        Number of threads, by default all. Any number gives the same bits.

    Returns
    -------
    RobustFit
        Coefficients, scales, weights, and where the fit converged. Its method ``contrast`` tests
        contrasts.

    Raises
    ------
    TypeError
        If `X` or `Y` does not hold real numbers, or `tuning` is no number.
    ValueError
        If shapes do not match, `X` is not finite, `Y` holds infinite values (the message names the
        row and how many), an option is unknown, or no residual degree of freedom is left. If an
        index called ``subject_label`` or ``participant_id`` has a subject on several rows, and `X`
        has no columns for the subjects (see `fit_repeated`).

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.
    UserWarning
        If fewer than four residual degrees of freedom are left, or at some voxels at least half of
        the residuals are zero.

    See Also
    --------
    Robust : The same model for images, and its formulas.
    fit_ols : All images with the same weight.

    Notes
    -----
    Memory, besides the data: three states of 8 (n_columns + 2) bytes per voxel, 27 bytes per voxel,
    and at most 128 MiB or 8 bytes per value of Y for a tile of the data.

    Examples
    --------
    One of eight values is far off, and has no weight:

    >>> import numpy as np
    >>> from groupglm import fit_robust
    >>> Y = np.array([[1.1], [0.8], [1.0], [1.3], [0.9], [1.2], [0.7], [9.0]])
    >>> fit = fit_robust(np.ones((8, 1)), Y)
    >>> fit.beta.round(3).tolist(), fit.weights(Y)[:, 0].round(2).tolist()
    ([[1.0]], [0.99, 0.96, 1.0, 0.91, 0.99, 0.96, 0.91, 0.0])
    >>> result = fit.contrast([1])
    >>> result.stat.round(2).tolist(), result.degrees
    ([2.9], 't(7)')
    """
    rows = align_arrays({"X": X, "Y": Y}, "Y")
    matrix, names = check_x(rows["X"])
    data = check_y(rows["Y"], matrix.shape[0])
    refuse_repeated_subjects(subjects_of_arrays(rows), matrix, images="Y", matrix="X")
    threads = check_threads(n_threads)
    model = Robust(weights, tuning)
    with renamed(design_matrix="X"):
        plan = model.prepare(matrix, names)
    try:
        seen = fill(plan, ArrayRows(data), n_threads=threads)
    except _core.InfiniteValueError as error:
        row, count = error.args
        raise ArgumentError(
            "Y",
            f"{counted(count, 'infinite value')} in row {row + 1} (Y[{row}])",
            remedy="replace them by NaN to treat them as missing, or correct the image",
            verb="holds",
        ) from None
    return plan.finish(seen, threads, ArrayRows(data))
