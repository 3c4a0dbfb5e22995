# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects against R's metafor: 200 small regressions, 1,000 voxels of two public studies.

metafor's likelihood estimates are those of its highest maximum, found from many starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from groupglm import fit_mixed
from reference import metafor, mixed
from reference.metafor import STUDIES, Problem, Results
from reference.mixed import ESTIMATORS
from reference.ols import FloatArray

RTOL = 1e-8
# A step below 1e-12 ends metafor's search, where tau2, or the smallest variance if that is larger,
# is 0.5 to 2. Steps shrink by a constant factor, so that the end may be tens of them away. Where
# tau2 is far below every variance, this part of the smallest is what metafor's digits are worth.
FLOOR = 1e-10

# Effect, variance, statistic and two-sided p of a contrast, for an estimator and a test.
Contrast = Callable[[FloatArray, str], tuple[FloatArray, FloatArray, FloatArray, FloatArray]]


def ours(problem: Problem, estimator: str) -> tuple[Any, Contrast]:
    """The package's numbers, from arrays."""
    X, y, v = problem.X, problem.y, problem.v
    fits: dict[str, Any] = {
        test: fit_mixed(X, y, v, tau2=estimator, test=test, n_threads=1) for test in metafor.TESTS
    }

    def contrast(c: FloatArray, test: str) -> Any:
        plus, minus = fits[test].contrast(c), fits[test].contrast(-c)
        p = plus.p_value if c.ndim == 2 else 2 * np.minimum(plus.p_value, minus.p_value)
        return plus.effect_size, plus.effect_variance, plus.stat, p

    return fits["z"], contrast


def slow(problem: Problem, estimator: str) -> tuple[Any, Contrast]:
    """The numbers of the reference, which other tests compare with."""
    fit = mixed.fit(problem.X, problem.y, problem.v, tau2=estimator)

    def contrast(c: FloatArray, test: str) -> Any:
        plus, minus = mixed.contrast(fit, c, test), mixed.contrast(fit, -c, test)
        p = plus.p_value if c.ndim == 2 else 2 * np.minimum(plus.p_value, minus.p_value)
        return plus.effect_size, plus.covariance[0, 0], plus.stat, p

    return fit, contrast


both_sides = pytest.mark.parametrize("side", [ours, slow])
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def close(found: npt.ArrayLike, wanted: npt.ArrayLike, slack: npt.ArrayLike, what: str) -> None:
    """Compare with 1e-8 of the wanted number, and an absolute slack where one is derived."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    excess = np.abs(found - wanted) - (RTOL * np.abs(wanted) + slack)
    wrong = ~(excess <= 0)
    assert not wrong.any(), f"{what}: {found[wrong]}, by metafor {wanted[wrong]}"


def check(side: Any, problem: Problem, wanted: Results, rows: Any, estimator: str) -> None:
    """Compare all numbers of places that share a design with rows of a table."""
    fit, contrast = side(problem, estimator)
    e, p = ESTIMATORS.index(estimator), problem.X.shape[1]
    floor = FLOOR * np.nanmin(np.where(problem.v > 0, problem.v, np.nan), axis=0)
    tau2 = wanted.tau2[rows, e]
    close(fit.tau2, tau2, floor, "tau2")
    # What an error of tau2 does to its functions.
    error = floor / np.maximum(tau2, 1e-300)
    close(fit.i_squared, wanted.i_squared[rows, e], 100 * np.minimum(1.0, error), "I2")
    close(fit.h_squared, wanted.h_squared[rows, e], RTOL, "H2")
    close(fit.q, wanted.q[rows], 0.0, "Q")
    # d log p / d log Q is at most Q: a large Q has a small p.
    close(fit.q_p_value, wanted.q_p[rows], RTOL * wanted.q[rows] * wanted.q_p[rows], "p of Q")
    for k, test in enumerate(metafor.TESTS):
        for j in range(p):
            effect, variance, stat, p_value = contrast(np.eye(p)[j], test)
            b, se = wanted.b[rows, e, j], wanted.se[rows, e, k, j]
            # An effect that is nearly zero is a difference of numbers of its error's size.
            close(effect, b, RTOL * se, f"{test} coefficient {j}")
            close(np.sqrt(variance), se, 0.0, f"{test} standard error {j}")
            close(stat, b / se, RTOL, f"{test} statistic {j}")
            # The same for the tail of a statistic: d log p / d log |t| is below 1 + t^2.
            slack = RTOL * (1 + (b / se) ** 2) * wanted.p[rows, e, k, j]
            close(p_value, wanted.p[rows, e, k, j], slack, f"{test} p {j}")
        if wanted.joint.size:
            _, _, stat, p_value = contrast(np.eye(p)[1:], test)
            joint, joint_p = wanted.joint[rows, e, k], wanted.joint_p[rows, e, k]
            times = p - 1 if test == "z" else 1  # metafor's chi2 is not divided by its rows
            close(times * stat, joint, RTOL, f"{test} joint")
            close(p_value, joint_p, RTOL * (1 + times * joint) * joint_p, f"{test} p of joint")


@each_estimator
@both_sides
def test_small_random_problems(side: Any, estimator: str) -> None:
    wanted, arrays = metafor.results("random")
    problems = metafor.random_problems(arrays)
    assert len(problems) == 200
    for number, problem in enumerate(problems):
        as_rows = Problem(problem.X, problem.y[:, None], problem.v[:, None])
        check(side, as_rows, wanted, [number], estimator)


@each_estimator
@pytest.mark.parametrize("study", STUDIES)
def test_voxels_of_public_studies(study: str, estimator: str) -> None:
    wanted, arrays = metafor.results(study)
    effects, variances = metafor.study_values(study)
    voxels = arrays["voxels"]
    assert len(voxels) == 500
    problem = Problem(arrays["X"], effects[:, voxels], variances[:, voxels])
    check(ours, problem, wanted, slice(None), estimator)


def test_metafor_can_stop_at_the_lower_of_two_maxima() -> None:
    """The table says where: the restricted likelihood at our tau2 is not that of its start."""
    wanted, arrays = metafor.results("random")
    found = np.argwhere(wanted.lower)
    assert len(found) > 0
    problems = metafor.random_problems(arrays)
    for number, e in found:
        X, y, v = problems[number].X, problems[number].y, problems[number].v
        rows = mixed.present_rows(y, v)
        U = mixed.basis_of(X[rows]).U
        maxima = mixed.likelihood_maxima(U, y[rows], v[rows], restricted=ESTIMATORS[e] == "reml")
        assert len(maxima) == 2
        fit = fit_mixed(X, y[:, None], v[:, None], tau2=ESTIMATORS[e])
        np.testing.assert_allclose(fit.tau2[0], maxima[0][0], rtol=1e-8, atol=FLOOR * np.nanmin(v))
