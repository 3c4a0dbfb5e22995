# SPDX-License-Identifier: BSD-3-Clause
"""Values, variances and weights near the ends of double precision: exact, or refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from groupglm import MixedEffects, fit_mixed, fit_weighted
from groupglm.errors import ArgumentError

N = 12
ESTIMATORS = ("reml", "ml", "dersimonian-laird", "paule-mandel", "hedges")


def study() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(N), rng.normal(size=N)])
    return X, rng.normal(size=(N, 5)), rng.uniform(0.3, 2, (N, 5))


@pytest.mark.parametrize("tau2", ESTIMATORS)
@pytest.mark.parametrize("power", [-240, -120, 120, 240])
def test_units_of_data_within_double_scale_tau2_exactly(tau2: str, power: int) -> None:
    """By a power of two, whose square is one too: no rounding differs but of the search."""
    X, Y, V = study()
    unit = 2.0**power
    wanted, found = fit_mixed(X, Y, V, tau2=tau2), fit_mixed(X, Y * unit, V * unit**2, tau2=tau2)
    np.testing.assert_allclose(found.tau2 / unit**2, wanted.tau2, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.contrast([0, 1]).stat, wanted.contrast([0, 1]).stat, rtol=1e-8)


@pytest.mark.parametrize("tau2", ESTIMATORS)
def test_variances_of_nothing_beside_the_values_leave_least_squares(tau2: str) -> None:
    """With V / Y^2 of 1e-140, tau2 of all but ML is the residual mean square of least squares."""
    X, Y, V = study()
    rss = np.sum((Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]) ** 2, axis=0)
    fit = fit_mixed(X, Y, V * 1e-140, tau2=tau2)
    if tau2 == "dersimonian-laird":  # depends on the variances' ratios
        assert (fit.tau2 > 0).all()
        return
    df = N if tau2 == "ml" else N - 2
    np.testing.assert_allclose(fit.tau2, rss / df, rtol=1e-8)


@pytest.mark.parametrize("tau2", ESTIMATORS)
@pytest.mark.parametrize(
    ("values", "variances"), [(1, 1e-160), (1e200, 1), (1e160, 1), (1, 1e-305)]
)
def test_squares_too_large_beside_the_variances_are_refused(
    tau2: str, values: float, variances: float
) -> None:
    """REML was ten times too large there, and Paule-Mandel's estimate infinite."""
    X, Y, V = study()
    Y[:, 1:] *= values
    V[:, 1:] *= variances
    with pytest.raises(
        ArgumentError, match=r"at 4 places of 5, .*beyond double.*; scale"
    ) as caught:
        fit_mixed(X, Y, V, tau2=tau2)
    assert caught.value.argument == "V"


@pytest.mark.parametrize("unit", [1e200, 1e-145, 1e-200])
@pytest.mark.parametrize("model", ["weighted", "fixed"])
def test_weighted_squares_beyond_double_are_refused_by_the_test(unit: float, model: str) -> None:
    X, Y, V = study()
    fit: Any = fit_weighted(X, Y * unit, V)
    if model == "fixed":
        fit = fit_mixed(X, Y * unit, V, tau2=0)
    with pytest.raises(ArgumentError, match=r"squares of the values are beyond double .*; scale"):
        fit.contrast([0, 1])


def test_zeros_and_places_without_freedom_are_not_beyond_double() -> None:
    X, Y, V = study()
    zero = fit_weighted(X, Y * 0, V).contrast([0, 1])
    np.testing.assert_array_equal(zero.stat, 0)
    Y[2:] = np.nan
    assert np.isnan(fit_weighted(X, Y, V).contrast([0, 1]).stat).all()


def test_a_tau2_beyond_double_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"tau2 is 1000.*a finite number of at least 0"):
        MixedEffects(tau2=10**400)


@pytest.mark.parametrize(
    ("tau2", "said"),
    [
        ("reml", "12 images, mixed effects (REML): 5 voxels, 10 degrees of freedom, columns 0, 1"),
        ("paule-mandel", "12 images, mixed effects (Paule-Mandel): 5 voxels, 10 degrees"),
        (0.5, "12 images, mixed effects (tau2 = 0.5): 5 voxels, 10 degrees of freedom"),
    ],
)
def test_a_fit_says_what_it_is(tau2: Any, said: str) -> None:
    X, Y, V = study()
    assert said in repr(fit_mixed(X, Y, V, tau2=tau2))
    assert "(12 weighted images: 5 voxels, 10 degrees" in repr(fit_weighted(X, Y, V))
    assert "(12 images: 5 voxels, 10 degrees" in repr(fit_weighted(X, Y))


@pytest.mark.parametrize("scale", [1e160, 1e-160])
@pytest.mark.parametrize("door", ["fixed", "mixed", "weighted"])
def test_places_whose_squares_are_lost_are_counted(door: str, scale: float) -> None:
    """Three places of six are beyond double; the others have the numbers that they have alone."""
    rng = np.random.default_rng(2)
    X, y, v = np.ones((8, 1)), rng.normal(1, 1, (8, 6)), rng.uniform(0.5, 2, (8, 6))

    def contrast(y: Any, v: Any) -> Any:
        if door == "weighted":
            return fit_weighted(X, y, W=1 / v).contrast([1.0])
        tau2 = 0.0 if door == "fixed" else 0.3
        return fit_mixed(X, y, v, tau2=tau2).contrast([1.0])

    alone = contrast(y, v)
    far = y.copy()
    far[:, 3:] *= scale
    if door == "mixed" and scale > 1:  # no tau2 fits such data: refused before
        with pytest.raises(ArgumentError, match="at 3 places of 6"):
            contrast(far, v)
        return
    with pytest.warns(UserWarning, match=r"at 3 places of 6 the weighted squares .* beyond double"):
        found = contrast(far, v)
    np.testing.assert_array_equal(found.stat[:3], alone.stat[:3])
    assert np.isnan(found.stat[3:]).all()


def test_data_that_the_design_explains_are_not_lost() -> None:
    """A residual of 0, as of constant data, is within double; so is a place without images."""
    X = np.column_stack([np.ones(6), np.arange(6.0)])
    y = np.random.default_rng(0).normal(size=(6, 4))
    y[:, 1], y[:, 2], y[:, 3] = 3.0, 0.0, np.nan
    found = fit_weighted(X, y, W=np.ones_like(y)).contrast([0.0, 1.0])
    assert np.isfinite(found.stat[0])
