# SPDX-License-Identifier: BSD-3-Clause
"""Laws of mixed effects and of weights that hold for any data, tried with hypothesis."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm import FixedEffects, fit_mixed, fit_weighted
from reference.mixed import ESTIMATORS, TESTS

Floats = npt.NDArray[np.float64]

# Designs have a scaled condition number up to 100, variances a ratio up to 1e4, and data a mean of
# up to 100 standard deviations: two routes to a number agree to about 1e4 * 100 * n * eps = 1e-9.
RTOL = 1e-8

laws = settings(deadline=None, max_examples=40)
estimators = st.sampled_from([*ESTIMATORS, 0.0, 0.5])
tests = st.sampled_from(TESTS)


@st.composite
def problems(draw: st.DrawFn, *, missing: bool = False) -> tuple[Floats, Floats, Floats]:
    """Draw a full-rank design with an intercept, effects and variances; perhaps with holes."""
    p = draw(st.integers(1, 4))
    n = draw(st.integers(p + 3, 25))
    n_voxels = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    while np.linalg.cond(X[2:]) > 100:
        X[:, 1:] = rng.normal(size=(n, p - 1))
    half = np.log(10.0) * draw(st.sampled_from([0.0, 1.0, 2.0]))
    V = np.exp(rng.uniform(-half, half, size=(n, n_voxels)))
    tau = rng.choice([0.0, 1.0, 5.0], size=n_voxels)
    Y = rng.normal(size=V.shape) * np.sqrt(V + tau**2) + draw(st.sampled_from([0.0, 100.0]))
    if missing:
        # A missing effect in the first row, and a missing variance in the second, of some voxels.
        Y[0, rng.random(n_voxels) < 0.4] = np.nan
        V[1, rng.random(n_voxels) < 0.4] = np.nan
    return X, Y, V


def close(found: Any, wanted: Any, scale: Any = 0.0) -> None:
    """Compare with a slack relative to the wanted number and to a size of the problem."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    slack = RTOL * (np.abs(wanted) + np.asarray(scale))
    wrong = np.abs(found - wanted) > slack
    assert not wrong.any(), (found[wrong], wanted[wrong])


def same_tau2(found: Any, wanted: Any, V: Floats) -> None:
    """Compare to a part of the smallest variance, which is what a weight is known to."""
    close(found, wanted, np.nanmin(V, axis=0))


def same_test(found: Any, wanted: Any) -> None:
    """Compare what does not depend on units: statistic, p and z."""
    close(found.stat, wanted.stat, 1.0)
    close(found.z_score, wanted.z_score, 1.0)
    # d log p = z dz
    close(found.p_value, wanted.p_value, wanted.p_value * (1 + wanted.z_score**2))


def last_column(X: Floats) -> Floats:
    c = np.zeros(X.shape[1])
    c[-1] = 1.0
    return c


@laws
@given(problems(missing=True), estimators, tests, st.floats(1e-3, 1e3), st.floats(-10.0, 10.0))
def test_units_of_effects(problem: Any, tau2: Any, test: str, scale: float, shift: float) -> None:
    """Y in other units and from another zero, V in their square."""
    X, Y, V = problem
    plain = fit_mixed(X, Y, V, tau2=tau2, test=test)
    given_tau2 = tau2 if isinstance(tau2, str) else scale**2 * tau2
    other = fit_mixed(X, scale * (Y + shift), scale**2 * V, tau2=given_tau2, test=test)
    same_tau2(other.tau2, scale**2 * plain.tau2, scale**2 * V)
    close(other.q, plain.q, 1.0)
    close(other.i_squared, plain.i_squared, 100.0)
    close(other.h_squared, plain.h_squared)
    if X.shape[1] > 1:
        c = last_column(X)
        a, b = other.contrast(c), plain.contrast(c)
        same_test(a, b)
        close(a.effect_size, scale * b.effect_size, scale * np.sqrt(b.effect_variance))
        close(a.effect_variance, scale**2 * b.effect_variance)


