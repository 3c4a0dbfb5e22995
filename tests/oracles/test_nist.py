# SPDX-License-Identifier: BSD-3-Clause
"""Certified results of the NIST Statistical Reference Datasets."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from groupglm import fit_ols
from reference import nist

EPS = float(np.finfo(np.float64).eps)

every_regression = pytest.mark.parametrize(
    "data", [*nist.regressions(), nist.filip()], ids=lambda d: d.name
)
regressions = pytest.mark.parametrize("data", nist.regressions(), ids=lambda d: d.name)


def condition(X: nist.FloatArray) -> float:
    """Give the condition number of X once its columns have unit length."""
    return float(np.linalg.cond(X / np.linalg.norm(X, axis=0)))


def rounding(data: nist.Certified) -> float:
    """Bound what a relative error of eps in every number of X and y, n times, does to X b - y."""
    terms = np.abs(data.X) @ np.abs(data.beta) + np.abs(data.y)
    return len(data.y) * EPS * float(np.linalg.norm(terms))


def beta_tolerance(data: nist.Certified) -> nist.FloatArray:
    """Bound what rounding does to each coefficient.

    To first order that is the rounding of X b - y, and kappa times that of the residual, seen
    through the rows of the pseudoinverse (Bjorck, Numerical Methods for Least Squares Problems,
    theorem 1.4.6). The normal equations, of kappa squared, would keep no digit of Filip's.
    """
    n, p = data.X.shape
    scale = np.linalg.norm(data.X, axis=0)
    through = np.linalg.norm(np.linalg.pinv(data.X / scale, rcond=1e-14), axis=1) / scale
    residual = data.residual_sd * np.sqrt(n - p)
    size = rounding(data) + n * EPS * condition(data.X) * residual
    # NIST prints fifteen digits.
    tolerance: nist.FloatArray = size * through + 1e-14 * np.abs(data.beta)
    return tolerance


@every_regression
def test_the_copy_of_the_data_has_no_slip(data: nist.Certified) -> None:
    """Solved in 100 digits from the decimals as printed, the data give the certified values."""
    with mpmath.workdps(100):

        def exact(values: nist.FloatArray) -> mpmath.matrix:
            return mpmath.matrix([[mpmath.mpf(repr(float(v))) for v in row] for row in values])

        X, y = exact(data.X), exact(data.y[:, None])
        if data.name == "Filip":  # powers of the decimals, not of the doubles nearest to them
            X = mpmath.matrix([[X[i, 1] ** k for k in range(X.cols)] for i in range(X.rows)])
        inverse = (X.T * X) ** -1
        beta = inverse * (X.T * y)
        residual = y - X * beta
        variance = sum(r * r for r in residual) / (X.rows - X.cols)
        errors = [float(mpmath.sqrt(variance * inverse[j, j])) for j in range(X.cols)]
        found = [float(b) for b in beta]
        sd = float(mpmath.sqrt(variance))
    # NIST prints 15 digits. An exact polynomial leaves a residual of zero.
    np.testing.assert_allclose(found, data.beta, rtol=1e-14)
    np.testing.assert_allclose(errors, data.standard_error, rtol=1e-14, atol=1e-80)
    np.testing.assert_allclose(sd, data.residual_sd, rtol=1e-14, atol=1e-80)


def test_longley_is_the_longley_of_statsmodels() -> None:
    import statsmodels.api as sm

    theirs, ours = sm.datasets.longley.load_pandas(), nist.longley()
    np.testing.assert_array_equal(ours.X[:, 1:], theirs.exog.to_numpy())
    np.testing.assert_array_equal(ours.y, theirs.endog.to_numpy())


@every_regression
def test_regression(data: nist.Certified) -> None:
    fit = fit_ols(data.X, np.column_stack([data.y, data.y]))
    n, p = data.X.shape
    beta_error = beta_tolerance(data)
    assert fit.rank == p
    assert np.all(np.abs(fit.beta[:, 1] - data.beta) <= beta_error)
    # Residuals are as good as y and X are, whatever the condition.
    sd = np.sqrt(fit.residual_variance[1])
    np.testing.assert_allclose(sd, data.residual_sd, rtol=1e-9, atol=rounding(data))
    np.testing.assert_allclose(fit.r_square[1], data.r_square, rtol=1e-10)
    if data.residual_sd > 0.0:
        # Standard errors depend on X alone, to first order in its condition number.
        rtol = n * condition(data.X) * EPS + 1e-9
        for j in range(p):
            found, wanted = fit.contrast(np.eye(p)[j]), data.standard_error[j]
            np.testing.assert_allclose(np.sqrt(found.effect_variance[1]), wanted, rtol=rtol)
            np.testing.assert_allclose(
                found.stat[1], data.beta[j] / wanted, rtol=rtol, atol=beta_error[j] / wanted
            )


@regressions
def test_regression_with_missing_rows_beside_it(data: nist.Certified) -> None:
    """The same data with rows that are missing: the row-by-row update must be as accurate."""
    n, p = data.X.shape
    X = np.vstack([data.X[: n // 2], data.X.mean(axis=0), data.X[n // 2 :], data.X[0]])
    y = np.concatenate([data.y[: n // 2], [np.nan], data.y[n // 2 :], [np.nan]])
    fit = fit_ols(X, np.column_stack([y, np.arange(n + 2.0)]))
    assert np.asarray(fit.n_observations)[0] == n
    assert np.asarray(fit.df_residual)[0] == n - p
    assert np.all(np.abs(fit.beta[:, 0] - data.beta) <= beta_tolerance(data))
    sd = np.sqrt(fit.residual_variance[0])
    np.testing.assert_allclose(sd, data.residual_sd, rtol=1e-9, atol=rounding(data))
    np.testing.assert_allclose(fit.r_square[0], data.r_square, rtol=1e-10)


@pytest.mark.parametrize("data", nist.one_samples(), ids=lambda d: d.name)
def test_one_sample(data: nist.OneSample) -> None:
    fit = fit_ols(np.ones((len(data.y), 1)), data.y[:, None])
    np.testing.assert_allclose(fit.beta[0, 0], data.mean, rtol=4 * EPS)
    # Read as doubles, the decimals are off by up to eps * mean: the sd is uncertain by that much.
    rtol = 4 * EPS * data.mean / data.sd
    np.testing.assert_allclose(np.sqrt(fit.residual_variance[0]), data.sd, rtol=rtol)


@pytest.mark.parametrize("data", nist.anovas(), ids=lambda d: d.name)
def test_analysis_of_variance(data: nist.Anova) -> None:
    cells = np.eye(9)[data.treatment]
    fit = fit_ols(cells, data.y[:, None])
    f = fit.contrast(np.eye(9)[:-1] - np.eye(9)[1:])
    rtol = 8 * EPS * float(data.y.max()) / data.residual_sd
    np.testing.assert_allclose(f.stat[0], data.f, rtol=rtol)
    np.testing.assert_allclose(np.sqrt(fit.residual_variance[0]), data.residual_sd, rtol=rtol)
    np.testing.assert_allclose(fit.r_square[0], data.r_square, rtol=rtol)
    assert fit.df_residual == 180
