# SPDX-License-Identifier: BSD-3-Clause
"""From effect, variance and degrees of freedom to statistic, p and z, of the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.typing import NDArray
from scipy import stats

import groupglm
from groupglm import _core
from groupglm.models.results import ContrastResult
from reference import statistics as slow

pytestmark = pytest.mark.quick

Floats = NDArray[np.float64]
# The accuracy that the core promises: relative for t, and for |z| above 0.01 of F; absolute below.
RTOL, ATOL = 1e-12, 1e-14
RANK = 3


def core(
    effect: Floats, variance: Floats, df: float | Floats, rank: int | None, n_threads: int = 1
) -> Floats:
    if rank is None:
        return np.array(_core.t_statistics(effect, variance, df, n_threads))
    return np.array(_core.f_statistics(effect, variance, float(rank), df, n_threads))


def places(rank: int | None, n: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Effects and variances, with degrees of freedom of their own from 0.5 to 1e7."""
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.5, 2, n)
    df = np.exp(rng.uniform(np.log(0.5), np.log(1e7), n))
    z = rng.uniform(-6, 6, n)
    # About as likely under their df as z under the normal: mpmath can compute every tail.
    t = np.sign(z) * np.sqrt(df * np.expm1(np.minimum(z**2 / df, 12)))
    if rank is None:
        return t * np.sqrt(variance), variance, df
    return np.minimum(t**2, 60) * variance * rank, variance, df


