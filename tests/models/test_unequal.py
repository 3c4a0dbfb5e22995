# SPDX-License-Identifier: BSD-3-Clause
"""A variance for each group: Welch's t and F against scipy, statsmodels, R and the formulas."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.inference.permutation.kernels import GroupedKernel
from groupglm.inference.permutation.partition import partition
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.ols import fit_ols
from groupglm.models.unequal import UnequalVariances
from groupglm.models.unequal_fit import UnequalFit

Floats = NDArray[np.float64]

SIZES, SDS = (9, 14, 23), (1.0, 4.0, 0.3)
GROUP = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c"], SIZES))
N = len(GROUP)
DUMMIES = np.stack([GROUP == name for name in "abc"], axis=1).astype(np.float64)  # noqa: SIM300
AGE = np.random.default_rng(1).normal(40, 10, N)
WITHIN = np.hstack([DUMMIES, DUMMIES * AGE[:, None]])
DIFFERENCES = np.array([[1.0, -1, 0], [0, 1, -1]])
SLOPES = np.hstack([np.zeros((2, 3)), DIFFERENCES])


def data(n_voxels: int = 40, base: float = 0.0, seed: int = 2) -> Floats:
    """Values that add to `base` without rounding."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, DUMMIES @ SDS, (n_voxels, N)).T + DUMMIES @ [[0.0], [0.5], [1.0]]
    return base + np.round(noise * 2**30) / 2**30


def df_of(result: ContrastResult) -> Floats:
    """The degrees of freedom of t, or the second ones of F."""
    residual: Any = result.df[1] if isinstance(result.df, tuple) else result.df
    return np.asarray(residual, dtype=np.float64)


def fit(X: Any, Y: Floats, groups: Any = None, n_threads: int = 1) -> UnequalFit:
    X = np.ascontiguousarray(X, dtype=np.float64)
    plan = UnequalVariances(groups).prepare(X, tuple(f"c{j}" for j in range(X.shape[1])))
    return plan.finish(fill(plan, ArrayRows(Y), n_threads=n_threads), n_threads)


@pytest.mark.parametrize("base", [0.0, 1e4])
def test_the_t_of_two_groups_is_welchs(base: float) -> None:
    Y = data()
    result = fit(DUMMIES, data(base=base)).contrast([-1, 1, 0])
    expected = stats.ttest_ind(
        Y[GROUP == "b"], Y[GROUP == "a"], equal_var=False, alternative="greater"
    )
    # Rounding of the data's size, over residuals of size 1: 1e-16 base, times some ten operations.
    rtol = 1e-12 + 1e-14 * base
    np.testing.assert_allclose(result.stat, expected.statistic, rtol=rtol, atol=2e-15 * base)
    np.testing.assert_allclose(df_of(result), expected.df, rtol=rtol)
    np.testing.assert_allclose(result.p_value, expected.pvalue, rtol=100 * rtol)
    np.testing.assert_allclose(result.z_score, stats.norm.isf(expected.pvalue), rtol=1e-7)
    mean_a, mean_b = (Y[name == GROUP].mean(axis=0) for name in "ab")
    np.testing.assert_allclose(result.effect_size, mean_b - mean_a, atol=1e-11)
    variance = sum(Y[k == GROUP].var(axis=0, ddof=1) / np.count_nonzero(k == GROUP) for k in "ab")
    np.testing.assert_allclose(result.effect_variance, variance, rtol=rtol)
    assert result.degrees.startswith("t(")


@pytest.mark.parametrize("base", [0.0, 1e4])
def test_the_f_of_groups_is_that_of_welchs_analysis_of_variance(base: float) -> None:
    Y = data()
    result = fit(DUMMIES, data(base=base)).contrast(DIFFERENCES)
    rtol = 1e-11 + 1e-13 * base
    for v, values in enumerate(Y.T):
        groups = [values[name == GROUP] for name in "abc"]
        expected = anova_oneway(groups, use_var="unequal", welch_correction=True)
        np.testing.assert_allclose(result.stat[v], expected.statistic, rtol=rtol)
        np.testing.assert_allclose(df_of(result)[v], expected.df_denom, rtol=rtol)
        np.testing.assert_allclose(result.p_value[v], expected.pvalue, rtol=1000 * rtol)
    assert result.df_numerator == 2


def test_r_has_the_same_analysis_of_variance() -> None:
    """R's oneway.test; tests/oracles/welch/oneway.R made the table."""
    table = Path(__file__).parents[1] / "oracles" / "welch" / "oneway.csv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    for row in rows:
        labels = np.array(row["group"].split())
        names = list(dict.fromkeys(labels.tolist()))
        values = np.array(row["value"].split(), dtype=np.float64)
        X = np.stack([labels == name for name in names], axis=1)
        differences = np.eye(len(names))[:-1] - np.eye(len(names))[1:]
        result = fit(X, values[:, None]).contrast(differences)
        np.testing.assert_allclose(result.stat[0], float(row["statistic"]), rtol=1e-11)
        assert result.df_numerator == float(row["df_numerator"])
        np.testing.assert_allclose(df_of(result)[0], float(row["df_denominator"]), rtol=1e-11)
        np.testing.assert_allclose(result.p_value[0], float(row["p"]), rtol=1e-9)


