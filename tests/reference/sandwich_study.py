# SPDX-License-Identifier: BSD-3-Clause
"""A small study of several images a subject, and its fit by the sandwich estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.sandwich_fit import SandwichFit
from reference.sandwich import Place


class Study:
    """Unbalanced visits of 15 subjects in two groups, in any order, some of them missing."""

    def __init__(self, n_places: int = 41, *, missing: bool = True, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 5, 15)
        number = np.repeat(np.arange(15), sizes)
        visit = np.concatenate([rng.permutation(4)[:size] for size in sizes])
        order = rng.permutation(len(number))
        self.number, self.visit = number[order], visit[order]
        self.subjects = [f"s{k}" for k in self.number]
        self.groups = [("patients", "controls")[k % 2] for k in self.number]
        self.X = np.column_stack(
            [np.ones(len(order)), self.number % 2, self.visit + rng.normal(0, 0.1, len(order))]
        )
        self.Y = (
            rng.normal(50, 1, (len(order), n_places))
            + rng.normal(0, 2, (15, n_places))[self.number]
        )
        if missing:
            self.Y[3, ::5] = np.nan
            self.Y[7:11, 2::7] = np.nan
            self.Y[self.number == 4, 10:11] = np.nan

    def fit(self, *, homogeneous: bool = False, n_threads: int = 1, **options: Any) -> SandwichFit:
        if homogeneous:
            options |= {"groups": self.groups, "visits": self.visit.tolist()}
        model = RepeatedMeasures("sandwich", subjects=self.subjects, **options)
        return fitted(model, self.X, self.Y, n_threads=n_threads)

    def place(self, voxel: int, adjustment: int | str, *, homogeneous: bool = False) -> Place:
        groups, visits = (np.array(self.groups), self.visit) if homogeneous else (None, None)
        return Place(self.X, self.Y[:, voxel], self.number, adjustment, groups, visits)


def fitted(
    model: RepeatedMeasures, X: NDArray[Any], Y: NDArray[Any], *, n_threads: int = 1
) -> SandwichFit:
    plan = model.prepare(np.ascontiguousarray(X, dtype=np.float64),
                         tuple(f"c{j}" for j in range(X.shape[1])))  # fmt: skip
    rows = ArrayRows(Y)
    fit = plan.finish(fill(plan, rows, n_threads=n_threads), n_threads, rows)
    assert isinstance(fit, SandwichFit)
    return fit


def freedom(result: ContrastResult) -> NDArray[np.float64]:
    """The degrees of freedom of t, or the second ones of F."""
    df: Any = result.df
    own: NDArray[np.float64] = df[1] if isinstance(df, tuple) else df
    return own


ROWS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
"""Rows of a contrast between and within subjects."""
