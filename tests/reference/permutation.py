# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of permuted data: slow, obvious, by refitting the model to the shuffled data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def null_space(C: FloatArray) -> FloatArray:
    _, size, right = np.linalg.svd(C)
    rank = int(np.sum(size > 1e-10 * size[0]))
    return right[rank:].T


def hat(X: FloatArray) -> FloatArray:
    return X @ np.linalg.pinv(X)


def statistic(X: FloatArray, C: FloatArray, y: FloatArray) -> FloatArray:
    """t (signed) for one row, F for more, of y (n, n_voxels)."""
    beta = np.linalg.pinv(X) @ y
    rank = np.linalg.matrix_rank(X)
    variance = np.sum((y - X @ beta) ** 2, axis=0) / (len(X) - rank)
    covariance = C @ np.linalg.pinv(X.T @ X) @ C.T
    effect = C @ beta
    if len(C) == 1:
        return np.asarray(effect[0] / np.sqrt(variance * covariance[0, 0]))
    k = np.linalg.matrix_rank(covariance)
    return np.asarray(np.sum(effect * (np.linalg.pinv(covariance) @ effect), axis=0) / k / variance)


def rearranged(
    X: FloatArray, C: FloatArray, y: FloatArray, order: IntArray, signs: FloatArray, method: str
) -> FloatArray:
    """The statistic of one rearrangement: row i of the shuffled data is signs[i] * row order[i]."""
    Z = X @ null_space(C)
    hat_z = hat(Z) if Z.shape[1] else np.zeros((len(X), len(X)))
    if method == "freedman-lane":
        residual = y - hat_z @ y
        return statistic(X, C, signs[:, None] * residual[order] + hat_z @ y)
    if method == "ter-braak":
        fitted = hat(X) @ y
        new = signs[:, None] * (y - fitted)[order] + fitted
        # What is tested is the change of the effect from that of the data.
        return statistic(X, C, new - fitted)
    effect = X - hat_z @ X
    shuffled = signs[:, None] * effect[order] + hat_z @ X
    # Smith: the effect's columns are shuffled after the nuisance has been taken off, beside it.
    return statistic(
        np.column_stack([signs[:, None] * (effect @ C.T)[order], Z]) if len(C) == 1 else shuffled,
        np.eye(1, 1 + Z.shape[1]) if len(C) == 1 else C,
        y,
    )


def left_by_nuisance(
    X: FloatArray, C: FloatArray, y: FloatArray, order: IntArray, signs: FloatArray
) -> FloatArray:
    """What the nuisance leaves of its own residuals once they are rearranged, of unit length."""
    Z = X @ null_space(C)
    hat_z = hat(Z) if Z.shape[1] else np.zeros((len(X), len(X)))
    residual = y - hat_z @ y
    shuffled = signs[:, None] * residual[order]
    return (shuffled - hat_z @ shuffled) / np.linalg.norm(residual)


def g_statistic(X: FloatArray, C: FloatArray, y: FloatArray, groups: IntArray) -> float:
    """G, or its signed root v for one row, of one voxel y (n,): Winkler et al. (2014), eq. 5."""
    beta = np.linalg.pinv(X) @ y
    residual = y - X @ beta
    R = np.eye(len(X)) - hat(X)
    weights = np.zeros(len(X))
    for g in np.unique(groups):
        inside = groups == g
        weights[inside] = np.trace(R[np.ix_(inside, inside)]) / np.sum(residual[inside] ** 2)
    inverse = np.linalg.inv(C @ np.linalg.inv(X.T @ np.diag(weights) @ X) @ C.T)
    s = len(C)
    spread = sum(
        (1 - weights[groups == g].sum() / weights.sum()) ** 2
        / np.trace(R[np.ix_(groups == g, groups == g)])
        for g in np.unique(groups)
    )
    scale = 1 + 2 * (s - 1) / (s * (s + 2)) * spread
    effect = C @ beta
    value = float(effect @ inverse @ effect) / (scale * s)
    root: float = np.sqrt(value)
    return float(np.copysign(root, effect[0])) if s == 1 else value


def different_orders(rows: FloatArray, allowed: list[tuple[int, ...]]) -> int:
    """How many of some orders make different columns of rows."""
    return len({np.round(rows[:, list(order)], 8).tobytes() for order in allowed})


def orders_within(labels: list[int]) -> list[tuple[int, ...]]:
    n = len(labels)
    return [
        order
        for order in itertools.permutations(range(n))
        if all(labels[i] == labels[j] for i, j in enumerate(order))
    ]


def interrupted_after(n: int) -> Callable[..., Iterator[Any]]:
    """In the place of `null_distribution`: n rearrangements, one at a time, then Control-C."""
    done = iter(range(n))

    def parts(task: Any, *_: Any) -> Iterator[Any]:
        for part in task.parts(1):
            if next(done, None) is None:
                raise KeyboardInterrupt
            yield part

    return parts
