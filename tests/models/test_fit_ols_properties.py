# SPDX-License-Identifier: BSD-3-Clause
"""Laws that hold for any design and any data, tried with hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm import fit_ols

Floats = npt.NDArray[np.float64]

# Designs below have a scaled condition number up to 1e3 (checked when drawn), so that two routes
# to the same number agree to about 1e3 * n * eps = 1e-11 of the size of its terms.
RTOL = 1e-8

# A compiled call of a few microseconds has no meaningful deadline on a busy machine.
laws = settings(deadline=None, max_examples=60)


@st.composite
def problems(draw: st.DrawFn, *, missing: bool = False) -> tuple[Floats, Floats]:
    """Draw a full-rank design with an intercept, and data; perhaps with holes."""
    p = draw(st.integers(1, 5))
    n = draw(st.integers(p + 2, 25))
    n_voxels = draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    while np.linalg.cond(X) > 1e3:
        X[:, 1:] = rng.normal(size=(n, p - 1))
    Y = rng.normal(size=(n, n_voxels)) + draw(st.sampled_from([0.0, 1.0, 100.0]))
    if missing:
        # At most one hole a voxel leaves a residual degree of freedom everywhere.
        holes = rng.random(n_voxels) < 0.5
        Y[rng.integers(n, size=n_voxels)[holes], np.flatnonzero(holes)] = np.nan
    return X, Y


def close(found: Any, wanted: Any, scale: float = 0.0) -> None:
    """Compare with a slack relative to the largest entry, where cancellation sets the error."""
    wanted = np.asarray(wanted)
    slack = RTOL * max(scale, float(np.nanmax(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=RTOL, atol=slack)


def last_column(X: Floats) -> Floats:
    c = np.zeros(X.shape[1])
    c[-1] = 1.0
    return c


@laws
@given(problems(missing=True), st.floats(1e-6, 1e6))
def test_scaling_a_contrast(problem: tuple[Floats, Floats], factor: float) -> None:
    X, Y = problem
    fit, c = fit_ols(X, Y), last_column(X)
    plain, scaled, negated = fit.contrast(c), fit.contrast(factor * c), fit.contrast(-c)
    close(scaled.stat, plain.stat)
    close(scaled.p_value, plain.p_value)
    close(scaled.effect_size, factor * plain.effect_size)
    close(scaled.effect_variance, factor**2 * plain.effect_variance)
    np.testing.assert_array_equal(negated.stat, -plain.stat)
    np.testing.assert_array_equal(negated.z_score, -plain.z_score)
    close(negated.p_value, 1.0 - plain.p_value, scale=1.0)


@laws
@given(problems(missing=True), st.randoms(use_true_random=False))
def test_order_of_rows(problem: tuple[Floats, Floats], random: Any) -> None:
    X, Y = problem
    order = list(range(len(X)))
    random.shuffle(order)
    plain, shuffled = fit_ols(X, Y), fit_ols(X[order], Y[order])
    close(shuffled.beta, plain.beta)
    close(shuffled.residual_variance, plain.residual_variance)
    close(shuffled.r_square, plain.r_square, scale=1.0)
    c = last_column(X)
    close(shuffled.contrast(c).stat, plain.contrast(c).stat)


@laws
@given(problems(missing=True), st.randoms(use_true_random=False))
def test_order_of_columns(problem: tuple[Floats, Floats], random: Any) -> None:
    X, Y = problem
    order = list(range(X.shape[1]))
    random.shuffle(order)
    plain, shuffled = fit_ols(X, Y), fit_ols(X[:, order], Y)
    close(shuffled.beta, plain.beta[order])
    close(shuffled.rss, plain.rss)
    c = last_column(X)
    close(shuffled.contrast(c[order]).stat, plain.contrast(c).stat)


@laws
@given(
    problems(missing=True),
    st.floats(1e-3, 1e3),
    st.floats(-10.0, 10.0),
    st.lists(st.floats(1e-4, 1e4), min_size=5, max_size=5),
)
def test_units_of_data_and_covariates(
    problem: tuple[Floats, Floats], scale: float, shift: float, units: list[float]
) -> None:
    X, Y = problem
    unit = np.array([1.0, *units[: X.shape[1] - 1]])
    plain, other = fit_ols(X, Y), fit_ols(X * unit, scale * Y + shift)
    intercept = np.eye(X.shape[1])[0][:, None] * shift
    close(other.beta * unit[:, None], scale * plain.beta + intercept, scale=abs(shift))
    close(other.residual_variance, scale**2 * plain.residual_variance)
    close(other.r_square, plain.r_square, scale=1.0)
    if X.shape[1] > 1:  # a shift is no matter to anything but the intercept
        c = last_column(X)
        # What the shift costs in digits is its size in units of the data's spread.
        close(other.contrast(c).stat, plain.contrast(c).stat, scale=abs(shift) / scale)


@laws
@given(problems(missing=True), st.integers(0, 3))
def test_rows_of_nan_add_nothing(problem: tuple[Floats, Floats], extra: int) -> None:
    X, Y = problem
    rng = np.random.default_rng(extra)
    longer_X = np.vstack([X[:2], rng.normal(size=(extra, X.shape[1])), X[2:]])
    longer_Y = np.insert(Y, [2] * extra, np.nan, axis=0)
    plain, longer = fit_ols(X, Y), fit_ols(longer_X, longer_Y)
    np.testing.assert_array_equal(
        np.broadcast_to(longer.n_observations, Y.shape[1]),
        np.broadcast_to(plain.n_observations, Y.shape[1]),
    )
    close(longer.beta, plain.beta)
    close(longer.residual_variance, plain.residual_variance)
    c = last_column(X)
    close(longer.contrast(c).z_score, plain.contrast(c).z_score)


@laws
@given(problems(missing=True), st.integers(2, 4))
def test_every_row_repeated(problem: tuple[Floats, Floats], times: int) -> None:
    X, Y = problem
    plain, repeated = fit_ols(X, Y), fit_ols(np.repeat(X, times, axis=0), np.repeat(Y, times, 0))
    close(repeated.beta, plain.beta)
    close(repeated.rss, times * plain.rss)
    close(repeated.r_square, plain.r_square, scale=1.0)
    n = np.asarray(plain.n_observations)
    np.testing.assert_array_equal(repeated.df_residual, times * n - X.shape[1])


@laws
@given(problems(missing=True))
def test_f_of_one_row_is_t_squared(problem: tuple[Floats, Floats]) -> None:
    X, Y = problem
    fit, c = fit_ols(X, Y), last_column(X)
    t, f = fit.contrast(c), fit.contrast(c[None])
    # An effect near zero is a difference of larger numbers: its last digits are those of the data.
    np.testing.assert_allclose(f.stat, t.stat**2, rtol=1e-12, atol=1e-13)
    two_sided = 2 * np.minimum(t.p_value, fit.contrast(-c).p_value)
    np.testing.assert_allclose(f.p_value, two_sided, rtol=1e-10)


@laws
@given(problems())
def test_f_of_all_slopes_and_r_square(problem: tuple[Floats, Floats]) -> None:
    """F of everything but the intercept is R2 / (1 - R2) * df / k."""
    X, Y = problem
    k = X.shape[1] - 1
    if k == 0:
        return
    fit = fit_ols(X, Y)
    f = fit.contrast(np.eye(k + 1)[1:])
    close(f.stat, fit.r_square / (1 - fit.r_square) * fit.df_residual / k, scale=1.0)


@laws
@given(problems())
def test_a_change_of_basis(problem: tuple[Floats, Floats]) -> None:
    """A design with the same span has the same residuals and the same F of its whole."""
    X, Y = problem
    rng = np.random.default_rng(0)
    p = X.shape[1]
    turn = np.linalg.qr(rng.normal(size=(p, p)))[0]
    plain, turned = fit_ols(X, Y), fit_ols(X @ turn, Y)
    close(turned.residual_variance, plain.residual_variance)
    close(turn @ turned.beta, plain.beta)
    close(turned.contrast(np.eye(p)).stat, plain.contrast(np.eye(p)).stat)


@laws
@given(problems())
def test_residuals_are_what_the_design_cannot_say(problem: tuple[Floats, Floats]) -> None:
    X, Y = problem
    fit = fit_ols(X, Y)
    residuals, predicted = fit.residuals(X, Y), fit.predicted(X)
    close(predicted + residuals, Y)
    size = float(np.abs(Y).max()) * len(X)
    assert np.all(np.abs(X.T @ residuals) <= 1e-10 * size * np.abs(X).max())
    close((residuals**2).sum(axis=0), fit.rss)
