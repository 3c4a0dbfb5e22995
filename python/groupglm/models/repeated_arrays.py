# SPDX-License-Identifier: BSD-3-Clause
"""Repeated measures on arrays: `fit_repeated`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, renamed
from groupglm.models.array_rows import ArrayRows
from groupglm.models.ols import check_threads, check_x, check_y
from groupglm.models.repeated import RepeatedMeasures
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Accumulator, Plan, Values

__all__ = ["fit_repeated"]

_BATCH_BYTES = 64 * 2**20


def fit_repeated(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    subjects: ArrayLike,
    *,
    covariance: str = "random intercept",
    df: str | None = None,
    adjustment: int | str = "C2",
    groups: ArrayLike | None = None,
    families: ArrayLike | None = None,
    visits: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Any:
    r"""Fit several images of a subject at every voxel.

    `RepeatedMeasures` describes the models and has their formulas. The images may be in any order.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers. Messages use the names of its columns, if it is a data
        frame. If X, Y or labels are data frames or Series whose indexes hold labels, rows are
        matched by label; labels that do not match are an error.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Data, with any strides. NaN and masked values are missing: the numbers of a voxel are those
        of a fit to the rows that have a value there.
    subjects : array_like of labels, shape (n_images,)
        The subject of each image.
    covariance : {"random intercept", "nested", "sandwich"}, default="random intercept"
        How the images of a subject vary together.
    df : str, optional
        How degrees of freedom are found: "kenward-roger" (default) or "satterthwaite"; others with
        the sandwich.
    adjustment : {0, 1, 2, 3, "C2", "C3"}, default="C2"
        How residuals are adjusted, for the sandwich only.
    groups : array_like of labels, shape (n_images,), optional
        The group of each image's subject, for the sandwich only.
    families : array_like of labels, shape (n_images,), optional
        The family or site of each image's subject, for nested covariance only.
    visits : array_like of labels, shape (n_images,), optional
        The visit of each image.
    n_threads : int, optional
        Number of threads, by default all. Any number gives the same bits.

    Returns
    -------
    RandomInterceptFit, or the fit of another covariance
        Variances and coefficients. Its method ``contrast`` tests contrasts.

    Raises
    ------
    TypeError
        If `X` or `Y` does not hold real numbers.
    ValueError
        If shapes do not match, `X` is not finite, `Y` holds infinite values (the message names the
        row and how many), labels do not fit, no subject has two images, or the design leaves
        nothing to tell the variances apart.

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.

    See Also
    --------
    RepeatedMeasures : The same model for images, and its formulas.
    fit_ols : Images that do not depend on each other.

    Notes
    -----
    Memory of a random intercept, besides the data: 8 (n_columns + 2) bytes per voxel, once for what
    is within subjects and once for each number of images that a subject has.

    Examples
    --------
    Three subjects before and after; the F of repeated-measures analysis of variance:

    >>> import numpy as np
    >>> from groupglm import fit_repeated
    >>> X = np.column_stack([np.ones(6), [0.0, 1, 0, 1, 0, 1]])
    >>> Y = np.array([[1.0], [3.1], [5.2], [7.0], [8.1], [10.3]])
    >>> fit = fit_repeated(X, Y, ["a", "a", "b", "b", "c", "c"])
    >>> fit.intraclass_correlation.round(3), fit.residual_variance.round(3)
    (array([0.998]), array([0.022]))
    >>> result = fit.contrast([0, 1])
    >>> result.effect_size.round(3), result.stat.round(2), result.df.round(6)
    (array([2.033]), array([16.92]), array([2.]))
    """
    given = {"X": X, "Y": Y, "subjects": subjects, "families": families, "visits": visits,
             "groups": groups}  # fmt: skip
    rows = align_arrays(given, "Y")
    matrix, names = check_x(rows["X"])
    data = check_y(rows["Y"], len(matrix))
    threads = check_threads(n_threads)
    model = RepeatedMeasures(
        covariance,
        df,
        adjustment=adjustment,
        groups=rows["groups"],
        subjects=rows["subjects"],
        families=rows["families"],
        visits=rows["visits"],
    )
    with renamed(design_matrix="X"):
        plan = model.prepare(matrix, names)
    with renamed(second_level_input="Y"):
        seen = _filled(plan, data, threads)
    return plan.finish(seen, threads, ArrayRows(data) if plan.model.keeps_rows else None)


def _filled(plan: Plan, data: Values, n_threads: int) -> Accumulator:
    """Return the accumulator of all rows, read in the order of the plan."""
    order = np.arange(len(data)) if plan.order is None else plan.order
    accumulator = plan.accumulator(data.shape[1])
    for first, rows in _batches(data, order):
        try:
            accumulator.update(first, rows, n_threads)
        except _core.InfiniteValueError as error:
            row, count = int(order[first + error.args[0]]), error.args[1]
            raise ArgumentError(
                "Y",
                f"{counted(count, 'infinite value')} in row {row + 1} (Y[{row}])",
                remedy="replace them by NaN to treat them as missing, or correct the image",
                verb="holds",
            ) from None
    return accumulator


def _batches(data: Values, order: NDArray[np.int64]) -> Iterator[tuple[int, Values]]:
    """Yield the number of a first row in the order, and rows, copied only if they are apart."""
    if (order == np.arange(len(order))).all():
        yield 0, data
        return
    step = max(1, _BATCH_BYTES // max(1, data.shape[1] * data.itemsize))
    for first in range(0, len(order), step):
        yield first, data[order[first : first + step]]
