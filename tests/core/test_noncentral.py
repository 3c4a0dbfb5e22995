# SPDX-License-Identifier: BSD-3-Clause
"""Noncentral t and F, their noncentralities, and Bayes factors, against independent sources."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import _core

Floats = NDArray[np.float64]


def probability_of_t(t: float, df: float, delta: float) -> float:
    """P(T <= t), the mean of Phi(t y - delta) over y, by mpmath."""
    b = mpmath.mpf(df) / 2
    front = 2 * b**b / mpmath.gamma(b)
    spread, centre = 1 / np.sqrt(2 * df), delta / t

    def integrand(y: Any) -> Any:
        return front * y ** (df - 1) * mpmath.exp(-b * y * y) * mpmath.ncdf(t * y - delta)

    ends = {max(0.0, 1 + k * spread) for k in (-12, -6, -3, 0, 3, 6, 12, 20)}
    ends |= {max(0.0, centre + k / abs(t)) for k in (-10, -4, 0, 4, 10)} | {0.0}
    with mpmath.workdps(25):
        return float(mpmath.quad(integrand, sorted(ends)))


@pytest.mark.parametrize(
    ("t", "df", "delta"),
    [
        (2.0, 10.0, 1.0),
        (0.3, 1.0, 2.0),
        (-1.5, 4.0, 0.5),
        (8.0, 2.5, 3.0),
        (30.0, 12.0, 28.0),
        (60.0, 12.0, 55.0),  # beyond the series, more so in y
        (60.0, 4000.0, 61.0),  # beyond the series, more so in z
        (900.0, 30.0, 800.0),
        (5.0, 1e5, 5.5),
    ],
)
def test_noncentral_t_is_that_of_mpmath(t: float, df: float, delta: float) -> None:
    found = _core.noncentral_t_cdf(np.array([t]), df, np.array([delta]), 1)[0]
    assert abs(found - probability_of_t(t, df, delta)) < 1e-12


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_noncentralities_of_t_have_the_probabilities_by_scipy(confidence: float) -> None:
    rng = np.random.default_rng(0)
    t, df = rng.uniform(-8, 8, 300), rng.uniform(3, 80, 300)
    bounds = _core.t_noncentralities(t, df, confidence, 1)
    for found, probability in zip(
        bounds, (0.5 + confidence / 2, 0.5 - confidence / 2), strict=True
    ):
        # scipy's is right for positive statistics.
        sign = np.sign(t)
        cdf = stats.nct.cdf(sign * t, df, sign * found)
        np.testing.assert_allclose(np.where(sign > 0, cdf, 1 - cdf), probability, atol=1e-9)


@pytest.mark.parametrize("rank", [1.0, 3.0, 12.0])
def test_noncentralities_of_f_have_the_probabilities_by_scipy(rank: float) -> None:
    rng = np.random.default_rng(0)
    f, df = rng.gamma(1.0, 3.0, 300), rng.uniform(3, 80, 300)
    low, high = _core.f_noncentralities(f, rank, df, 0.9, 1)
    central: Any = stats.f.cdf(f, rank, df)
    for found, probability in ((low, 0.95), (high, 0.05)):
        above = central > probability
        assert (found[~above] == 0).all()
        assert above.any()
        cdf = stats.ncf.cdf(f[above], rank, df[above], found[above])
        np.testing.assert_allclose(cdf, probability, rtol=0, atol=1e-9)


def log_bayes_factor(f: float, rank: float, df: float, scale: float) -> float:
    """The integral over g of the likelihoods and the prior, by mpmath."""
    x = rank * f / df

    def integrand(u: Any) -> Any:
        g = mpmath.exp(u)
        likelihood = (1 + g) ** (df / 2) * (1 + g / (1 + x)) ** (-(df + rank) / 2)
        prior = mpmath.sqrt(scale / 2 / mpmath.pi) * g ** mpmath.mpf(-1.5)
        return likelihood * prior * mpmath.exp(-scale / (2 * g)) * g

    with mpmath.workdps(25):
        return float(mpmath.log(mpmath.quad(integrand, [*range(-12, 80, 4)])))


@pytest.mark.parametrize(
    ("f", "rank", "df", "scale"),
    [(0.0, 1.0, 9.0, 5.0), (16.0, 1.0, 30.0, 15.5), (3.0, 4.0, 20.0, 3.0), (2e3, 2.0, 2.0, 1.0),
     (1.2, 1.0, 5000.0, 0.1), (90.0, 20.0, 60.0, 10.0)],
)  # fmt: skip
def test_bayes_factors_are_the_integral(f: float, rank: float, df: float, scale: float) -> None:
    found = _core.log_bayes_factors(np.array([f]), rank, df, scale, 1)[0]
    assert found == pytest.approx(log_bayes_factor(f, rank, df, scale), abs=1e-9)


def many_and_single(kind: str, df: Any) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(2)
    t = rng.normal(0, 3, 6000)
    compute: Any = {
        "t": lambda t, df: np.stack(_core.t_noncentralities(t, df, 0.95, 2)),
        "F": lambda t, df: np.stack(_core.f_noncentralities(t * t, 2.0, df, 0.95, 2)),
        "bayes": lambda t, df: _core.log_bayes_factors(t * t, 1.0, df, 8.0, 2)[np.newaxis],
    }[kind]
    few = np.arange(0, 6000, 97)
    own = np.broadcast_to(df, 6000)
    single = [compute(t[i : i + 1], float(own[i])) for i in few]
    return compute(t, df)[:, few], np.concatenate(single, axis=1)


@pytest.mark.parametrize("kind", ["t", "F", "bayes"])
@pytest.mark.parametrize("dfs", ["one", "few", "many"])
def test_tables_give_what_single_values_give(kind: str, dfs: str) -> None:
    df: Any = {
        "one": 29.0,
        "few": np.tile([3.0, 17.0, 29.0], 2000),
        "many": np.linspace(8.0, 14.0, 6000),
    }[dfs]
    if kind == "bayes" and dfs == "many":
        df = np.floor(df)  # these degrees of freedom are whole numbers
    many, single = many_and_single(kind, df)
    # Solved to 1e-10 of 1 or the value; a table has 1e-13 more.
    np.testing.assert_allclose(many, single, rtol=2e-9, atol=2e-9)


@pytest.mark.parametrize("df", [0.5, 1.0, 30.0, 1e6, 1e12, np.inf])
def test_extreme_statistics_are_finite(df: float) -> None:
    t = np.array([0.0, 1e-300, 1e-5, 40.0, 1e3, 1e6, 1e20, 1e100])
    low, high = _core.t_noncentralities(np.concatenate([t, -t]), df, 0.95, 1)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    assert (low < high).all()
    np.testing.assert_allclose(low[8:], -high[:8], rtol=1e-9, atol=1e-9)
    # A large t is delta / Y, whatever Z.
    if df < 1e6:
        y = np.sqrt(stats.chi2.isf([0.975, 0.025], df) / df)
        np.testing.assert_allclose([low[7] / 1e100, high[7] / 1e100], y, rtol=1e-9)
    below, above = _core.f_noncentralities(t, 2.0, df, 0.95, 1)
    assert np.isfinite(below).all()
    assert np.isfinite(above).all()
    assert (below <= above).all()
    if np.isfinite(df):
        assert np.isfinite(_core.log_bayes_factors(t[:7], 1.0, df, 8.0, 1)).all()


def test_what_has_no_answer_is_nan() -> None:
    stat = np.array([1.0, np.nan, np.inf, 1.0, 1.0, 1.0])
    df = np.array([5.0, 5.0, 5.0, 0.0, -1.0, np.nan])
    for found in (
        *_core.t_noncentralities(stat, df, 0.95, 1),
        *_core.f_noncentralities(stat, 2.0, df, 0.95, 1),
        _core.log_bayes_factors(stat, 2.0, df, 4.0, 1),
        _core.noncentral_t_cdf(stat, df, np.zeros(6), 1),
    ):
        assert np.isfinite(found[0])
        assert np.isnan(found[1:]).all()
    assert np.isnan(_core.f_noncentralities(np.array([-1.0]), 2.0, 5.0, 0.9, 1)[0]).all()
    for scale in (0.0, -1.0, np.inf, np.nan):
        assert np.isnan(_core.log_bayes_factors(stat[:1], 1.0, 5.0, scale, 1)).all()


def test_threads_do_not_change_the_bits() -> None:
    rng = np.random.default_rng(4)
    t, df = rng.normal(0, 3, 20_000), rng.uniform(5, 60, 20_000)
    for own in (df, 24.0):
        calls: Any = (
            (_core.t_noncentralities, t, own, 0.95),
            (_core.f_noncentralities, t * t, 2.0, own, 0.95),
        )
        for compute, *arguments in calls:
            for one, four in zip(compute(*arguments, 1), compute(*arguments, 4), strict=True):
                np.testing.assert_array_equal(one, four)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, np.nan])
def test_impossible_levels_are_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        _core.t_noncentralities(np.ones(2), 4.0, confidence, 1)


def test_hardly_any_degrees_of_freedom_have_no_interval() -> None:
    stat = np.array([2.0, 2.0, 2.0])
    df = np.array([5e-324, 0.05, 0.5])
    low, high = _core.t_noncentralities(stat, df, 0.95, 1)
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [True, True, False]
