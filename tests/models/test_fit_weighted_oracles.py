# SPDX-License-Identifier: BSD-3-Clause
"""fit_weighted and fixed effects against statsmodels, numpy, repeated rows and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from scipy import stats

from groupglm import FixedEffects, fit_ols, fit_weighted
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill

pytestmark = pytest.mark.quick

Floats = npt.NDArray[np.float64]

# Both sides work in double on columns whose scaled condition number is below 1e2, and with 1e4 of
# the data's standard deviation as the mean: some n * cond * 1e4 * eps = 1e-10 at most.
RTOL = 1e-10
N, V = 24, 40


def problem(n_covariates: int, mean: float, *, missing: bool = False) -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    X = np.column_stack([np.ones(N), np.repeat([0.0, 1.0], N // 2), rng.normal(size=N)])
    Y = rng.normal(size=(N, V)) + mean
    W = rng.uniform(0.2, 5.0, (N, V))
    Z = rng.normal(1.0, 1.0, (n_covariates, N, V))
    if missing:
        for array in (Y, W, *Z):
            array[rng.random((N, V)) < 0.05] = np.nan
    return X, Y, W, Z


def fixed(X: Floats, Y: Floats, V_: Floats) -> Any:
    """Fit fixed effects to arrays, by the plan that the engine uses."""
    rows = np.empty((2 * len(Y), Y.shape[1]), Y.dtype)
    rows[::2], rows[1::2] = Y, V_
    plan = FixedEffects().prepare(X, tuple(f"c{j}" for j in range(X.shape[1])))
    return plan.finish(fill(plan, ArrayRows(rows), n_threads=2), 2)


def present(Y: Floats, W: Floats, Z: Floats, voxel: int) -> npt.NDArray[np.bool_]:
    values: npt.NDArray[np.bool_] = np.isfinite(Y[:, voxel] + W[:, voxel] + Z[:, :, voxel].sum(0))
    return values


@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_covariates", [0, 1, 2])
def test_every_voxel_is_the_weighted_fit_of_statsmodels(
    n_covariates: int, missing: bool, mean: float
) -> None:
    X, Y, W, Z = problem(n_covariates, mean, missing=missing)
    fit = fit_weighted(X, Y, W, Z if n_covariates else None)
    p = 3 + n_covariates
    c, C = np.eye(p)[-1] - np.eye(p)[1], np.eye(p)[1:]
    t, F, r_square = fit.contrast(c), fit.contrast(C), fit.r_square
    df = np.broadcast_to(fit.df_residual, V)
    for v in range(V):
        rows = present(Y, W, Z, v)
        A = np.column_stack([X, Z[:, :, v].T])[rows]
        wanted = sm.WLS(Y[rows, v], A, weights=W[rows, v]).fit()
        one, both = wanted.t_test(c), wanted.f_test(C)
        assert df[v] == wanted.df_resid
        # The intercept's error is relative to the mean, as is that of what it is correlated with.
        np.testing.assert_allclose(fit.beta[:, v], wanted.params, rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(fit.rss[v], wanted.ssr, rtol=RTOL)
        np.testing.assert_allclose(t.effect_variance[v], one.sd.item() ** 2, rtol=RTOL)
        np.testing.assert_allclose(t.stat[v], one.tvalue.item(), rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(t.p_value[v], stats.t.sf(one.tvalue.item(), df[v]), rtol=1e-8)
        # Twice the error of the effects, on both sides.
        np.testing.assert_allclose(F.stat[v], both.fvalue, rtol=10 * RTOL)
        np.testing.assert_allclose(F.p_value[v], both.pvalue, rtol=1e-8)
        np.testing.assert_allclose(r_square[v], wanted.rsquared, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_fixed_effects_are_weighted_by_inverse_variances_and_tested_by_z(mean: float) -> None:
    X, Y, W, Z = problem(0, mean, missing=True)
    fit = fixed(X, Y, 1 / W)
    c, C = np.array([0.0, 1.0, -0.5]), np.eye(3)[1:]
    t, F = fit.contrast(c), fit.contrast(C)
    assert t.df == np.inf
    for v in range(V):
        rows = present(Y, W, Z, v)
        wanted = sm.WLS(Y[rows, v], X[rows], weights=W[rows, v]).fit()
        covariance = wanted.normalized_cov_params
        z = (c @ wanted.params) / np.sqrt(c @ covariance @ c)
        chi2 = (C @ wanted.params) @ np.linalg.solve(C @ covariance @ C.T, C @ wanted.params)
        np.testing.assert_allclose(t.effect_variance[v], c @ covariance @ c, rtol=RTOL)
        np.testing.assert_allclose(t.z_score[v], z, rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(t.p_value[v], stats.norm.sf(z), rtol=1e-8)
        np.testing.assert_allclose(F.stat[v], chi2 / 2, rtol=10 * RTOL)
        np.testing.assert_allclose(F.p_value[v], stats.chi2.sf(chi2, 2), rtol=1e-8)
        np.testing.assert_allclose(fit.q[v], wanted.ssr, rtol=RTOL)


def test_a_whole_weight_is_a_number_of_rows() -> None:
    X, Y, _, Z = problem(1, 10.0)
    times = np.random.default_rng(3).integers(0, 4, N)
    fit = fit_weighted(X, Y, times, Z)
    repeated = fit_weighted(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0),
                            Z=np.repeat(Z, times, axis=1))  # fmt: skip
    np.testing.assert_allclose(fit.beta, repeated.beta, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(fit.rss, repeated.rss, rtol=RTOL)
    # The weights say how exact an image is, not that there are more images.
    assert (np.asarray(fit.df_residual) == np.count_nonzero(times) - 4).all()
    assert repeated.df_residual == times.sum() - 4


def test_one_weight_for_each_image_is_that_weight_at_each_voxel() -> None:
    X, Y, W, _ = problem(0, 1.0)
    one, each = fit_weighted(X, Y, W[:, 0]), fit_weighted(X, Y, np.repeat(W[:, :1], V, axis=1))
    np.testing.assert_array_equal(one.beta, each.beta)
    np.testing.assert_array_equal(one.rss, each.rss)


def test_without_weights_and_covariates_it_is_the_ordinary_fit() -> None:
    X, Y, _, _ = problem(0, 1e4)
    own, ordinary = fit_weighted(X, Y), fit_ols(X, Y)
    c = [0.0, 1.0, -1.0]
    np.testing.assert_allclose(own.beta, ordinary.beta, rtol=RTOL, atol=RTOL)
    found, wanted = own.contrast(c).stat, ordinary.contrast(c).stat
    np.testing.assert_allclose(found, wanted, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(own.r_square, ordinary.r_square, rtol=RTOL)
    np.testing.assert_allclose(own.mean, ordinary.mean, rtol=1e-14)
    assert own.df_residual == ordinary.df_residual


def exact_fit(A: list[list[int]], y: list[int], w: list[int]) -> tuple[list[Fraction], Fraction]:
    """Weighted least squares in fractions, by Gauss and Jordan: coefficients and their RSS."""
    p = len(A[0])
    system = [
        [Fraction(sum(u * a[i] * a[j] for u, a in zip(w, A, strict=True))) for j in range(p)]
        + [Fraction(sum(u * a[i] * b for u, a, b in zip(w, A, y, strict=True)))]
        for i in range(p)
    ]
    for k in range(p):
        pivot = system[k][k]
        system[k] = [value / pivot for value in system[k]]
        for i in range(p):
            if i != k:
                system[i] = [
                    a - system[i][k] * b for a, b in zip(system[i], system[k], strict=True)
                ]
    beta = [row[-1] for row in system]
    left = [b - sum(x * g for x, g in zip(a, beta, strict=True)) for a, b in zip(A, y, strict=True)]
    return beta, Fraction(sum(u * e * e for u, e in zip(w, left, strict=True)))


def test_small_whole_numbers_in_exact_arithmetic() -> None:
    rng = np.random.default_rng(11)
    n, v = 7, 30
    X = np.column_stack([np.ones(n, int), np.arange(n)])
    Y: Any = rng.integers(-9, 10, (n, v))
    W = rng.integers(1, 6, (n, v))
    Z = rng.integers(-4, 5, (1, n, v))
    fit = fit_weighted(X, Y, W, Z)
    for voxel in range(v):
        A = np.column_stack([X, Z[0, :, voxel]]).tolist()
        beta, rss = exact_fit(A, Y[:, voxel].tolist(), W[:, voxel].tolist())
        # A condition below 1e2 and 7 rows: 7 * 1e2 * eps.
        np.testing.assert_allclose(fit.beta[:, voxel], np.array(beta, float), rtol=0, atol=1e-12)
        np.testing.assert_allclose(fit.rss[voxel], float(rss), rtol=1e-12, atol=1e-12)


def test_variances_from_one_to_a_hundred_million_keep_their_digits() -> None:
    rng = np.random.default_rng(5)
    X, Y, _, _ = problem(0, 1.0)
    variances = 10.0 ** rng.uniform(-4, 4, (N, V))
    fit = fixed(X, Y, variances)
    t = fit.contrast([0.0, 1.0, 0.0])
    np.testing.assert_allclose(
        fit.variance_ratio, variances.max(axis=0) / variances.min(axis=0), rtol=1e-14
    )
    for v in range(V):
        root = 1 / np.sqrt(variances[:, v])
        # Rows sorted by weight make Householder's QR stable row by row (Cox and Higham 1998).
        order = np.argsort(-root)
        Q, R = np.linalg.qr((root[:, None] * X)[order])
        beta = np.linalg.solve(R, Q.T @ (root * Y[:, v])[order])
        inverse = np.linalg.inv(R)
        # The heaviest rows' rounding, 1e4 larger than the lightest rows, in 24 rows.
        np.testing.assert_allclose(t.effect_size[v], beta[1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(t.effect_variance[v], (inverse[1] ** 2).sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("where", "value"), [("Y", np.nan), ("W", np.nan), ("W", 0.0), ("Z", np.nan)]
)
def test_missing_is_a_fit_of_the_rows_present(where: str, value: float) -> None:
    X, Y, W, Z = problem(1, 5.0)
    rows = np.delete(np.arange(N), 3)
    wanted = fit_weighted(X[rows], Y[rows], W[rows], Z[:, rows])
    {"Y": Y, "W": W, "Z": Z[0]}[where][3] = value
    fit = fit_weighted(X, Y, W, Z)
    np.testing.assert_allclose(fit.beta, wanted.beta, rtol=1e-12, atol=1e-12)
    c = np.array([0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(fit.contrast(c).stat, wanted.contrast(c).stat, rtol=1e-11)
    assert (np.asarray(fit.n_observations) == N - 1).all()


def test_predictions_and_residuals_use_the_covariates_of_the_place() -> None:
    X, Y, W, Z = problem(2, 3.0)
    fit = fit_weighted(X, Y, W, Z)
    wanted = X @ fit.beta[:3] + np.einsum("kiv,kv->iv", Z, fit.beta[3:])
    np.testing.assert_allclose(fit.predicted(Z=Z), wanted, rtol=1e-12)
    np.testing.assert_allclose(fit.residuals(None, Y, Z), Y - wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fit.X[:, 3:], Z.mean(axis=2).T, rtol=1e-12)
    # The weighted residuals are orthogonal to every column of the voxel.
    left = W * fit.residuals(None, Y, Z)
    np.testing.assert_allclose(X.T @ left, 0, atol=1e-10)
    np.testing.assert_allclose(np.einsum("kiv,iv->kv", Z, left), 0, atol=1e-10)


def test_the_heaviest_image_is_told() -> None:
    X, Y, W, _ = problem(0, 0.0)
    W[5, 3] = 1000.0
    share, image = fit_weighted(X, Y, W).dominance()
    np.testing.assert_array_equal(image, W.argmax(axis=0))
    np.testing.assert_allclose(share, W.max(axis=0) / W.sum(axis=0), rtol=1e-14)
