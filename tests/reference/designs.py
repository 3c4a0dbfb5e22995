# SPDX-License-Identifier: BSD-3-Clause
"""Designs of the usual group studies, with the contrasts one asks of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groupglm import fit_ols
from groupglm.errors import RankDeficientWarning

FloatArray = npt.NDArray[np.float64]
Contrast = list[float] | list[list[float]]


@dataclass(frozen=True)
class GroupDesign:
    """A design matrix (n_images, n_columns) and contrasts that it can estimate."""

    name: str
    X: FloatArray
    contrasts: tuple[Contrast, ...]
    rank: int
    has_intercept: bool


def _dummies(labels: npt.NDArray[np.int64]) -> FloatArray:
    dummies: FloatArray = (labels[:, None] == np.unique(labels)).astype(np.float64)
    return dummies


def one_sample(n: int = 14) -> GroupDesign:
    return GroupDesign("one-sample", np.ones((n, 1)), ([1.0], [-2.0], [[1.0]]), 1, True)


def two_sample() -> GroupDesign:
    """Two unequal groups as cell means, and age in years far from zero."""
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1], [9, 13])
    X = np.column_stack([_dummies(group), rng.uniform(20.0, 70.0, 22)])
    contrasts: tuple[Contrast, ...] = ([1.0, -1.0, 0.0], [0.0, 0.0, 1.0], [[1.0, -1.0, 0.0]])
    return GroupDesign("two-sample", X, contrasts, 3, True)


def paired() -> GroupDesign:
    """Eight subjects under two conditions; the intercept hides in the sum of the subjects."""
    subject = np.tile(np.arange(8), 2)
    condition = np.repeat([1.0, -1.0], 8)
    X = np.column_stack([condition, _dummies(subject)])
    return GroupDesign("paired", X, ([1.0] + [0.0] * 8, [[1.0] + [0.0] * 8]), 9, True)


def regression() -> GroupDesign:
    """Intercept and three covariates in units of quite different size."""
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(30), rng.normal(size=(30, 3)) * [1.0, 1e3, 1e-3] + [0, 5e3, 0]])
    contrasts: tuple[Contrast, ...] = (
        [0.0, 1.0, 0.0, 0.0],
        [1.0, 0.5, 0.0, 2.0],
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
    )
    return GroupDesign("regression", X, contrasts, 4, True)


def anova() -> GroupDesign:
    """Three groups as cell means, one covariate."""
    rng = np.random.default_rng(3)
    X = np.column_stack([_dummies(np.arange(25) % 3), rng.normal(size=25)])
    contrasts: tuple[Contrast, ...] = (
        [1.0, -1.0, 0.0, 0.0],
        [[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]],
    )
    return GroupDesign("ANOVA", X, contrasts, 4, True)


def overparametrised() -> GroupDesign:
    """Intercept beside a dummy for each of three groups: one column too many."""
    rng = np.random.default_rng(4)
    group = _dummies(np.arange(20) % 3)
    X = np.column_stack([np.ones(20), group, rng.normal(size=20)])
    contrasts: tuple[Contrast, ...] = (
        [0.0, 1.0, -1.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 0.0, 0.0],
        [[0.0, 1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0, 0.0]],
    )
    return GroupDesign("rank-deficient", X, contrasts, 4, True)


def through_zero() -> GroupDesign:
    """Two covariates, no intercept anywhere in their span."""
    rng = np.random.default_rng(5)
    contrasts: tuple[Contrast, ...] = ([1.0, 0.0], [1.0, -1.0], [[1.0, 0.0], [0.0, 1.0]])
    return GroupDesign("no intercept", rng.normal(size=(17, 2)) + 0.3, contrasts, 2, False)


def tight() -> GroupDesign:
    """A single residual degree of freedom: n = p + 1."""
    rng = np.random.default_rng(6)
    X = np.column_stack([np.ones(5), rng.normal(size=(5, 3))])
    contrasts: tuple[Contrast, ...] = (
        [0.0, 1.0, 0.0, 0.0],
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
    )
    return GroupDesign("n = p + 1", X, contrasts, 4, True)


def all_designs() -> tuple[GroupDesign, ...]:
    return (
        one_sample(),
        two_sample(),
        paired(),
        regression(),
        anova(),
        overparametrised(),
        through_zero(),
        tight(),
    )


def full_rank_designs() -> tuple[GroupDesign, ...]:
    return tuple(d for d in all_designs() if d.rank == d.X.shape[1])


def simulate(
    design: GroupDesign, n_voxels: int, *, seed: int = 0, dtype: npt.DTypeLike = np.float64
) -> npt.NDArray[np.floating]:
    """Draw data (n_images, n_voxels) in which every column of the design has some effect."""
    rng = np.random.default_rng(seed)
    size = np.linalg.norm(design.X, axis=0) / np.sqrt(len(design.X))
    effects = rng.normal(size=(design.X.shape[1], n_voxels)) / size[:, None]
    noise = rng.normal(size=(len(design.X), n_voxels))
    data: npt.NDArray[np.floating] = (design.X @ effects + noise).astype(dtype)
    return data


def fit_quietly(X: Any, Y: Any, **options: Any) -> Any:
    """Fit without the warning that one of the designs is rank-deficient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        return fit_ols(X, Y, **options)