@laws
@given(
    problems(missing=True),
    estimators,
    tests,
    st.lists(st.floats(1e-4, 1e4), min_size=4, max_size=4),
)
def test_units_of_covariates(problem: Any, tau2: Any, test: str, units: list[float]) -> None:
    X, Y, V = problem
    unit = np.array(units[: X.shape[1]])
    plain = fit_mixed(X, Y, V, tau2=tau2, test=test)
    other = fit_mixed(X * unit, Y, V, tau2=tau2, test=test)
    same_tau2(other.tau2, plain.tau2, V)
    c = last_column(X)
    same_test(other.contrast(c), plain.contrast(c))
    C = np.eye(X.shape[1])
    same_test(other.contrast(C), plain.contrast(C))


@laws
@given(problems(missing=True), estimators, tests, st.randoms(use_true_random=False))
def test_order_of_rows(problem: Any, tau2: Any, test: str, random: Any) -> None:
    X, Y, V = problem
    order = list(range(len(X)))
    random.shuffle(order)
    plain = fit_mixed(X, Y, V, tau2=tau2, test=test)
    shuffled = fit_mixed(X[order], Y[order], V[order], tau2=tau2, test=test)
    same_tau2(shuffled.tau2, plain.tau2, V)
    c = last_column(X)
    same_test(shuffled.contrast(c), plain.contrast(c))


@laws
@given(problems(missing=True), estimators, tests)
def test_missing_is_refitting_the_rows_present(problem: Any, tau2: Any, test: str) -> None:
    X, Y, V = problem
    whole = fit_mixed(X, Y, V, tau2=tau2, test=test)
    c = last_column(X)
    tested, n = whole.contrast(c), np.broadcast_to(whole.n_observations, Y.shape[1])
    for k in range(Y.shape[1]):
        rows = ~np.isnan(Y[:, k]) & ~np.isnan(V[:, k])
        own = fit_mixed(X[rows], Y[rows, k : k + 1], V[rows, k : k + 1], tau2=tau2, test=test)
        same_tau2(whole.tau2[k], own.tau2[0], V[:, k])
        close(whole.q_p_value[k], own.q_p_value[0], 1e-3)
        assert n[k] == rows.sum()
        alone = own.contrast(c)
        for name in ("stat", "z_score"):
            close(getattr(tested, name)[k], getattr(alone, name)[0], 1.0)
        close(tested.effect_variance[k], alone.effect_variance[0])


@laws
@given(problems(missing=True), estimators, st.integers(0, 10), st.floats(-5.0, 5.0))
def test_a_voxel_outside_a_brain_is_a_missing_image(
    problem: Any, tau2: Any, at: int, other: float
) -> None:
    """An effect of 0 with a variance of 0, or a variance of 0 alone."""
    X, Y, V = problem
    row = at % len(X)
    gone, outside, unusable = Y.copy(), Y.copy(), V.copy()
    gone[row], outside[row], unusable[row] = np.nan, 0.0, 0.0
    plain = fit_mixed(X, gone, V, tau2=tau2)
    zero = fit_mixed(X, outside, unusable, tau2=tau2)
    np.testing.assert_array_equal(zero.tau2, plain.tau2)
    c = last_column(X)
    np.testing.assert_array_equal(zero.contrast(c).stat, plain.contrast(c).stat)


@laws
@given(problems(), st.sampled_from(["reml", "ml", 0.0, 0.5]), st.floats(-10.0, 10.0))
def test_an_image_of_huge_variance_adds_nothing(problem: Any, tau2: Any, effect: float) -> None:
    """The likelihood forgets it; moments do not, as they count it among the degrees of freedom."""
    X, Y, V = problem
    huge = 1e14 * V.max()
    more_X = np.vstack([X, X[:1]])
    more_Y = np.vstack([Y, np.full((1, Y.shape[1]), Y.mean() + effect)])
    more_V = np.vstack([V, np.full((1, Y.shape[1]), huge)])
    plain = fit_mixed(X, Y, V, tau2=tau2, test="z")
    more = fit_mixed(more_X, more_Y, more_V, tau2=tau2, test="z")
    same_tau2(more.tau2, plain.tau2, V)
    c = last_column(X)
    same_test(more.contrast(c), plain.contrast(c))