@pytest.mark.parametrize("rank", [None, 1, RANK, 40])
def test_against_mpmath(rank: int | None) -> None:
    effect, variance, df = places(rank, 120)
    df[::7] = np.inf
    df[::9] = np.round(df[::9]) + 1
    stat, p, z = core(effect, variance, df, rank)
    # mpmath gets the statistic that the core found: its last bit is not a question of tails.
    wanted = slow.statistics(stat * (rank or 1), np.ones(120), df, rank)
    assert (np.abs(stat - effect / (np.sqrt(variance) if rank is None else variance * rank)) <=
            1e-15 * np.abs(stat)).all()  # fmt: skip
    np.testing.assert_allclose(p, wanted[1], rtol=RTOL)
    np.testing.assert_allclose(z, wanted[2], rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize(("df", "t"), [(1.5, 1e250), (30.25, 1e20), (3e5 + 0.5, 1e4)])
def test_tails_where_p_underflows(df: float, t: float) -> None:
    effect = np.array([t, -t])
    _, p, z = core(effect, np.ones(2), np.full(2, df), None)
    np.testing.assert_array_equal(p, [0, 1])
    assert z[1] == -z[0]
    # P(T > t) = I_x(df/2, 1/2) / 2 at x = df / (df + t^2): mpmath's hypergeometric series.
    with mp.workdps(40):
        a, x = mpf(df) / 2, mpf(df) / (mpf(df) + mpf(t) ** 2)
        series = mp.hyp2f1(a, mpf(1) / 2, a + 1, x)
        log_p = a * mp.log(x) - mp.log(a) + mp.log(series / 2 / mp.beta(a, mpf(1) / 2))
        log_tail = mp.log(mp.erfc(mpf(float(z[0])) / mp.sqrt(2)) / 2)
        # d log p / dz is about z, and log p about z^2 / 2.
        assert abs(log_tail / log_p - 1) < 2 * RTOL


@pytest.mark.parametrize("rank", [None, 1, RANK])
def test_against_scipy(rank: int | None) -> None:
    effect, variance, df = places(rank, 4000, seed=1)
    stat, p, z = core(effect, variance, df, rank, 2)
    wanted = stats.t.sf(stat, df) if rank is None else stats.f.sf(stat, rank, df)
    # scipy's own tails are good to some 1e-11 at a million degrees of freedom.
    np.testing.assert_allclose(p, wanted, rtol=1e-10)
    # An upper tail p near one determines z only to 1e-16 / (the density).
    near = (p < 0.9) & (p > 1e-300)
    np.testing.assert_allclose(z[near], stats.norm.isf(p[near]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rank", [None, RANK])
def test_a_place_does_not_depend_on_its_company_or_on_threads(rank: int | None) -> None:
    effect, variance, df = places(rank, 6000, seed=2)
    df[::2] = np.round(df[::2] % 50) + 1
    df[::5] = 12.5
    found = core(effect, variance, df, rank)
    np.testing.assert_array_equal(core(effect, variance, df, rank, 3), found)
    order = np.random.default_rng(0).permutation(6000)[:501]
    some = core(effect[order], variance[order], df[order], rank)
    np.testing.assert_array_equal(some, found[:, order])


@pytest.mark.parametrize("rank", [None, RANK])
@pytest.mark.parametrize("df", [1.0, 17.0, 1024.0])
def test_whole_degrees_have_the_same_bits_for_all_or_a_place(rank: int | None, df: float) -> None:
    effect, variance, _ = places(rank, 500, seed=3)
    by_place = core(effect, variance, np.full(500, df), rank)
    np.testing.assert_array_equal(core(effect, variance, df, rank), by_place)


@pytest.mark.parametrize("rank", [None, RANK])
def test_places_without_variance_or_degrees(rank: int | None) -> None:
    effect = np.array([0.0, 5.0, np.nan, 1.0, 1.0, 1.0, 1.0, 0.0])
    variance = np.array([0.0, 0.0, 0.0, -1.0, np.nan, 1.0, 1.0, 1.0])
    df = np.array([4.5, 4.5, 4.5, 4.5, 4.5, np.nan, 0.0, 4.5])
    found = core(effect, variance, df, rank)
    np.testing.assert_array_equal(found, slow.statistics(effect, variance, df, rank))
    assert found[2, 0] == 0
    assert found[2, 1] == np.inf


@pytest.mark.parametrize("rank", [None, RANK])
def test_a_contrast_is_this_step_on_its_own_effect_and_variance(rank: int | None) -> None:
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(30), rng.standard_normal((30, 3))])
    Y = rng.standard_normal((30, 800))
    Y[rng.random(Y.shape) < 0.05] = np.nan
    fit = groupglm.fit_ols(X, Y)
    if rank is None:
        result = fit.contrast([0, 1, -1, 0])
        effect = result.effect_size
    else:
        result = fit.contrast(np.eye(4)[1:])
        effect = result.stat * result.effect_variance * rank
    df = np.asarray(fit.df_residual, dtype=np.float64)
    found = core(effect, result.effect_variance, df, rank)
    # To the bit where nothing was multiplied back; F's product and quotient cost two roundings.
    tolerance = 0 if rank is None else 1e-14
    np.testing.assert_allclose(found[0], result.stat, rtol=tolerance)
    np.testing.assert_allclose(found[1], result.p_value, rtol=20 * tolerance)
    np.testing.assert_allclose(found[2], result.z_score, rtol=20 * tolerance)
    assert np.asarray(fit.df_residual).dtype == np.int64


@pytest.mark.parametrize("rank", [None, RANK])
def test_z_of_statistics(rank: int | None) -> None:
    effect, variance, df = places(rank, 300, seed=5)
    stat, _, z = core(effect, variance, df, rank)
    for degrees in (df, 12.5, 12.0, np.inf):
        wanted: Floats = core(stat * (rank or 1), np.ones(300), degrees, rank)[2]
        if rank is None:
            found = _core.t_z_scores(stat, degrees, 1)
        else:
            found = _core.f_z_scores(stat, float(rank), degrees, 1)
        again = core(stat * (rank or 1), np.ones(300), degrees, rank)[0] == stat
        np.testing.assert_array_equal(found[again], wanted[again])
    assert len(z) == 300


@pytest.mark.parametrize(
    "df", [np.ones(3), np.ones((4, 1)), np.ones(8)[::2], np.ones(4, np.float32), "3", None]
)
def test_degrees_that_do_not_fit(df: Any) -> None:
    one = np.ones(4)
    with pytest.raises((ValueError, TypeError)):
        _core.t_statistics(one, one, df, 1)
    with pytest.raises((ValueError, TypeError)):
        _core.t_z_scores(one, df, 1)


@pytest.mark.parametrize("rank", [0.0, -1.0, np.nan, np.inf])
def test_a_rank_that_is_none(rank: float) -> None:
    with pytest.raises(ValueError, match="rank of an F must be finite and above zero"):
        _core.f_statistics(np.ones(2), np.ones(2), rank, 5.0, 1)


def test_a_result_says_real_degrees_of_freedom() -> None:
    one = np.ones(2)

    def said(df: Any, kind: Any = "t") -> str:
        return ContrastResult(one, one, one, one, one, kind, df).degrees

    assert said(17) == "t(17)"
    assert said(17.0) == "t(17)"
    assert said(17.26) == "t(17.3)"
    assert said(np.array([4.04, 1200.0])) == "t(4.0 to 1,200)"
    assert said((2, np.array([np.nan, 7.5])), "F") == "F(2, 7.5)"
    assert said(np.inf) == "z"
    assert said(np.array([np.nan, np.nan])) == "t(nan)"
