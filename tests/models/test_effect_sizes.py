# SPDX-License-Identifier: BSD-3-Clause
"""Effect sizes of fits: what each model defines, missing values, equivalence, extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW, ttost_ind

from groupglm import FixedEffects, MixedEffects, UnequalVariances, fit_ols
from groupglm.errors import ArgumentError
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import Fit, Model, fill
from groupglm.models.effect_sizes import EFFECT_SIZES, EffectSizes, at_places
from groupglm.models.equivalence import Bounds, equivalence_of
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.weighted import Weighted

Floats = NDArray[np.float64]
N = 24
RNG = np.random.default_rng(5)
AGE = RNG.normal(size=N)
GROUP = np.repeat([1.0, 0.0], [10, 14])
CELLS = np.column_stack([GROUP, 1 - GROUP])
DIFFERENCE = np.array([1.0, -1.0])
Y = RNG.normal(size=(N, 40)) + 0.8 * GROUP[:, np.newaxis]


def fitted(model: Model, X: Floats, rows: Floats) -> Fit:
    plan = model.prepare(X, tuple(f"c{j}" for j in range(X.shape[1])))
    given = ArrayRows(rows)
    return plan.finish(fill(plan, given, n_threads=1), 1, given if model.keeps_rows else None)


def sizes_of(fit: Fit, contrast: Any, **options: Any) -> EffectSizes:
    values = np.asarray(contrast, dtype=np.float64)
    return EffectSizes(fit, values, fit.contrast(values), **options)


def with_variances(variances: Any) -> Floats:
    rows = np.empty((2 * N, Y.shape[1]))
    rows[::2], rows[1::2] = Y, variances
    return rows


def test_interval_of_the_effect_is_that_of_statsmodels() -> None:
    sizes = sizes_of(fit_ols(np.ones((N, 1)), Y), [1], confidence=0.9)
    low, high = DescrStatsW(Y).tconfint_mean(alpha=0.1)
    np.testing.assert_allclose(sizes.row("ci_low"), low, rtol=1e-10)
    np.testing.assert_allclose(sizes.row("ci_high"), high, rtol=1e-10)


def test_partial_r_is_the_correlation_of_residuals() -> None:
    X = np.column_stack([np.ones(N), GROUP, AGE])
    sizes = sizes_of(fit_ols(X, Y), [0, 0, 1])
    others = X[:, :2]
    left = Y - others @ np.linalg.lstsq(others, Y, rcond=None)[0]
    own = AGE - others @ np.linalg.lstsq(others, AGE, rcond=None)[0]
    expected = [np.corrcoef(own, column)[0, 1] for column in left.T]
    np.testing.assert_allclose(sizes.row("partial_r"), expected, rtol=1e-10)
    np.testing.assert_allclose(sizes.row("partial_r2"), np.square(expected), rtol=1e-10)
    joint = sizes_of(fit_ols(X, Y), [[0, 1, 0], [0, 0, 1]])
    r2 = fit_ols(X, Y).r_square
    np.testing.assert_allclose(joint.row("partial_r2"), r2, rtol=1e-10)


def test_hedges_g_is_unbiased() -> None:
    rng, true = np.random.default_rng(0), 0.8
    many = rng.normal(true, 1.0, (6, 200_000))
    g = sizes_of(fit_ols(np.ones((6, 1)), many), [1]).row("hedges_g")
    # Four standard errors of the mean: about 1e-3 each; d itself has a bias of 0.15.
    assert abs(g.mean() - true) < 4 * g.std() / np.sqrt(len(g))


@pytest.mark.parametrize("name", ["cohen_d", "partial_r"])
def test_intervals_cover(name: str) -> None:
    rng, d = np.random.default_rng(1), 0.6
    many = rng.normal(d, 1.0, (12, 20_000))
    sizes = sizes_of(fit_ols(np.ones((12, 1)), many), [1])
    delta = d * np.sqrt(12)
    true = d if name == "cohen_d" else delta / np.sqrt(delta**2 + 11)
    covers = (sizes.row(f"{name}_ci_low") <= true) & (true <= sizes.row(f"{name}_ci_high"))
    # Binomial: 0.95 of 20,000 has a standard error of 0.0015.
    assert abs(covers.mean() - 0.95) < 0.006


def test_mixed_effects_of_equal_variances_are_least_squares() -> None:
    own = Y[:, fit_ols(CELLS, Y).residual_variance > 0.2]
    rows = np.full((2 * N, own.shape[1]), 0.1)
    rows[::2] = own
    mixed = sizes_of(fitted(MixedEffects("reml"), CELLS, rows), DIFFERENCE)
    ols = sizes_of(fit_ols(CELLS, own), DIFFERENCE)
    # tau2 is the residual variance less 0.1, and the test of Knapp and Hartung is that of OLS.
    for name in ("cohen_d", "cohen_d_ci_low", "cohen_d_ci_high", "ci_low"):
        np.testing.assert_allclose(mixed.row(name), ols.row(name), rtol=1e-7, atol=1e-9)


def test_repeated_measures_divide_by_all_variance() -> None:
    rng = np.random.default_rng(3)
    subjects = [f"s{number // 3}" for number in range(60)]
    level = np.repeat(rng.normal(0, 1, (20, 30)), 3, axis=0)
    rows = 0.5 + level + rng.normal(0, 0.7, (60, 30))
    fit = fitted(RepeatedMeasures(subjects=subjects), np.ones((60, 1)), rows)
    sizes = sizes_of(fit, [1])
    total = np.sqrt(fit.subject_variance + fit.residual_variance)  # type: ignore[attr-defined]
    np.testing.assert_allclose(sizes.row("cohen_d"), fit.beta[0] / total, rtol=1e-10)
    assert (sizes.row("cohen_d_ci_low") < sizes.row("cohen_d")).all()
    # The interval holds 0 where the test does not reject at its level.
    holds = (sizes.row("cohen_d_ci_low") <= 0) & (sizes.row("cohen_d_ci_high") >= 0)
    p = 2 * np.minimum(sizes.result.p_value, 1 - sizes.result.p_value)
    np.testing.assert_array_equal(holds, p >= 0.05)
    t, df = sizes.result.stat, sizes.df
    np.testing.assert_allclose(sizes.row("partial_r2"), t**2 / (t**2 + df), rtol=1e-10)


def test_voxelwise_covariates_are_least_squares_voxel_by_voxel() -> None:
    rng = np.random.default_rng(4)
    rows = np.empty((2 * N, 5))
    rows[::2], rows[1::2] = Y[:, :5], rng.normal(size=(N, 5))
    fit = fitted(Weighted(covariates=("own",)), np.ones((N, 1)), rows)
    for name in ("cohen_d", "cohen_d_ci_high", "partial_r2_ci_low", "log_bayes_factor"):
        found = sizes_of(fit, [1, 0]).row(name)
        for place in range(5):
            X = np.column_stack([np.ones(N), rows[1::2, place]])
            alone = sizes_of(fit_ols(X, Y[:, [place]]), [1, 0]).row(name)
            np.testing.assert_allclose(found[place], alone[0], rtol=1e-8, atol=1e-9)


def test_missing_values_are_left_out_place_by_place() -> None:
    holes = Y.copy()
    holes[3, ::2], holes[5:9, ::3] = np.nan, np.nan
    sizes = sizes_of(fit_ols(CELLS, holes), DIFFERENCE)
    for name in EFFECT_SIZES:
        found = sizes.row(name)
        for place in range(12):
            has = ~np.isnan(holes[:, place])
            alone = fit_ols(CELLS[has], holes[has][:, [place]])
            np.testing.assert_allclose(
                found[place], sizes_of(alone, DIFFERENCE).row(name)[0], rtol=1e-8, atol=1e-9
            )


VARIANCES = np.full((N, Y.shape[1]), 0.3)
SUBJECTS = [f"s{number // 2}" for number in range(N)]
REFUSED: dict[str, tuple[Model, Floats, tuple[str, ...]]] = {
    "fixed effects": (
        FixedEffects(),
        with_variances(VARIANCES),
        ("cohen_d", "hedges_g", "partial_r", "partial_r2", "log_bayes_factor"),
    ),
    "mixed effects by z": (
        MixedEffects("dersimonian-laird", "z"),
        with_variances(VARIANCES),
        ("cohen_d", "hedges_g", "partial_r", "partial_r2", "log_bayes_factor"),
    ),
    "mixed effects": (
        MixedEffects(),
        with_variances(VARIANCES),
        ("hedges_g", "partial_r", "partial_r2", "log_bayes_factor"),
    ),
    "unequal variances": (UnequalVariances(), Y, ("partial_r", "partial_r2", "log_bayes_factor")),
    "weights": (
        Weighted(weights=True),
        with_variances(VARIANCES),
        ("cohen_d", "hedges_g", "log_bayes_factor"),
    ),
    "sandwich": (
        RepeatedMeasures("sandwich", subjects=SUBJECTS),
        Y,
        ("cohen_d", "hedges_g", "partial_r", "partial_r2", "log_bayes_factor"),
    ),
    "random intercept": (
        RepeatedMeasures(subjects=SUBJECTS), Y, ("hedges_g", "log_bayes_factor"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_model_does_not_define_is_refused_by_name(case: str) -> None:
    model, rows, refused = REFUSED[case]
    sizes = sizes_of(fitted(model, CELLS, rows), DIFFERENCE)
    for name in EFFECT_SIZES:
        family = name.partition("_ci_")[0]
        if family in refused:
            with pytest.raises(ArgumentError, match=f"'{name}' is not defined for the model '"):
                sizes.row(name)
        else:
            assert np.isfinite(sizes.row(name)).all(), name


def test_f_contrasts_have_a_share_of_variance_alone() -> None:
    sizes = sizes_of(fit_ols(CELLS, Y), np.eye(2))
    for name in EFFECT_SIZES:
        if name.startswith("partial_r2") or name == "log_bayes_factor":
            assert np.isfinite(sizes.row(name)).all()
        else:
            with pytest.raises(ArgumentError, match="not defined for an F contrast"):
                sizes.row(name)


def test_extremes_are_finite_or_nan() -> None:
    n = np.arange(1.0, 4.0)
    values = np.column_stack([
        np.full(3, 7.0), np.zeros(3), 1e8 + n * 1e-3, n * 1e200, n * 1e-200, [np.nan, 1, 2],
        [np.nan, np.nan, 2],
    ])  # fmt: skip
    sizes = sizes_of(fit_ols(np.ones((3, 1)), values), [1])
    for name in EFFECT_SIZES:
        found = sizes.row(name)
        assert not np.isinf(found).any(), name
        if name in ("ci_low", "ci_high"):
            continue
        assert np.isnan(found[[0, 1, 6]]).all(), name  # nothing varies, or no degree of freedom
        assert np.isfinite(found[2]), name
        np.testing.assert_allclose(found[3], found[4], rtol=1e-8)  # whatever the unit
    one = sizes.row("hedges_g")[5]  # a single degree of freedom: d has no expectation
    assert np.isnan(one)
    assert np.isfinite(sizes.row("cohen_d_ci_high")[5])


def test_a_single_degree_of_freedom_and_a_million() -> None:
    few = sizes_of(fit_ols(np.ones((2, 1)), np.array([[1.0, 5.0], [2.0, 5.001]])), [1])
    assert np.isfinite(few.row("cohen_d_ci_low")).all()
    rng = np.random.default_rng(0)
    many = sizes_of(fit_ols(np.ones((1_000_001, 1)), rng.normal(0.01, 1, (1_000_001, 1))), [1])
    assert np.isfinite([many.row(name) for name in EFFECT_SIZES]).all()
    np.testing.assert_allclose(many.row("hedges_g"), many.row("cohen_d"), rtol=1e-6)
    # The noncentral t is normal then.
    np.testing.assert_allclose(
        many.row("cohen_d_ci_high") - many.row("cohen_d"), 1.959964e-3, rtol=1e-3
    )


def test_equivalence_is_that_of_statsmodels() -> None:
    sizes = sizes_of(fit_ols(CELLS, Y), DIFFERENCE)
    found = equivalence_of(sizes, Bounds.checked((-1.2, 1.5), "effect", 0.05))
    expected = ttost_ind(Y[:10], Y[10:], -1.2, 1.5, usevar="pooled")[0]
    np.testing.assert_allclose(found.p_value, expected, rtol=1e-10)
    tested: Any = stats.ttest_ind(Y[:10], Y[10:])
    two_sided = tested.pvalue
    for place, decision in enumerate(found.decision):
        effect, equal = two_sided[place] < 0.05, expected[place] < 0.05
        assert decision == {(1, 0): 1, (0, 1): -1, (1, 1): 2, (0, 0): 0}[effect, equal]
    assert {0, 1, -1} <= set(found.decision.tolist())


def test_equivalence_in_units_of_d_is_its_interval() -> None:
    for model, rows in ((None, Y), (UnequalVariances(), Y)):
        fit = fit_ols(CELLS, rows) if model is None else fitted(model, CELLS, rows)
        sizes = sizes_of(fit, DIFFERENCE, confidence=0.9)
        found = equivalence_of(sizes, Bounds.checked((-1.0, 1.0), "cohen_d", 0.05))
        inside = (sizes.row("cohen_d_ci_low") > -1) & (sizes.row("cohen_d_ci_high") < 1)
        np.testing.assert_array_equal(found.p_value < 0.05, inside)
        assert inside.any()
        assert not inside.all()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((1, -1), r"the lower bound first; give \(-1, 1\)"),
        ((0.2, 0.5), "a number below 0 and one above"),
        ((0, 0), "a number below 0 and one above"),
        ((-1, np.inf), "bounds"),
        ((-1, np.nan), "bounds"),
        (0.5, r"two numbers, \(low, high\)"),
        ((-1, 0, 1), r"two numbers, \(low, high\)"),
        (("a", "b"), "bounds"),
    ],
)
def test_impossible_bounds_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Bounds.checked(bounds, "effect", 0.05)


def test_bounds_in_units_that_a_model_lacks_are_refused() -> None:
    sizes = sizes_of(fitted(FixedEffects(), CELLS, with_variances(VARIANCES)), DIFFERENCE)
    with pytest.raises(ArgumentError, match="units of Cohen's d need a d"):
        equivalence_of(sizes, Bounds.checked((-1, 1), "cohen_d", 0.05))
    found = equivalence_of(sizes, Bounds.checked((-1, 1), "effect", 0.05))
    z = sizes.result
    expected = np.maximum(
        stats.norm.sf((z.effect_size + 1) / np.sqrt(z.effect_variance)),
        stats.norm.cdf((z.effect_size - 1) / np.sqrt(z.effect_variance)),
    )
    np.testing.assert_allclose(found.p_value, expected, rtol=1e-9)
    with pytest.raises(ArgumentError, match="units"):
        Bounds.checked((-1, 1), "percent", 0.05)


def test_places_of_a_table_are_those_of_the_maps() -> None:
    fit, places = fit_ols(CELLS, Y), np.array([7, 0, 31])
    table, sizes = at_places(fit, DIFFERENCE, places), sizes_of(fit, DIFFERENCE)
    for column, name in (("effect_ci_low", "ci_low"), ("cohen_d_ci_high", "cohen_d_ci_high")):
        np.testing.assert_allclose(table[column], sizes.row(name)[places], rtol=1e-9)
    constant = at_places(fit, DIFFERENCE, places, null_value=0.3)
    shifted = at_places(fit_ols(CELLS, Y - 0.3 * GROUP[:, np.newaxis]), DIFFERENCE, places)
    for name in ("cohen_d", "cohen_d_ci_low", "cohen_d_ci_high"):
        np.testing.assert_allclose(constant[name], shifted[name], rtol=1e-9)
    np.testing.assert_allclose(constant["effect"], shifted["effect"] + 0.3, rtol=1e-9)
    assert list(at_places(fitted(FixedEffects(), CELLS, with_variances(VARIANCES)), DIFFERENCE,
                          places)) == ["effect", "effect_ci_low", "effect_ci_high"]  # fmt: skip


def test_where_nothing_varies_nothing_is_known() -> None:
    rows = np.random.default_rng(8).normal(size=(8, 4))
    rows[:, 1], rows[:, 2], rows[:, 3] = 0.0, 3.0, np.array([1e-200, -1e-200] * 4) * rows[:, 0]
    sizes = sizes_of(fit_ols(np.ones((8, 1)), rows), [1])
    for name in EFFECT_SIZES:
        # Images of 1e-200 vary, though no double holds their variance.
        assert np.isnan(sizes.row(name)).tolist() == [False, True, True, False], name
    for units in ("effect", "cohen_d"):
        found = equivalence_of(sizes, Bounds.checked((-0.5, 0.5), units, 0.05))
        assert np.isnan(found.p_value).tolist() == [False, True, True, False]
        assert found.decision[1:3].tolist() == [0, 0]
        assert found.decision[3] == (-1 if units == "effect" else found.decision[3])
