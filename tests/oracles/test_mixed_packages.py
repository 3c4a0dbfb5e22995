# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects and weights against PyMARE, statsmodels, FLAME1's formula and nilearn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.meta_analysis import combine_effects

from groupglm import fit_mixed, fit_weighted

Floats = npt.NDArray[np.float64]

# Designs of a condition number below 100 and variances of a ratio up to 1,000: rounding leaves
# about 1e5 eps = 2e-11 of the larger of an effect and its standard error.
RTOL = 1e-10


def study(n: int, n_voxels: int, *, seed: int, mean: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Draw a design of three columns, effects and variances; some places have no heterogeneity."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), np.arange(n) % 2, rng.normal(size=n)])
    V = np.exp(rng.uniform(-3.0, 3.0, size=(n, n_voxels)))
    tau2 = rng.choice([0.0, 0.3, 4.0], size=n_voxels)
    Y = mean + X @ rng.normal(size=(3, n_voxels)) + rng.normal(size=V.shape) * np.sqrt(V + tau2)
    return X, Y, V


def close(found: npt.ArrayLike, wanted: npt.ArrayLike, scale: npt.ArrayLike = 0.0) -> None:
    """Compare with a slack relative to the wanted number, and to a size of the problem."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    excess = np.abs(found - wanted) - RTOL * (np.abs(wanted) + np.asarray(scale))
    assert np.all(excess <= 0), (found[excess > 0], wanted[excess > 0])


def two_sided(fit: Any, c: Floats) -> Floats:
    """Twice the smaller tail, each of which is exact."""
    p: Floats = 2 * np.minimum(fit.contrast(c).p_value, fit.contrast(-c).p_value)
    return p


def pymare() -> Any:
    """Import PyMARE, which leaves a file open while it loads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pymare.estimators

        return pymare.estimators


@pytest.mark.parametrize("test", ["knapp-hartung", "knapp-hartung-conservative", "t", "z"])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_statsmodels_wls_at_a_given_tau2(test: str, mean: float) -> None:
    X, Y, V = study(18, 40, seed=1, mean=mean)
    n, p = X.shape
    given = 0.7
    fit = fit_mixed(X, Y, V, tau2=given, test=test)
    C = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ts, f = [fit.contrast(c) for c in C], fit.contrast(C)
    for k in range(Y.shape[1]):
        # The mean goes first: statsmodels itself would lose digits to it.
        wls = sm.WLS(Y[:, k] - mean, X, weights=1 / (V[:, k] + given)).fit()
        scale = wls.scale
        if test in {"t", "z"}:
            scale = 1.0
        elif test.endswith("conservative"):
            scale = max(1.0, scale)
        se = np.sqrt(scale * np.diag(wls.normalized_cov_params))
        for j, t in enumerate(ts, start=1):
            # A number of size `mean` is given with eps of it.
            noise = mean * 1e-5 / se[j]
            close(t.effect_size[k], wls.params[j], se[j] * (1 + noise))
            close(t.effect_variance[k], se[j] ** 2, se[j] ** 2 * noise)
            close(t.stat[k], wls.params[j] / se[j], 1 + noise)
            stat = wls.params[j] / se[j]
            one_sided = stats.norm.sf(stat) if test == "z" else stats.t.sf(stat, n - p)
            close(t.p_value[k], one_sided, 1 + noise)
        effect = wls.params[1:]
        chi2 = effect @ np.linalg.solve(scale * wls.normalized_cov_params[1:, 1:], effect)
        close(f.stat[k], chi2 / 2, 1 + mean * 1e-5 / se.min())
        p_value = stats.chi2.sf(chi2, 2) if test == "z" else stats.f.sf(chi2 / 2, 2, n - p)
        close(f.p_value[k], p_value, 1 + mean * 1e-5 / se.min())


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_weights_and_voxelwise_covariates_are_statsmodels_wls(mean: float) -> None:
    X, Y, V = study(18, 30, seed=2, mean=mean)
    W = 1 / V
    Z = np.random.default_rng(3).normal(size=(2, *Y.shape))
    fit = fit_weighted(X, Y, W=W, Z=Z)
    C = np.eye(5)[2:]
    ts, f = [fit.contrast(c) for c in C], fit.contrast(C)
    for k in range(Y.shape[1]):
        design = np.column_stack([X, Z[:, :, k].T])
        wls = sm.WLS(Y[:, k] - mean, design, weights=W[:, k]).fit()
        for j, t in enumerate(ts, start=2):
            noise = mean * 1e-5 / wls.bse[j]
            close(t.effect_size[k], wls.params[j], wls.bse[j] * (1 + noise))
            close(t.effect_variance[k], wls.bse[j] ** 2, wls.bse[j] ** 2 * noise)
            close(t.stat[k], wls.tvalues[j], 1 + noise)
            close(t.p_value[k], stats.t.sf(wls.tvalues[j], 13), 1 + noise)
        joint = wls.f_test(C)
        close(f.stat[k], joint.fvalue, 1 + mean * 1e-5 / wls.bse.min())
        close(f.p_value[k], joint.pvalue, 1 + mean * 1e-5 / wls.bse.min())


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        ("dersimonian-laird", "DerSimonianLaird"),
        ("hedges", "Hedges"),
        ("ml", "ml"),
        ("reml", "reml"),
    ],
)
@pytest.mark.parametrize("test", ["knapp-hartung", "knapp-hartung-conservative", "z"])
def test_pymare(estimator: str, name: str, test: str) -> None:
    X, Y, V = study(20, 60, seed=4)
    correction = "wald" if test == "z" else test
    theirs = pymare()
    if estimator in {"ml", "reml"}:
        # Its search ends where the likelihood is flat to 1e-12, and tau2 to about 1e-6.
        rtol, options = 1e-5, {"xtol": 1e-12, "ftol": 0.0, "maxiter": 500}
        model = theirs.VarianceBasedLikelihoodEstimator(
            method=name, small_sample_correction=correction, **options
        )
    else:
        rtol, model = 1e-9, getattr(theirs, name)(small_sample_correction=correction)
    model.fit(y=Y, v=V, X=X)
    result = model.summary()
    fit = fit_mixed(X, Y, V, tau2=estimator, test=test)
    tau2 = np.ravel(result.tau2)
    np.testing.assert_allclose(fit.tau2, np.maximum(tau2, 0.0), rtol=rtol, atol=rtol)
    theirs_of = result.get_fe_stats()
    for j in range(3):
        c = np.eye(3)[j]
        found = fit.contrast(c)
        se = theirs_of["se"][j]
        np.testing.assert_allclose(np.sqrt(found.effect_variance), se, rtol=10 * rtol)
        assert np.all(np.abs(found.effect_size - theirs_of["est"][j]) <= 10 * rtol * se)
        np.testing.assert_allclose(
            two_sided(fit, c), theirs_of["p"][j], rtol=100 * rtol, atol=1e-12
        )


