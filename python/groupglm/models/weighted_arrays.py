# SPDX-License-Identifier: BSD-3-Clause
"""Weighted least squares on arrays: `fit_weighted`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, renamed
from groupglm.models.ols import check_threads, check_x, check_y
from groupglm.models.weighted import Weighted
from groupglm.runtime.arguments import real_array
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays, subjects_of_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.weighted_fit import WeightedFit

__all__ = ["check_beside", "fit_weighted", "infinite_values_in", "refuse_infinite", "update_rows"]

_BATCH_BYTES = 2**26
"""Rows of another type than the core takes are converted in batches of this size."""


def fit_weighted(
    X: ArrayLike,
    Y: NDArray[np.float32] | NDArray[np.float64],
    W: ArrayLike | None = None,
    Z: ArrayLike | None = None,
    *,
    n_threads: int | None = None,
) -> WeightedFit:
    r"""Fit a linear model with weights, and covariates, that differ from voxel to voxel.

    At every voxel, the coefficients minimise :math:`\sum_i w_i (y_i - x_i'b - z_i'g)^2`, where the
    weights :math:`w` and the covariates :math:`z` are those of the voxel. The variance of a
    contrast is scaled by the weighted residual sum of squares over n - rank, so that the weights
    count only relative to each other.

    Parameters
    ----------
    X : array_like, shape (n_images, n_columns)
        Design matrix of finite numbers, the same at every voxel. Messages use the names of its
        columns, if it is a data frame. If X, Y or W are data frames whose indexes hold labels, rows
        are matched by label; labels that do not match are an error.
    Y : array of float32 or float64, shape (n_images, n_voxels)
        Data, with any strides. They are not copied if W and Z have their type.
    W : array_like, shape (n_images, n_voxels) or (n_images,), optional
        Weights, inversely proportional to the variances of the images. An image with a weight of
        zero at a voxel is left out there. By default all are 1.
    Z : array_like, shape (n_covariates, n_images, n_voxels), optional
        Covariates, such as the grey matter of each image at each voxel.
    n_threads : int, optional
        Number of threads, by default all. Any number gives the same bits.

    Returns
    -------
    WeightedFit
        Coefficients, variances and degrees of freedom. Its method ``contrast`` tests contrasts of
        the columns of X and then the covariates, which are called z0, z1 and so on.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If shapes do not match, `X` is not finite, an argument holds infinite values (the message
        names the row and how many), weights are negative or all zero, or no residual degree of
        freedom is left. If an index called ``subject_label`` or ``participant_id`` has a subject on
        several rows, and `X` has no columns for the subjects (see `fit_repeated`).

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns of `X` are linearly dependent; the message names them.

    See Also
    --------
    fit_ols : Faster, if there are neither weights nor covariates.

    Notes
    -----
    NaN in Y, W or Z is a missing value: the image is left out at that voxel. Where the images of a
    voxel cannot tell its columns apart, for example because a covariate is constant there, the
    contrasts that this concerns are NaN at that voxel only.

    Square-root-free Givens rotations add the images one by one to a triangular factor for each
    voxel (Gentleman 1973; Miller 1992). Sums of squares therefore lose no digits, even if the mean
    of the data is large. Where the sum of W Y\ :sup:`2` is below 1e-280 or beyond double, tests are
    NaN: give the data in other units.

    Memory, besides the data: 8 (2 m + 1 + m (m - 1) / 2) + 52 bytes per voxel, for m columns and
    covariates together.

    References
    ----------
    Gentleman WM. Least squares computations by Givens transformations without square roots. *J Inst
    Maths Applics* 1973;12:329-336.

    Miller AJ. Algorithm AS 274: least squares routines to supplement those of Gentleman. *Applied
    Statistics* 1992;41:458-478.

    Examples
    --------
    The second image counts twice, as if it were there twice:

    >>> import numpy as np
    >>> from groupglm import fit_weighted
    >>> Y = np.array([[1.0], [2.0], [4.0]])
    >>> fit_weighted(np.ones((3, 1)), Y, W=[1.0, 2.0, 1.0]).beta.round(6).tolist()
    [[2.25]]

    A covariate with a value for every image and voxel:

    >>> Z = np.array([[[0.0], [1.0], [3.0]]])
    >>> fit = fit_weighted(np.ones((3, 1)), Y, Z=Z)
    >>> fit.column_names, fit.beta.round(6).tolist()
    (('0', 'z0'), [[1.0], [1.0]])
    >>> fit.contrast([0, 1]).effect_size.round(6).tolist()
    [1.0]
    """
    given = {"X": X, "Y": Y} | ({"W": W} if W is not None else {})
    rows = align_arrays(given, "Y")
    matrix, names = check_x(rows["X"])
    data = check_y(rows["Y"], len(matrix))
    refuse_repeated_subjects(subjects_of_arrays(rows), matrix, images="Y", matrix="X")
    threads = check_threads(n_threads)
    weights = None if W is None else _check_w(rows["W"], data)
    covariates = _check_z(Z, data, names)
    model = Weighted(weights is not None, tuple(covariates))
    with renamed(design_matrix="X"):
        plan = model.prepare(matrix, names)
    accumulator = plan.accumulator(data.shape[1], threads)
    beside = ([] if weights is None else [("W", weights)]) + [
        (f"Z[{number}]", each) for number, each in enumerate(covariates.values())
    ]
    update_rows(accumulator, [("Y", data), *beside], threads)
    fit = plan.finish(accumulator, threads)
    if weights is not None:
        _refuse_weights(weights, fit)
    return fit


def update_rows(accumulator: Any, given: list[tuple[str, NDArray[Any]]], n_threads: int) -> None:
    """Give arrays, the first of them the data, to an accumulator; each has its name."""
    arrays = [array for _, array in given]
    dtype = np.result_type(*arrays)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    n_images, n_voxels = arrays[0].shape
    step = n_images
    if any(array.dtype != dtype or not array.dtype.isnative for array in arrays):
        step = max(1, _BATCH_BYTES // max(1, 8 * n_voxels * len(arrays)))
    for first in range(0, n_images, step):
        rows = [np.asarray(array[first : first + step], dtype=dtype) for array in arrays]
        with infinite_values_in([name for name, _ in given], first):
            accumulator.update_apart(first, rows, n_threads)


@contextmanager
def infinite_values_in(names: Sequence[str], first: int = 0) -> Iterator[None]:
    """Refuse infinite values by the names of the arrays that the core got, from row `first`."""
    try:
        yield
    except _core.InfiniteValueError as error:
        number, count = error.args
        row, role = divmod(number, len(names))
        refuse_infinite(names[role], first + row, count)


def refuse_infinite(name: str, row: int, count: int) -> None:
    """Raise the error for infinite values in a row of an argument."""
    raise ArgumentError(
        name.partition("[")[0],
        f"{counted(count, 'infinite value')} in row {row + 1} ({name}[{row}])",
        remedy="replace them by NaN to treat them as missing, or correct the image",
        verb="holds",
    ) from None


def check_beside(name: str, values: Any, data: NDArray[Any]) -> NDArray[Any]:
    """Return an array that lies beside the data: of their shape, as the core takes it."""
    array = real_array(name, values, missing=True)
    if array.shape != data.shape:
        raise ArgumentError(
            name, f"shape {array.shape}", f"{data.shape}, a value for each of Y", verb="has"
        )
    return _as_core_takes(array)


def _as_core_takes(array: NDArray[Any]) -> NDArray[Any]:
    whole = all(stride % array.itemsize == 0 for stride in array.strides)
    is_taken = array.dtype in (np.float32, np.float64) and array.dtype.isnative
    if is_taken and array.flags.aligned and whole:
        return array
    return np.ascontiguousarray(array, dtype=np.float64)


def _check_w(W: Any, data: NDArray[Any]) -> NDArray[Any]:
    array = real_array("W", W, missing=True)
    if array.shape == data.shape[:1]:
        own = _as_core_takes(array)
        return np.broadcast_to(own[:, np.newaxis], data.shape)
    if array.shape != data.shape:
        raise ArgumentError(
            "W",
            f"shape {array.shape}",
            f"{data.shape}, a weight for each value of Y, or ({len(data)},), one for each image",
            verb="has",
        )
    return _as_core_takes(array)


def _check_z(Z: Any, data: NDArray[Any], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the covariates by names that no column has."""
    if Z is None:
        return {}
    array = real_array("Z", Z, missing=True)
    if array.ndim != 3 or array.shape[1:] != data.shape or len(array) == 0:
        remedy = "give Z[None] for one covariate" if array.shape == data.shape else ""
        raise ArgumentError(
            "Z",
            f"shape {array.shape}",
            f"(n_covariates, {data.shape[0]}, {data.shape[1]})",
            remedy=remedy,
            verb="has",
        )
    stem = "z"
    while any(name.startswith(stem) and name[len(stem) :].isdecimal() for name in names):
        stem += "_"
    return {f"{stem}{number}": _as_core_takes(each) for number, each in enumerate(array)}


def _refuse_weights(weights: NDArray[Any], fit: WeightedFit) -> None:
    n_negative = int(fit.counts()["negative"].sum())
    if n_negative:
        row, voxel = np.argwhere(weights < 0)[0]
        raise ArgumentError(
            "W",
            f"{counted(n_negative, 'negative weight')} beside values of Y, such as "
            f"{weights[row, voxel]} (W[{row}, {voxel}])",
            "weights of at least 0",
            remedy="a weight is inversely proportional to a variance; 0 leaves the image out",
            verb="holds",
        )
    share, _ = fit.dominance()
    if weights.size and not share.any() and not np.any(weights > 0):
        raise ArgumentError(
            "W",
            "no weight above 0",
            remedy="give weights inversely proportional to the variances of the images",
            verb="holds",
        )
