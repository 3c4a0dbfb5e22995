# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression: against the plain reference, its bad input, its weights."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import Robust, fit_ols, fit_robust
from groupglm.models import robust
from groupglm.models.robust_fit import RobustFit
from reference.robust import robust_place

# The kernel and the reference take the same steps in another order of sums. A voxel whose weights
# nearly cancel in a sum loses some digits more.
RTOL = 1e-9
NORMAL = 0.6745


def study(n: int, p: int, n_voxels: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    return X, rng.standard_t(2, (n, n_voxels)) + 3.0


def close(voxel: int, one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=RTOL, atol=RTOL, err_msg=f"voxel {voxel}")


def assert_is_reference(fit: RobustFit, X: Any, Y: Any, kind: str, tuning: float | None) -> None:
    weights = fit.weights(Y)
    c = np.eye(X.shape[1])[-1]
    t = fit.contrast(c)
    for v in range(Y.shape[1]):
        found = robust_place(X, Y[:, v], kind, tuning)
        assert fit.iterations[v] == found.iterations
        assert fit.converged[v] == found.converged
        close(v, fit.beta[:, v], found.beta)
        close(v, fit.residual_sd[v], found.sigma)
        close(v, fit.scale[v], found.scale)
        close(v, weights[:, v], found.weights)
        close(v, fit.mean_weight[v], np.nanmean(found.weights))
        close(v, t.stat[v], found.t(c))
        close(v, t.p_value[v], stats.t.sf(found.t(c), found.df))
    for mean, share, own in zip(fit.mean_weights, fit.low_shares, weights, strict=True):
        # Each weight is summed to 2^-33.
        np.testing.assert_allclose(mean, np.nanmean(own), rtol=0, atol=2.0**-32)
        assert share == np.mean(own[~np.isnan(own)] < 0.5)


@pytest.mark.parametrize("kind", ["bisquare", "huber"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("n", "p"), [(30, 2), (12, 1), (9, 4), (41, 5), (8, 3)])
def test_it_is_the_reference(n: int, p: int, missing: bool, kind: str) -> None:
    X, Y = study(n, p, 60)
    if missing:
        rng = np.random.default_rng(1)
        Y[rng.integers(0, n, 40), rng.integers(0, 60, 40)] = np.nan
    assert_is_reference(fit_robust(X, Y, weights=kind), X, Y, kind, None)


@pytest.mark.parametrize("tuning", [1.5, 8.0])
def test_the_tuning_is_the_users(tuning: float) -> None:
    X, Y = study(20, 2, 30)
    assert_is_reference(fit_robust(X, Y, tuning=tuning), X, Y, "bisquare", tuning)


def test_float32_is_its_double() -> None:
    X, Y = study(25, 2, 40)
    own = Y.astype(np.float32)
    one, other = fit_robust(X, own), fit_robust(X, own.astype(np.float64))
    np.testing.assert_array_equal(one.beta, other.beta)
    np.testing.assert_array_equal(one.residual_sd, other.residual_sd)


@pytest.mark.parametrize("strides", ["columns", "reversed", "every second"])
def test_any_strides(strides: str) -> None:
    X, Y = study(20, 2, 50)
    views = {
        "columns": np.asfortranarray(Y),
        "reversed": np.ascontiguousarray(Y[::-1, ::-1])[::-1, ::-1],
        "every second": np.repeat(Y, 2, axis=1)[:, ::2],
    }
    np.testing.assert_array_equal(fit_robust(X, views[strides]).beta, fit_robust(X, Y).beta)


def test_a_voxel_does_not_depend_on_its_neighbours_nor_on_threads() -> None:
    X, Y = study(15, 2, 2000)
    Y[3, ::5] = np.nan
    whole = fit_robust(X, Y, n_threads=1)
    turned = np.random.default_rng(3).permutation(2000)
    other = fit_robust(X, Y[:, turned], n_threads=3)
    for name in ("beta", "residual_sd", "scale", "mean_weight", "iterations"):
        np.testing.assert_array_equal(
            getattr(other, name), getattr(whole, name)[..., turned], err_msg=name
        )
    np.testing.assert_array_equal(other.mean_weights, whole.mean_weights)


def test_rows_in_several_tiles_are_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = study(15, 2, 200)
    Y[3, 90:] = np.nan
    Y[:, 150] = np.nan
    Y[:, 7] *= 1e200
    whole = fit_robust(X, Y)
    monkeypatch.setattr(robust, "TILE_BYTES", 15 * 8 * 37)
    parts = fit_robust(X, Y)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(parts.arrays()[name], array, err_msg=name)


def test_an_outlier_changes_least_squares_but_not_this() -> None:
    X, Y = study(20, 2, 1, seed=5)
    Y = np.random.default_rng(6).normal(size=Y.shape)
    far = Y.copy()
    far[4] = 1000.0
    fit = fit_robust(X, far)
    assert fit.weights(far)[4, 0] == 0
    assert abs(fit_ols(X, far).beta[0, 0]) > 10
    assert np.abs(fit.beta).max() < 1
    # How far the outlier is makes no difference to the coefficients.
    further = far.copy()
    further[4] = 5000.0
    np.testing.assert_allclose(fit_robust(X, further).beta, fit.beta, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-200, 1e-30, 1e30, 1e200])
def test_units_do_not_matter(factor: float) -> None:
    X, Y = study(15, 2, 30)
    Y[2, 5:20] = np.nan
    one, other = fit_robust(X, Y), fit_robust(X, Y * factor)
    np.testing.assert_allclose(other.beta / factor, one.beta, rtol=1e-10)
    np.testing.assert_allclose(other.scale / factor, one.scale, rtol=1e-10)
    stat = [fit.contrast([1, 0]).stat for fit in (one, other)]
    np.testing.assert_allclose(stat[1], stat[0], rtol=1e-9)


def test_dependent_columns_are_those_of_a_design_without_them() -> None:
    X, Y = study(20, 2, 40)
    with pytest.warns(UserWarning, match="rank 2"):
        fit = fit_robust(np.column_stack([X, X[:, 0] - X[:, 1]]), Y)
    plain = fit_robust(X, Y)
    # Coefficients of other columns end the iterations at another step: within the tolerance there.
    np.testing.assert_allclose(fit.predicted(), plain.predicted(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        fit.contrast([1, 0, 1]).effect_size, plain.contrast([1, 0]).effect_size, atol=1e-6
    )


def test_images_that_leave_a_column_empty_leave_the_rest() -> None:
    X, Y = study(20, 1, 30)
    X = np.column_stack([X, np.arange(20) < 3])
    Y[:3, 10:] = np.nan
    fit = fit_robust(X, Y)
    own = fit_robust(X[3:, :1], Y[3:, 10:])
    result = fit.contrast([1, 0])
    # The columns' other coordinates end the iterations within their tolerance.
    np.testing.assert_allclose(result.effect_size[10:], own.beta[0], rtol=1e-6)
    np.testing.assert_allclose(result.stat[10:], own.contrast([1]).stat, rtol=1e-6)
    assert np.isnan(fit.contrast([0, 1]).stat[10:]).all()


def test_more_than_half_of_the_values_equal() -> None:
    X, Y = np.ones((20, 1)), np.zeros((20, 2))
    Y[:6, 0] = [5.0, -3.0, 4.0, 7.0, 2.0, 1.0]
    Y[:, 1] = np.random.default_rng(0).normal(size=20)
    with pytest.warns(UserWarning, match="at 1 of 2 places at least half of the residuals"):
        fit = fit_robust(X, Y)
    assert fit.n_equal == 1
    assert abs(fit.beta[0, 0]) < 1e-14  # rounding of values up to 7
    np.testing.assert_array_equal(fit.weights(Y)[:, 0], np.arange(20) >= 6)
    # r is 0, and what is left is the share of least squares: p / sqrt(p^2 + n).
    expected = np.std(Y[:, 0], ddof=1) / np.sqrt(21)
    np.testing.assert_allclose(fit.residual_sd[0], expected, rtol=1e-12)
    assert abs(fit.contrast([1]).stat[0]) < 1e-12


def test_constant_and_zero_voxels_are_as_by_least_squares() -> None:
    X, _ = study(10, 2, 1)
    Y = np.column_stack([np.zeros(10), np.full(10, 7.1), X @ [1.0, 0.3]])
    fit, ols = fit_robust(X, Y), fit_ols(X, Y)
    np.testing.assert_allclose(fit.beta, ols.beta, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(fit.residual_sd, 0)
    np.testing.assert_array_equal(fit.contrast([1, 0]).stat, ols.contrast([1, 0]).stat)
    np.testing.assert_array_equal(fit.weights(Y), 1)
    assert fit.converged.all()
    assert fit.n_equal == 0


def test_a_group_of_two_that_differ_has_not_converged() -> None:
    X = np.column_stack([np.arange(20) < 18, np.arange(20) >= 18]).astype(float)
    Y = np.random.default_rng(0).normal(size=(20, 1))
    Y[18:, 0] = [500.0, -500.0]
    fit = fit_robust(X, Y)
    assert not fit.converged[0]
    assert fit.n_not_converged == 1
    assert np.isfinite(fit.beta).all()
    assert "1 not converged" in repr(fit)
    assert fit.maps()["converged"]()[0] == 0


def test_places_without_a_degree_of_freedom_are_empty() -> None:
    X, Y = study(10, 2, 4)
    Y[2:, 1] = np.nan
    Y[:, 2] = np.nan
    fit = fit_robust(X, Y)
    maps = [compute() for compute in fit.maps().values()]
    for values in (fit.scale, fit.mean_weight, fit.contrast([0, 1]).stat, *maps):
        np.testing.assert_array_equal(np.isnan(values), [False, True, True, False])
    weights = fit.weights(Y)
    assert np.isnan(weights[:, 1:3]).all()
    np.testing.assert_allclose(fit.mean_weights, weights[:, [0, 3]].mean(axis=1), atol=1e-9)


def test_few_degrees_of_freedom_are_told() -> None:
    X, Y = study(6, 3, 5)
    with pytest.warns(UserWarning, match="3 residual degrees of freedom"):
        fit_robust(X, Y)
    X, Y = study(7, 3, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_robust(X, Y)


def test_no_voxels() -> None:
    fit = fit_robust(np.ones((9, 1)), np.empty((9, 0)))
    assert fit.beta.shape == (1, 0)
    assert np.isnan(fit.mean_weights).all()
    assert fit.df_residual == 8
    assert len(fit.contrast([1]).stat) == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"weights": "andrews"}, ValueError, "weights is 'andrews'"),
        ({"tuning": 0}, ValueError, "tuning is 0"),
        ({"tuning": np.nan}, ValueError, "tuning is nan"),
        ({"tuning": -1.0}, ValueError, "tuning is -1"),
        ({"tuning": 10**400}, ValueError, "tuning"),
        ({"tuning": "4"}, TypeError, "tuning is a str"),
        ({"tuning": True}, TypeError, "tuning is a bool"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        Robust(**options)


def test_wrong_data() -> None:
    X, Y = study(10, 2, 5)
    Y[3, 2] = np.inf
    with pytest.raises(ValueError, match=r"1 infinite value in row 4 \(Y\[3\]\)"):
        fit_robust(X, Y)
    fit = fit_robust(X, np.nan_to_num(Y, posinf=0.0))
    with pytest.raises(ValueError, match="as it was for the fit"):
        fit.weights(Y[:, :2])


def test_the_scale_is_consistent_and_tests_keep_their_level() -> None:
    """Of normal data, sigma is near 1 and p is uniform."""
    rng = np.random.default_rng(11)
    X = np.column_stack([np.ones(30), rng.normal(size=30)])
    Y: NDArray[np.float64] = rng.normal(size=(30, 20_000))
    for kind in ("bisquare", "huber"):
        fit = fit_robust(X, Y, weights=kind)
        # 20,000 voxels: three standard errors of a share of 0.05 are 0.0046; the test itself is
        # approximate.
        share = np.mean(fit.contrast([0, 1]).p_value < 0.05)
        assert abs(share - 0.05) < 0.01
        assert abs(np.median(fit.residual_sd) - 1) < 0.05


def test_the_median_of_few_and_many_values() -> None:
    """Sizes about powers of two, of which a sorting network has special cases."""
    for n, p in itertools.product((6, 7, 8, 9, 16, 17, 33, 64, 65, 130), (1, 2)):
        X, Y = study(n, p, 3, seed=n)
        fit = fit_robust(X, Y)
        e = (Y - X @ fit.beta) / np.sqrt(1 - np.diag(X @ np.linalg.pinv(X)))[:, np.newaxis]
        wanted = np.median(np.sort(np.abs(e), axis=0)[p - 1 :], axis=0) / NORMAL
        np.testing.assert_allclose(fit.scale, wanted, rtol=1e-9)