@laws
@given(problems(missing=True), estimators, tests, st.integers(2, 3))
def test_threads_give_the_same_bits(problem: Any, tau2: Any, test: str, n_threads: int) -> None:
    X, Y, V = problem
    c = last_column(X)
    one, more = (fit_mixed(X, Y, V, tau2=tau2, test=test, n_threads=n) for n in (1, n_threads))
    np.testing.assert_array_equal(more.tau2, one.tau2)
    np.testing.assert_array_equal(more.contrast(c).z_score, one.contrast(c).z_score)


@laws
@given(problems(missing=True), st.randoms(use_true_random=False))
def test_states_of_chunks_merge_into_that_of_all(problem: Any, random: Any) -> None:
    """Neighbours are merged in any order; a chunk may lack a voxel, or every column's rank."""
    X, Y, V = problem
    rows = np.stack([Y, V], axis=1).reshape(-1, Y.shape[1])
    plan = FixedEffects().prepare(X, tuple(f"c{j}" for j in range(X.shape[1])))
    ends = sorted({0, len(X), *(random.randrange(len(X)) for _ in range(4))})
    states = []
    for first, end in itertools.pairwise(ends):
        state = plan.accumulator(Y.shape[1])
        state.update(2 * first, np.ascontiguousarray(rows[2 * first : 2 * end]), 1)
        states.append(state)
    while len(states) > 1:
        k = random.randrange(len(states) - 1)
        states[k].merge(states.pop(k + 1), 1)
    merged = plan.finish(states[0], 1)
    whole = fit_mixed(X, Y, V, tau2=0.0, test="z")
    close(merged.q, whole.q, 1.0)
    for c in (last_column(X), np.eye(X.shape[1])):
        same_test(merged.contrast(c), whole.contrast(c))


@laws
@given(problems(missing=True), estimators, tests)
def test_f_of_one_row_is_t_squared(problem: Any, tau2: Any, test: str) -> None:
    X, Y, V = problem
    fit, c = fit_mixed(X, Y, V, tau2=tau2, test=test), last_column(X)
    t, minus, f = fit.contrast(c), fit.contrast(-c), fit.contrast(c[None])
    np.testing.assert_array_equal(minus.stat, -t.stat)
    close(f.stat, t.stat**2, 1e-3)
    close(f.p_value, 2 * np.minimum(t.p_value, minus.p_value))


@laws
@given(problems(missing=True), tests)
def test_no_variance_of_their_own_is_least_squares(problem: Any, test: str) -> None:
    """Equal variances and no tau2: weights are one number, and Knapp-Hartung is the OLS test."""
    X, Y, V = problem
    V = np.where(np.isnan(V), np.nan, 2.5)
    mixed = fit_mixed(X, Y, V, tau2=0.0, test="knapp-hartung")
    weighted = fit_weighted(X, np.where(np.isnan(V), np.nan, Y))
    c = last_column(X)
    same_test(mixed.contrast(c), weighted.contrast(c))


@laws
@given(problems(missing=True), st.floats(1e-6, 1e6))
def test_weights_have_no_unit(problem: Any, factor: float) -> None:
    X, Y, V = problem
    W = 1.0 / V
    c = last_column(X)
    plain, scaled = (
        fit_weighted(X, Y, W=W).contrast(c),
        fit_weighted(X, Y, W=factor * W).contrast(c),
    )
    same_test(scaled, plain)
    close(scaled.effect_variance, plain.effect_variance)


@laws
@given(problems(), st.integers(0, 2**32 - 1))
def test_whole_weights_are_repeated_rows(problem: Any, seed: int) -> None:
    """The coefficients are; the variance has the degrees of freedom of the rows that there are."""
    X, Y, _ = problem
    times = np.random.default_rng(seed).integers(1, 4, size=len(X))
    c = last_column(X)
    weighted = fit_weighted(X, Y, W=times.astype(float)).contrast(c)
    repeated = fit_weighted(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0)).contrast(c)
    df, more_df = len(X) - X.shape[1], times.sum() - X.shape[1]
    close(weighted.effect_size, repeated.effect_size, np.sqrt(weighted.effect_variance))
    close(weighted.effect_variance * df, repeated.effect_variance * more_df)


