# SPDX-License-Identifier: BSD-3-Clause
"""The rules of degrees of freedom of the sandwich estimator, over many simulated places."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.sandwich_fit import SandwichFit

N_PLACES = 10_000


@functools.cache
def null_study() -> tuple[NDArray[Any], NDArray[Any], list[str], list[int]]:
    """20 subjects with 1 to 4 of four visits, in two groups; nothing but noise."""
    rng = np.random.default_rng(2)
    subject = np.repeat(np.arange(20), np.tile([1, 2, 3, 4], 5))
    visit = np.concatenate([np.sort(rng.permutation(4)[:n]) for n in np.tile([1, 2, 3, 4], 5)])
    X = np.column_stack([np.ones(len(subject)), subject // 4 % 2, visit]).astype(float)
    levels = rng.normal(size=(20, N_PLACES))[subject]
    Y = levels + rng.normal(size=(len(subject), N_PLACES))
    return X, Y, [f"s{number}" for number in subject], visit.tolist()


def fitted(X: NDArray[Any], Y: NDArray[Any], **options: Any) -> SandwichFit:
    plan = RepeatedMeasures("sandwich", **options).prepare(
        X, tuple(f"c{j}" for j in range(X.shape[1]))
    )
    rows = ArrayRows(Y)
    fit = plan.finish(fill(plan, rows, n_threads=0), 0, rows)
    assert isinstance(fit, SandwichFit)
    return fit


# What each rule finds at 0.05: of 10,000 places, 0.0044 is two standard errors. "naive" takes more
# degrees of freedom than there are, and "approximate-1" of single subjects far fewer.
BOUNDS = {
    ("satterthwaite", False): (0.04, 0.06),
    ("naive", False): (0.04, 0.075),
    ("approximate-1", False): (0.005, 0.04),
    ("naive", True): (0.035, 0.065),
    ("approximate-1", True): (0.035, 0.065),
    ("approximate-2", True): (0.035, 0.06),
    ("approximate-3", True): (0.035, 0.06),
}


@pytest.mark.parametrize(("rule", "homogeneous"), BOUNDS)
def test_effects_between_and_within_subjects_keep_their_level(rule: str, homogeneous: bool) -> None:
    X, Y, subjects, visits = null_study()
    groups = ["all"] * len(X) if homogeneous else None
    fit = fitted(X, Y, df=rule, subjects=subjects, groups=groups, visits=visits)
    low, high = BOUNDS[rule, homogeneous]
    for row in np.eye(3)[1:]:
        p = fit.contrast(row).p_value
        assert low <= np.mean(2 * np.minimum(p, 1 - p) < 0.05) <= high
    assert low <= np.mean(fit.contrast(np.eye(3)[1:]).p_value < 0.05) <= high


def spread_study(
    n_subjects: int, n_places: int
) -> tuple[NDArray[Any], NDArray[Any], list[str], list[int]]:
    """One group whose visits have any covariance; a third of the second and third are missing."""
    rng = np.random.default_rng(5)
    there = np.ones((n_subjects, 3), dtype=bool)
    there[:, 1:] = rng.random((n_subjects, 2)) < 2 / 3
    subject, visit = np.nonzero(there)
    root = np.array([[1.0, 0.0, 0.0], [0.9, 0.8, 0.0], [0.4, 0.7, 1.2]])
    Y = (rng.normal(size=(n_places, n_subjects, 3)) @ root.T)[:, subject, visit].T
    X = (visit[:, None] == np.arange(3)).astype(float)
    return X, np.ascontiguousarray(Y), [f"s{number}" for number in subject], visit.tolist()


@pytest.mark.parametrize(
    ("rule", "n_subjects", "more"), [("approximate-2", 25, 2.0), ("approximate-3", 200, 0.0)]
)
def test_the_spread_of_variances_is_what_the_rule_says_where_visits_are_missing(
    rule: str, n_subjects: int, more: float
) -> None:
    # With V the variance of a contrast over the places, the rules say var V = 2 V^2 / (df + more):
    # the second without bias, the third for many subjects. Over 20,000 places, the variance of V
    # has a standard error of some 1.5 percent. The second leaves out what missing visits change in
    # covariances, some 15 percent for the last contrasts, so that it has fewer degrees of freedom.
    X, Y, subjects, visits = spread_study(n_subjects, 20_000)
    fit = fitted(X, Y, df=rule, subjects=subjects, groups=["all"] * len(X), visits=visits)
    for contrast in ([1.0, 0, 0], [0, 1.0, 0], [0, 1.0, -1], [-1, 0.5, 0.5]):
        found = fit.contrast(np.array(contrast))
        V: Any = found.effect_variance
        df: Any = found.df
        share = float(np.mean(2 * V**2 / (df + more)) / np.var(V))
        single = np.count_nonzero(contrast) == 1
        assert 0.95 < share < (1.05 if single or not more else 1.2), contrast
