# SPDX-License-Identifier: BSD-3-Clause
"""fit_ols against a slow reference, scipy, statsmodels and nilearn, on complete data."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from scipy import stats

from groupglm import fit_ols
from reference import designs, ols
from reference.designs import GroupDesign

pytestmark = pytest.mark.quick

# Both sides work in double on designs whose scaled condition number is below 1e3: rounding leaves
# about n * cond * eps = 1e-11 of the largest number of a voxel. A mistake shows at 1e-3 or more.
RTOL = 1e-9

each_design = pytest.mark.parametrize("design", designs.all_designs(), ids=lambda d: d.name)
full_rank = pytest.mark.parametrize("design", designs.full_rank_designs(), ids=lambda d: d.name)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_close(found: Any, wanted: Any, *, rtol: float = RTOL) -> None:
    """Compare with an absolute slack of rtol times the typical size of what is compared."""
    scale = float(np.nanmedian(np.abs(wanted))) if np.size(wanted) else 0.0
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * scale)


@both_dtypes
@each_design
def test_fit_equals_the_reference(design: GroupDesign, dtype: npt.DTypeLike) -> None:
    Y = designs.simulate(design, 70, dtype=dtype)
    fit = designs.fit_quietly(design.X, Y)
    wanted = ols.fit(design.X, Y)
    for row, wanted_row in zip(fit.beta, wanted.beta, strict=True):
        assert_close(row, wanted_row)
    assert_close(fit.residual_variance, wanted.residual_variance)
    assert_close(fit.rss, wanted.rss)
    np.testing.assert_allclose(fit.r_square, wanted.r_square, rtol=RTOL, atol=RTOL)
    assert type(fit.rank) is int
    assert fit.rank == design.rank
    assert type(fit.n_observations) is int
    assert fit.n_observations == len(design.X)
    assert type(fit.df_residual) is int
    assert fit.df_residual == len(design.X) - design.rank


@both_dtypes
@each_design
def test_contrasts_equal_the_reference(design: GroupDesign, dtype: npt.DTypeLike) -> None:
    Y = designs.simulate(design, 70, seed=1, dtype=dtype)
    fit = designs.fit_quietly(design.X, Y)
    reference = ols.fit(design.X, Y)
    for c in design.contrasts:
        found, wanted = fit.contrast(c), ols.contrast(reference, c)
        assert found.stat_type == ("t" if np.ndim(c) == 1 else "F")
        assert_close(found.effect_size, wanted.effect_size)
        assert_close(found.effect_variance, wanted.effect_variance)
        assert_close(found.stat, wanted.stat)
        assert_close(found.z_score, wanted.z_score)
        # A small p-value magnifies the error of its statistic: d log p = z dz, about.
        np.testing.assert_allclose(np.log(found.p_value), np.log(wanted.p_value), rtol=1e-7)


@each_design
def test_residuals_and_predictions(design: GroupDesign) -> None:
    Y = designs.simulate(design, 65, seed=2)
    fit = designs.fit_quietly(design.X, Y)
    hat = design.X @ np.linalg.pinv(design.X)
    np.testing.assert_allclose(fit.predicted(design.X), hat @ Y, atol=RTOL * np.abs(Y).max())
    np.testing.assert_allclose(fit.residuals(design.X, Y), Y - hat @ Y, atol=RTOL * np.abs(Y).max())


@full_rank
def test_equals_statsmodels(design: GroupDesign) -> None:
    Y = designs.simulate(design, 6, seed=3)
    fit = fit_ols(design.X, Y)
    for v in range(6):
        # statsmodels is told whether there is an intercept: it looks for a literal one only.
        result = sm.OLS(Y[:, v], design.X, hasconst=design.has_intercept).fit()
        np.testing.assert_allclose(fit.beta[:, v], result.params, rtol=RTOL)
        np.testing.assert_allclose(fit.residual_variance[v], result.mse_resid, rtol=RTOL)
        np.testing.assert_allclose(fit.r_square[v], result.rsquared, rtol=RTOL, atol=1e-13)
        for c in design.contrasts:
            found = fit.contrast(c)
            if np.ndim(c) == 1:
                test = result.t_test(np.atleast_2d(c))
                one_sided = stats.t.sf(test.tvalue, result.df_resid)
                np.testing.assert_allclose(found.stat[v], test.tvalue.squeeze(), rtol=RTOL)
                np.testing.assert_allclose(found.effect_variance[v], test.sd.squeeze() ** 2)
                np.testing.assert_allclose(found.p_value[v], one_sided.squeeze(), rtol=1e-7)
            else:
                ftest = result.f_test(c)
                np.testing.assert_allclose(found.stat[v], ftest.fvalue, rtol=RTOL)
                np.testing.assert_allclose(found.p_value[v], ftest.pvalue, rtol=1e-7)


def test_equals_the_classic_tests_of_scipy() -> None:
    rng = np.random.default_rng(7)
    a, b, c = (rng.normal(size=(n, 40)) + shift for n, shift in ((9, 0.5), (9, 0.0), (12, -0.2)))

    one = fit_ols(np.ones((9, 1)), a).contrast([1.0])
    wanted = stats.ttest_1samp(a, 0.0, alternative="greater")
    np.testing.assert_allclose(one.stat, wanted.statistic, rtol=1e-12)
    np.testing.assert_allclose(one.p_value, wanted.pvalue, rtol=1e-11)

    cells = np.repeat(np.eye(3), [9, 9, 12], axis=0)
    two = fit_ols(cells[9:, 1:], np.vstack([b, c])).contrast([1.0, -1.0])
    wanted = stats.ttest_ind(b, c, alternative="greater")
    np.testing.assert_allclose(two.stat, wanted.statistic, rtol=1e-11)
    np.testing.assert_allclose(two.p_value, wanted.pvalue, rtol=1e-10)

    subjects = np.vstack([np.eye(9), np.eye(9)])
    condition = np.repeat([1.0, 0.0], 9)
    pairs = fit_ols(np.column_stack([condition, subjects]), np.vstack([a, b]))
    wanted = stats.ttest_rel(a, b, alternative="greater")
    np.testing.assert_allclose(pairs.contrast([1.0] + [0.0] * 9).stat, wanted.statistic, rtol=1e-11)

    three = fit_ols(cells, np.vstack([a, b, c])).contrast([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    anova = stats.f_oneway(a, b, c)
    np.testing.assert_allclose(three.stat, anova.statistic, rtol=1e-11)
    np.testing.assert_allclose(three.p_value, anova.pvalue, rtol=1e-10)

    x = rng.normal(size=9) + 3.0
    slope = fit_ols(np.column_stack([np.ones(9), x]), a)
    for v in range(5):
        line = stats.linregress(x, a[:, v], alternative="greater")
        np.testing.assert_allclose(slope.beta[:, v], [line.intercept, line.slope], rtol=1e-11)
        np.testing.assert_allclose(slope.contrast([0.0, 1.0]).p_value[v], line.pvalue, rtol=1e-10)


# nilearn warns that matplotlib is absent when it is; that says nothing about the numbers.
@pytest.mark.filterwarnings("ignore::UserWarning:nilearn")
@full_rank
def test_equals_run_glm_of_nilearn(design: GroupDesign) -> None:
    from nilearn.glm.contrasts import compute_contrast
    from nilearn.glm.first_level import run_glm

    Y = designs.simulate(design, 80, seed=4)
    labels, results = run_glm(Y, design.X, noise_model="ols")
    fit = fit_ols(design.X, Y)
    for c in design.contrasts:
        wanted, found = compute_contrast(labels, results, np.array(c)), fit.contrast(c)
        if np.ndim(c) == 2 and len(c) == 1:
            wanted = compute_contrast(labels, results, np.array(c), stat_type="F")
        np.testing.assert_allclose(found.stat, wanted.stat(), rtol=1e-8)
        np.testing.assert_allclose(found.p_value, wanted.p_value(), rtol=1e-7)
        np.testing.assert_allclose(found.z_score, wanted.z_score(), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(found.effect_variance, wanted.effect_variance(), rtol=1e-8)
        if found.stat_type == "t":
            np.testing.assert_allclose(found.effect_size, wanted.effect_size(), rtol=1e-8)


def test_stat_type_overrides_the_shape() -> None:
    design = designs.two_sample()
    fit = fit_ols(design.X, designs.simulate(design, 30))
    t, f = fit.contrast([1.0, -1.0, 0.0]), fit.contrast([1.0, -1.0, 0.0], stat_type="F")
    assert (t.stat_type, f.stat_type) == ("t", "F")
    np.testing.assert_allclose(f.stat, t.stat**2, rtol=1e-12)
    other_tail = fit.contrast([-1.0, 1.0, 0.0]).p_value
    np.testing.assert_allclose(f.p_value, 2 * np.minimum(t.p_value, other_tail), rtol=1e-10)
    back = fit.contrast([[1.0, -1.0, 0.0]], stat_type="t")
    np.testing.assert_array_equal(np.ravel(back.effect_size), t.effect_size)
    np.testing.assert_allclose(back.stat, t.stat, rtol=1e-14)


def test_dependent_rows_of_an_f_contrast_count_once() -> None:
    design = designs.anova()
    fit = fit_ols(design.X, designs.simulate(design, 30))
    rows = [[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]]
    plain = fit.contrast(rows)
    redundant = fit.contrast([*rows, [1.0, 0.0, -1.0, 0.0], [2.0, -2.0, 0.0, 0.0]])
    np.testing.assert_allclose(redundant.stat, plain.stat, rtol=1e-10)
    np.testing.assert_allclose(redundant.p_value, plain.p_value, rtol=1e-8)
    assert redundant.effect_size.shape == (4, 30)


def test_wide_and_narrow_designs() -> None:
    """Many columns of random size and many rows, against numpy's own least squares."""
    rng = np.random.default_rng(8)
    for n, p in ((2, 1), (60, 1), (61, 24), (300, 7), (40, 39)):
        X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-6, 6, p)
        Y = rng.normal(size=(n, 33))
        fit = fit_ols(X, Y)
        unit = X / np.linalg.norm(X, axis=0)
        beta, rss, rank, _ = np.linalg.lstsq(unit, Y, rcond=None)
        condition = np.linalg.cond(unit)
        np.testing.assert_allclose(
            fit.beta * np.linalg.norm(X, axis=0)[:, None],
            beta,
            rtol=0,
            atol=100 * condition**2 * np.finfo(float).eps * np.abs(beta).max(),
        )
        np.testing.assert_allclose(fit.rss, rss, rtol=1e-10, atol=1e-13 * n)
        assert fit.rank == rank == p