def by_the_formulas(X: Floats, y: Floats, labels: Any, C: Floats) -> tuple[float, float, float]:
    """Return F, its second degrees of freedom and p, from the definitions, image by image."""
    beta = np.linalg.pinv(X) @ y
    covariances, freedom = [], []
    for name in dict.fromkeys(labels.tolist()):
        own = labels == name
        left = (y - X @ beta)[own]
        f = np.count_nonzero(own) - np.linalg.matrix_rank(X[own])
        inverse = np.linalg.pinv(X)[:, own]  # weights of the group's images
        covariances.append(C @ inverse @ inverse.T @ C.T * (left @ left / f))
        freedom.append(f)
    whole = np.sum(covariances, axis=0)
    T = C @ beta @ np.linalg.solve(whole, C @ beta)
    m = len(C)
    shares = [np.linalg.solve(whole, own) for own in covariances]
    P = sum(np.trace(k @ k) / f for k, f in zip(shares, freedom, strict=True))
    Q = sum(np.trace(k) ** 2 / f for k, f in zip(shares, freedom, strict=True))
    F, df = T / (m + 2 * P - 2 * (2 * P + Q) / (m + 2)), m * (m + 2) / (2 * P + Q)
    return float(F), float(df), float(stats.f.sf(F, m, df))


@pytest.mark.parametrize("base", [0.0, 1e4])
@pytest.mark.parametrize(
    "contrast",
    [SLOPES, SLOPES[:1], np.vstack([SLOPES, np.eye(6)[:1]]), np.eye(6), WITHIN[[3, 9, 9, 20]]],
    ids=["slopes", "one slope", "three rows", "all", "dependent rows"],
)
def test_covariates_within_groups(contrast: Floats, base: float) -> None:
    Y, C = data(), contrast
    fitted = fit(WITHIN, data(base=base))
    result = fitted.contrast(C)
    shift = np.linalg.lstsq(WITHIN, np.full(N, base), rcond=None)[0]
    independent = C if np.linalg.matrix_rank(C) == len(C) else C[:2]
    for v, y in enumerate(Y.T):
        moved = WITHIN @ shift + y  # as data(base=base), but y alone where base is 0
        F, df, p = by_the_formulas(WITHIN, y if base == 0 else moved, GROUP, independent)
        np.testing.assert_allclose(result.stat[v], F, rtol=1e-9 + 1e-11 * base)
        np.testing.assert_allclose(df_of(result)[v], df, rtol=1e-9 + 1e-11 * base)
        np.testing.assert_allclose(result.p_value[v], p, rtol=1e-6, atol=1e-290)
    np.testing.assert_allclose(result.effect_size, C @ fitted.beta, rtol=1e-9, atol=1e-9)


def test_a_contrast_within_one_group_has_the_f_of_its_images_alone() -> None:
    """Exactly: with one variance, the approximation is none."""
    Y = data()
    own = GROUP == "b"
    C = np.zeros((2, 6))
    C[0, 1] = C[1, 4] = 1
    result = fit(WITHIN, Y).contrast(C)
    expected = fit_ols(WITHIN[own][:, [1, 4]], Y[own]).contrast(np.eye(2))
    np.testing.assert_allclose(result.stat, expected.stat, rtol=1e-11)
    np.testing.assert_allclose(df_of(result), np.count_nonzero(own) - 2, rtol=1e-12)
    np.testing.assert_allclose(result.p_value, expected.p_value, rtol=1e-9)


def test_the_type_i_error_is_at_its_level() -> None:
    """Of two groups with covariates whose standard deviations differ threefold, 60,000 voxels.

    The standard error of a rate of 0.05 is 0.0009; the statistic with equal variances is far off.
    """
    rng = np.random.default_rng(5)
    labels = np.repeat(["few", "many"], [10, 24])
    X = np.zeros((34, 4))
    X[:10, 0] = X[10:, 1] = 1
    X[:10, 2], X[10:, 3] = rng.normal(size=10), rng.normal(size=24)
    Y = rng.normal(size=(34, 60_000)) * np.where(labels == "few", 3.0, 1.0)[:, None]
    C = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    fitted = fit(X, Y)
    for contrast in (C[0], C[1], C):
        rate = np.mean(fitted.contrast(contrast).p_value < 0.05)
        assert 0.045 < rate < 0.055
    assert np.mean(fit_ols(X, Y).contrast(C).p_value < 0.05) > 0.15