@pytest.mark.parametrize(
    ("estimator", "name"), [("dersimonian-laird", "chi2"), ("paule-mandel", "iterated")]
)
def test_statsmodels_combine_effects(estimator: str, name: str) -> None:
    _, Y, V = study(12, 40, seed=5)
    ones = np.ones((12, 1))
    fits = {
        test: fit_mixed(ones, Y, V, tau2=estimator, test=test) for test in ("knapp-hartung", "z")
    }
    fixed = fit_mixed(ones, Y, V, tau2=0.0, test="z").contrast([1.0])
    for k in range(Y.shape[1]):
        options = {"atol": 1e-6, "maxiter": 500} if name == "iterated" else {}
        wanted = combine_effects(Y[:, k], V[:, k], method_re=name, **options)
        tau2 = max(0.0, wanted.tau2)
        # Its equation is solved to 1e-6: nearer zero it mistakes a rounded -1e-15 for no root.
        rtol = 1e-10 if name == "chi2" else 1e-5
        np.testing.assert_allclose(fits["z"].tau2[k], tau2, rtol=rtol, atol=rtol)
        z, hksj = (fits[test].contrast([1.0]) for test in ("z", "knapp-hartung"))
        # Where its tau2 is negative, its weights are of that; ours are the fixed effects'.
        kind = "re" if wanted.tau2 >= 0 else "fe"
        effect, sd, hksj_variance = (
            getattr(wanted, name + kind) for name in ("mean_effect_", "sd_eff_w_", "var_hksj_")
        )
        np.testing.assert_allclose(z.effect_size[k], effect, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(z.effect_variance[k], sd**2, rtol=rtol)
        np.testing.assert_allclose(hksj.effect_variance[k], hksj_variance, rtol=rtol)
        np.testing.assert_allclose(fits["z"].q[k], wanted.q, rtol=1e-10)
        close(fixed.effect_size[k], wanted.mean_effect_fe, wanted.sd_eff_w_fe)
        close(fixed.effect_variance[k], wanted.sd_eff_w_fe**2)


def test_flame1_formula() -> None:
    """REML by scipy on the dense covariance, and a Wald t on n - p degrees of freedom.

    Woolrich et al. 2004, NeuroImage 21:1732: stage one of FLAME maximises the marginal posterior of
    the group's variance under a reference prior, which for known v is the restricted likelihood.
    """
    X, Y, V = study(16, 30, seed=6)
    n, p = X.shape
    fit = fit_mixed(X, Y, V, tau2="reml", test="t")
    found = fit.contrast([0.0, 1.0, 0.0])
    for k in range(Y.shape[1]):
        y, v = Y[:, k], V[:, k]

        def minus_log(tau2: float, y: Floats = y, v: Floats = v) -> float:
            U = np.diag(v + tau2)
            inner = X.T @ np.linalg.solve(U, X)
            beta = np.linalg.solve(inner, X.T @ np.linalg.solve(U, y))
            e = y - X @ beta
            return 0.5 * float(
                np.linalg.slogdet(U)[1] + np.linalg.slogdet(inner)[1] + e @ np.linalg.solve(U, e)
            )

        grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e3, 300)])
        values = [minus_log(t) for t in grid]
        best = int(np.argmin(values))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found_tau2 = optimize.minimize_scalar(
            minus_log, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
        ).x
        tau2 = 0.0 if minus_log(0.0) <= minus_log(found_tau2) else float(found_tau2)
        # The value of the likelihood tells its place to half the digits.
        np.testing.assert_allclose(fit.tau2[k], tau2, rtol=1e-5, atol=1e-6)
        U = np.diag(1 / (v + tau2))
        covariance = np.linalg.inv(X.T @ U @ X)
        t = (covariance @ X.T @ U @ y)[1] / np.sqrt(covariance[1, 1])
        np.testing.assert_allclose(found.stat[k], t, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.p_value[k], stats.t.sf(found.stat[k], n - p), rtol=1e-10)
