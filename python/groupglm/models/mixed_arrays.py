# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects on arrays: `fit_mixed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, renamed, warn_caller
from groupglm.models.fixed import FixedFit
from groupglm.models.mixed import MixedEffects
from groupglm.models.ols import check_threads, check_x, check_y
from groupglm.models.second_pass import TILE_BYTES
from groupglm.models.weighted_arrays import check_beside, infinite_values_in, update_rows
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays, subjects_of_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.mixed_fit import MixedFit
    from groupglm.models.second_pass import Tile

__all__ = ["fit_mixed"]


def fit_mixed(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    V: NDArray[np.float32] | NDArray[np.float64],
    *,
    tau2: str | float = "reml",
    test: str = "knapp-hartung",
    variance_groups: ArrayLike | None = None,
    n_threads: int | None = None,
) -> MixedFit:
    r"""Fit mixed effects at every voxel: images with known variances that differ besides.

    At every voxel, image i is :math:`y_i = x_i'b + u_i + e_i`; :math:`e_i` has the variance
    :math:`v_i`, which is known, and :math:`u_i` the variance :math:`\tau^2`, which is estimated at
    that voxel. `MixedEffects` has the formulas.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers. Messages use the names of its columns, if it is a data
        frame. If X, Y or V are data frames whose indexes hold labels, rows are matched by label;
        labels that do not match are an error.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Effects, with any strides. They are not copied if V has their type.
    V : array of float32 or float64, shape (n_images, n_voxels)
        Their variances, in squared units of Y: squares of standard errors.
    tau2 : {"reml", "ml", "dersimonian-laird", "paule-mandel", "hedges"} or float, default="reml"
        How :math:`\tau^2` is estimated, or its value; 0 gives the weights of fixed effects.
    test : str, default="knapp-hartung"
        "knapp-hartung", "knapp-hartung-conservative", "t" or "z".
    variance_groups : array_like of labels, shape (n_images,), optional
        The group of each image; each group has a :math:`\tau^2` of its own.
    n_threads : int, optional
        Number of threads, by default all. Any number gives the same bits.

    Returns
    -------
    MixedFit
        :math:`\tau^2`, I2, H2, Q and coefficients. Its method ``contrast`` tests contrasts.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not match, `X` is not finite, `Y` or `V` hold infinite values, a variance is
        negative, squares of Y exceed 1e150 V, an option is unknown, no residual degree of freedom
        is left, or the variance groups share columns or are too small. If an index called
        ``subject_label`` or ``participant_id`` has a subject on several rows, and `X` has no
        columns for the subjects (see `fit_repeated`).

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.
    UserWarning
        If variances are 0 beside an effect that is not.

    See Also
    --------
    MixedEffects : The same model for images, and its formulas.
    fit_weighted : Weights that are known up to a factor.

    Notes
    -----
    An image is left out at a voxel where its effect or its variance is NaN, or its variance is 0,
    as where effect and variance are 0 because the voxel is outside of the subject's brain.

    Where the likelihood has several maxima, the highest is taken.

    Memory, besides the data: two states of 8 (2 m + 1 + m (m - 1) / 2) + 52 bytes per voxel for m
    columns, and 60 bytes per voxel, and 44 for every variance group; with a tau2 of 0 a single
    state.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm import fit_mixed
    >>> Y = np.array([[0.1, 0.9], [0.2, -1.5], [0.3, 2.0], [0.2, 4.0]])
    >>> V = np.array([[0.5, 0.5], [0.4, 0.4], [0.6, 0.6], [0.5, 0.5]])
    >>> fit = fit_mixed(np.ones((4, 1)), Y, V)
    >>> fit.tau2.round(3).tolist(), fit.i_squared.round(1).tolist()
    ([0.0, 4.854], [0.0, 90.8])
    >>> result = fit.contrast([1])
    >>> result.effect_size.round(3).tolist(), result.degrees
    ([0.196, 1.333], 't(3)')
    """
    rows = align_arrays({"X": X, "Y": Y, "V": V}, "Y")
    matrix, names = check_x(rows["X"])
    data = check_y(rows["Y"], len(matrix))
    refuse_repeated_subjects(subjects_of_arrays(rows), matrix, images="Y", matrix="X")
    threads = check_threads(n_threads)
    variances = check_beside("V", rows["V"], data)
    model = MixedEffects(tau2=tau2, test=test, variance_groups=variance_groups)
    with renamed(design_matrix="X"):
        plan = model.prepare(matrix, names)
    n_voxels = data.shape[1]
    fixed = None
    # Arrays of two types are converted in tiles, which know no row's count of infinite values.
    if not model.keeps_rows or plan.q_needs_all_groups or data.dtype != variances.dtype:
        accumulator = plan.accumulator(n_voxels, threads)
        update_rows(accumulator, [("Y", data), ("V", variances)], threads)
        fixed = FixedFit(matrix, names, threads, model, accumulator.state, plan.design)
        _check_variances(data, variances, fixed.totals())
        if not model.keeps_rows:
            return plan.finish(accumulator, threads)
    with renamed(variances="V"), infinite_values_in(["Y", "V"]):
        q_of = fixed if plan.q_needs_all_groups else None
        fit = plan.finish_tiles(_tiles(data, variances), n_voxels, threads, q_of)
    if fixed is None:
        _check_variances(data, variances, fit.totals())
    return fit


def _tiles(data: NDArray[Any], variances: NDArray[Any]) -> Iterator[Tile]:
    """Yield the whole, or tiles of one type that the core takes if types differ."""
    n_images, n_voxels = data.shape
    if data.dtype == variances.dtype:
        yield slice(None), data, variances
        return
    step = max(1, TILE_BYTES // (16 * n_images))
    for first in range(0, n_voxels, step):
        at = slice(first, min(first + step, n_voxels))
        yield at, data[:, at].astype(np.float64), variances[:, at].astype(np.float64)


def _check_variances(
    data: NDArray[Any], variances: NDArray[Any], totals: Mapping[str, int]
) -> None:
    """Refuse negative variances, and warn of zeros beside effects."""
    n_negative, n_unusable = totals["negative"], totals["unusable"]
    if n_negative:
        negative = (variances < 0) & ~np.isnan(data)
        row, voxel = np.argwhere(negative)[0]
        raise ArgumentError(
            "V",
            f"{counted(n_negative, 'negative variance')} in {counted(_rows(negative), 'row')}, "
            f"such as {variances[row, voxel]} (V[{row}, {voxel}])",
            "variances above 0",
            "give squares of standard errors; NaN where an image has no variance",
            verb="holds",
        )
    if n_unusable == 0:
        return
    zero = (variances == 0) & (data != 0) & ~np.isnan(data)
    n_zero = int(np.count_nonzero(zero))
    if n_zero:
        row, voxel = np.argwhere(zero)[0]
        warn_caller(
            f"V is 0 beside {counted(n_zero, 'value')} of Y that {'is' if n_zero == 1 else 'are'} "
            f"not, in {counted(_rows(zero), 'row')}, such as V[{row}, {voxel}]; these are left "
            "out. Give NaN in V where an image has no variance",
            UserWarning,
        )


def _rows(found: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(found.any(axis=1)))