def test_other_codings_have_the_same_numbers() -> None:
    Y = data()
    expected = fit(DUMMIES, Y)
    coded = fit(np.hstack([np.ones((N, 1)), DUMMIES[:, 1:]]), Y, GROUP)
    wanted, found = (
        expected.contrast(DIFFERENCES),
        coded.contrast(np.array([[0.0, 1, 0], [0, 1, -1]])),
    )
    np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-11)
    np.testing.assert_allclose(df_of(found), df_of(wanted), rtol=1e-11)
    np.testing.assert_allclose(coded.beta[1], expected.beta[1] - expected.beta[0], rtol=1e-9)
    np.testing.assert_allclose(coded.predicted(), expected.predicted(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(coded.group_variance, expected.group_variance, rtol=1e-11)


def test_the_statistic_is_that_of_the_permutation_test() -> None:
    """V is t for one row, and G is F for the means of all groups."""
    Y = data()
    groups = np.unique(GROUP, return_inverse=True)[1]
    for X, contrast in ((DUMMIES, DIFFERENCES[:1]), (DUMMIES, DIFFERENCES), (WITHIN, SLOPES[1:])):
        kernel = GroupedKernel(partition(X, contrast), groups, two_sided=False)
        found = kernel.observe(ArrayRows(Y), np.empty(40), 1).reported
        stat_type: Any = kernel.letter
        expected = fit(X, Y).contrast(contrast, stat_type=stat_type)
        np.testing.assert_allclose(found, expected.stat, rtol=1e-9)


def test_missing_values_are_those_of_a_refit() -> None:
    rng = np.random.default_rng(3)
    Y = data()
    Y[rng.random(Y.shape) < 0.15] = np.nan
    fitted = fit(WITHIN, Y)
    t, F = fitted.contrast(SLOPES[0]), fitted.contrast(SLOPES)
    for v in range(Y.shape[1]):
        own = ~np.isnan(Y[:, v])
        alone = fit(WITHIN[own], Y[own][:, [v]])
        np.testing.assert_allclose(np.broadcast_to(fitted.n_observations, 40)[v], own.sum())
        for found, expected in ((t, alone.contrast(SLOPES[0])), (F, alone.contrast(SLOPES))):
            for name in ("stat", "p_value", "z_score", "effect_variance"):
                np.testing.assert_allclose(
                    getattr(found, name)[v], getattr(expected, name)[0], rtol=1e-9, err_msg=name
                )
            np.testing.assert_allclose(
                found.effect_size[..., v], expected.effect_size[..., 0], rtol=1e-8, atol=1e-12
            )
        np.testing.assert_allclose(df_of(t)[v], df_of(alone.contrast(SLOPES[0]))[0], rtol=1e-9)
        np.testing.assert_allclose(fitted.beta[:, v], alone.beta[:, 0], rtol=1e-8)
        np.testing.assert_allclose(fitted.mean[v], alone.mean[0], rtol=1e-10)
        here, there = (
            dict(zip([group.name for group in each.groups], variances, strict=True))
            for each, variances in (
                (fitted, fitted.group_variance[:, v]),
                (alone, alone.group_variance[:, 0]),
            )
        )
        assert here == pytest.approx(there, rel=1e-10)


def test_a_group_without_residuals_at_a_voxel_has_no_test_there() -> None:
    Y = data(3)
    Y[np.flatnonzero(GROUP == "a")[1:], 0] = np.nan  # one image is left
    Y[GROUP == "a", 1] = np.nan
    fitted = fit(DUMMIES, Y)
    for contrast in (DIFFERENCES[0], DIFFERENCES):
        result = fitted.contrast(contrast)
        for values in (result.stat, result.p_value, result.z_score, df_of(result)):
            assert np.isnan(values).tolist() == [True, True, False]
    others = fitted.contrast([0, 1, -1])
    complete = fit(DUMMIES, data(3)).contrast([0, 1, -1])
    np.testing.assert_allclose(others.stat, complete.stat, rtol=1e-12)
    assert np.isnan(fitted.beta).tolist() == [[False, True, False], [False] * 3, [False] * 3]
    assert np.isfinite(fitted.mean).all()
    assert np.isfinite(fitted.residual_sd).all()


@pytest.mark.parametrize("unit", [1.0, 0.1, 1e-200, 1e200])
def test_groups_that_do_not_vary(unit: float) -> None:
    Y = np.zeros((N, 4))
    Y[GROUP == "b"] = data(1)[GROUP == "b"]  # a and c are constant
    Y[GROUP == "c", 1] = 0.7  # a and c differ: infinite F
    Y[:, 2] = 0.3  # nothing varies: no evidence
    Y[:, 3] = DUMMIES @ [0.0, 0.5, 0]  # nothing varies within a group
    fitted = fit(DUMMIES, Y * unit)
    t = fitted.contrast([-1, 1, 0])
    b = Y[GROUP == "b", 0]
    expected = stats.ttest_1samp(b, 0)
    np.testing.assert_allclose(t.stat[:2], expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(df_of(t)[:2], expected.df, rtol=1e-12)
    assert t.stat[2:].tolist() == [0.0, np.inf]
    np.testing.assert_allclose(t.p_value[2:], [0.5, 0.0], rtol=1e-14)
    assert t.z_score[2:].tolist() == [0.0, np.inf]
    F = fitted.contrast(DIFFERENCES)
    assert np.isfinite(F.stat[0])
    assert F.stat[1:].tolist() == [np.inf, 0.0, np.inf]
    np.testing.assert_allclose(F.p_value[1:], [0.0, 1.0, 0.0], rtol=1e-14)
    assert F.z_score[1:].tolist() == [np.inf, 0.0, np.inf]


@pytest.mark.parametrize("unit", [1e-220, 1e-160, 1e160, 1e220])
def test_units_whose_squares_a_double_does_not_hold(unit: float) -> None:
    one, other = fit(WITHIN, data()), fit(WITHIN, data() * unit)
    for contrast in (SLOPES[0], SLOPES):
        wanted, found = one.contrast(contrast), other.contrast(contrast)
        np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-11)
        np.testing.assert_allclose(found.z_score, wanted.z_score, rtol=1e-11)
        np.testing.assert_allclose(found.effect_size / unit, wanted.effect_size, rtol=1e-11)
    np.testing.assert_allclose(other.residual_sd / unit, one.residual_sd, rtol=1e-12)


@pytest.mark.parametrize("missing", [False, True])
def test_any_number_of_threads_gives_the_same_bits(missing: bool) -> None:
    Y = data(3000)
    if missing:
        Y[np.random.default_rng(4).random(Y.shape) < 0.05] = np.nan
    one, many = fit(WITHIN, Y, n_threads=1), fit(WITHIN, Y, n_threads=3)
    few = one.select(np.arange(100, 190, dtype=np.int64))
    for contrast in (SLOPES[0], SLOPES, np.eye(6)):
        found = [each.contrast(contrast) for each in (one, many, few)]
        for name in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
            values = [getattr(each, name) for each in found]
            np.testing.assert_array_equal(values[1], values[0])
            np.testing.assert_array_equal(values[2], values[0][..., 100:190])


def test_a_fit_travels_and_is_saved_with_its_groups() -> None:
    Y = data()
    fitted = fit(WITHIN, Y, GROUP)
    assert fitted.model.settings() == {"groups": GROUP.tolist()}
    assert fit(WITHIN, Y).model.settings() == {"groups": None}
    there = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    model = UnequalVariances(**fitted.model.settings())
    loaded = model.load(WITHIN, fitted.column_names, fitted.arrays(), n_values=40, n_threads=1)
    for other in (there, loaded):
        np.testing.assert_array_equal(
            other.contrast(SLOPES).p_value, fitted.contrast(SLOPES).p_value
        )
        assert [group.name for group in other.groups] == list(dict.fromkeys(GROUP.tolist()))


def test_wrong_groups_and_contrasts_are_refused() -> None:
    Y = data()
    with pytest.raises(ArgumentError, match="groups has shape"):
        fit(DUMMIES, Y, ["a", "b"])
    with pytest.raises(ArgumentError, match="share the column 'c1': its coefficient"):
        fit(np.column_stack([DUMMIES[:, 0], AGE]), Y, GROUP)
    with pytest.raises(ArgumentError, match="does not separate the images into groups"):
        fit(np.ones((N, 1)), Y)
    with pytest.warns(UserWarning, match="linearly dependent"):
        dependent = fit(np.hstack([np.ones((N, 1)), DUMMIES]), Y, GROUP)
    with pytest.raises(NotEstimableError, match="'c0', 'c1', 'c2' and 'c3'"):
        dependent.contrast([1.0, 0, 0, 0])
    np.testing.assert_allclose(
        dependent.contrast([0, 1, -1, 0]).stat, fit(DUMMIES, Y).contrast([1, -1, 0]).stat
    )
    np.testing.assert_allclose(dependent.predicted(), fit(DUMMIES, Y).predicted(), atol=1e-12)


def test_what_is_said_of_a_fit() -> None:
    fitted = fit(WITHIN, data(), GROUP)
    assert repr(fitted) == (
        "UnequalFit(46 images in 3 groups of unequal variance: 40 voxels, 40 degrees of freedom, "
        "columns c0, c1, c2, c3, c4, c5)"
    )
    assert "for each of 3 groups" in fitted.words().plain