@laws
@given(problems(missing=True), st.booleans())
def test_a_covariate_that_is_the_same_everywhere_is_a_column(problem: Any, weighs: bool) -> None:
    X, Y, V = problem
    if X.shape[1] == 1:
        return
    W = 1.0 / V if weighs else None
    Z = np.broadcast_to(X[:, -1][:, None], Y.shape)[None].copy()
    column, row = fit_weighted(X, Y, W=W), fit_weighted(X[:, :-1], Y, W=W, Z=Z)
    c = last_column(X)
    same_test(row.contrast(c), column.contrast(c))
    same_test(row.contrast(np.eye(X.shape[1])), column.contrast(np.eye(X.shape[1])))


@laws
@given(problems(missing=True), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_each_voxel_has_its_own_covariate(problem: Any, k: int, seed: int) -> None:
    """A missing covariate is a missing image at that voxel."""
    X, Y, V = problem
    if len(X) < X.shape[1] + k + 5:
        return
    rng = np.random.default_rng([seed, 1])  # with the seed alone, Z can be the numbers of X
    Z = rng.normal(size=(k, *Y.shape))
    Z[0, 2, rng.random(Y.shape[1]) < 0.3] = np.nan
    whole = fit_weighted(X, Y, W=1.0 / V, Z=Z)
    c = np.eye(X.shape[1] + k)[-1]
    tested = whole.contrast(c)
    for v in range(min(6, Y.shape[1])):
        rows = np.isfinite(Y[:, v]) & np.isfinite(V[:, v]) & np.isfinite(Z[0, :, v])
        design = np.column_stack([X, Z[:, :, v].T])[rows]
        own = fit_weighted(design, Y[rows, v : v + 1], W=1.0 / V[rows, v : v + 1]).contrast(c)
        close(tested.stat[v], own.stat[0], 1.0)
        close(tested.effect_variance[v], own.effect_variance[0])


@pytest.mark.parametrize("tau2", ESTIMATORS)
def test_variance_groups_are_fits_of_their_own(tau2: str) -> None:
    """Of columns that the groups do not share."""
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b"], [9, 12])
    X = np.column_stack([group == "a", group == "b"]).astype(float)
    V = np.exp(rng.normal(size=(21, 30)))
    Y = rng.normal(size=V.shape) * np.sqrt(V + np.where(group == "a", 0.2, 3.0)[:, None])
    whole = fit_mixed(X, Y, V, tau2=tau2, test="z", variance_groups=group)
    for k, name in enumerate(("a", "b")):
        own = group == name
        alone = fit_mixed(X[own][:, k : k + 1], Y[own], V[own], tau2=tau2, test="z")
        same_test(whole.contrast(np.eye(2)[k]), alone.contrast([1.0]))


@pytest.mark.parametrize("scale", [1e-100, 1e-15, 1e-8, 1e8, 1e15, 1e100])
@pytest.mark.parametrize("tau2", ESTIMATORS)
def test_units_far_from_one(tau2: str, scale: float) -> None:
    """Effects of MEG are 1e-15, and their variances 1e-30."""
    rng = np.random.default_rng(8)
    X = np.column_stack([np.ones(15), rng.normal(size=15)])
    V = np.exp(rng.uniform(-3, 3, size=(15, 50)))
    Y = 3.0 + rng.normal(size=V.shape) * np.sqrt(V + rng.choice([0.0, 1.0, 9.0], size=50))
    plain, other = (fit_mixed(X, s * Y, s**2 * V, tau2=tau2) for s in (1.0, scale))
    same_tau2(other.tau2, scale**2 * plain.tau2, scale**2 * V)
    c = last_column(X)
    same_test(other.contrast(c), plain.contrast(c))
    close(other.i_squared, plain.i_squared, 1.0)
    close(other.q, plain.q)
