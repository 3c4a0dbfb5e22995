# SPDX-License-Identifier: BSD-3-Clause
"""No estimable result depends on the units of the columns, nor on how a hypothesis is written."""

from __future__ import annotations

import warnings
from typing import Any

import mpmath
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from groupglm import (
    SecondLevelModel,
    fit_ols,
    non_parametric_inference,
)
from groupglm.design.matrix import variance_inflation
from groupglm.errors import RankDeficientWarning
from groupglm.inference.permutation.partition import partition
from groupglm.plotting.adjusted import adjust
from groupglm.plotting.reading_terms import read_terms
from groupglm.report.data_quality import leverage

Floats = npt.NDArray[np.float64]

pytestmark = pytest.mark.filterwarnings(
    "ignore::groupglm.errors.RankDeficientWarning", "ignore::groupglm.errors.CollinearityWarning"
)


def volume(values: npt.NDArray[Any], affine: Floats) -> Any:
    """Make an image; nibabel's constructor has no types."""
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


def study() -> tuple[Floats, Floats, Floats]:
    """Two groups, brain volume in mm3, and one voxel; R gives the difference a t of 1.652."""
    rng = np.random.default_rng(0)
    n = 40
    group = (np.arange(n) % 2).astype(np.float64)
    y = np.round(rng.standard_normal(n), 3)[:, None]
    return group, np.round(rng.normal(1.5e6, 1.5e5, n)), y


def exact(X: Floats, y: Floats, C: Floats) -> tuple[float, float]:
    """Return F and its p-value at 50 digits, of a design of full rank and independent rows."""
    with mpmath.workdps(50):
        x, data, c = mpmath.matrix(X.tolist()), mpmath.matrix(y.tolist()), mpmath.matrix(C.tolist())
        inverse = (x.T * x) ** -1
        beta = inverse * (x.T * data)
        rest = data - x * beta
        df = X.shape[0] - X.shape[1]
        sigma2 = (rest.T * rest)[0] / df
        effect = c * beta
        F = (effect.T * (c * inverse * c.T) ** -1 * effect)[0] / (C.shape[0] * sigma2)
        return float(F), float(stats.f.sf(float(F), C.shape[0], df))


def test_dependent_columns_beside_brain_volume_and_its_powers() -> None:
    group, tiv, y = study()
    X = np.column_stack([np.ones(40), group, 1 - group, tiv, tiv**2, tiv**3])
    found = fit_ols(X, y).contrast([0, 1, -1, 0, 0, 0])
    F, _ = exact(X[:, 1:], y[:, 0], np.array([[1.0, -1, 0, 0, 0]]))
    # The powers' condition, 1e6 or so, times rounding.
    assert found.stat[0] == pytest.approx(np.sqrt(F), rel=1e-9)
    assert found.stat[0] == pytest.approx(1.652, abs=5e-4)  # R 4.2, lm
    assert found.df == 35


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e-16, 1e-14, 1.0, 1e16, 1e160, 1e300])
def test_any_unit_gives_the_same_statistics(unit: float) -> None:
    group, tiv, y = study()
    covariate = tiv / 1.5e6
    Y = np.repeat(y, 2, axis=1)
    Y[3, 1] = np.nan
    plain = np.column_stack([group, 1 - group, covariate])
    X = np.column_stack([np.ones(40), group, 1 - group, unit * covariate])
    questions: tuple[tuple[Any, Any], ...] = (
        ([0.0, 1, -1, 0], [1.0, -1, 0]),
        ([0.0, 0, 0, 1], [0.0, 0, 1]),
        ([[0.0, 1, -1, 0], [0, 0, 0, 1]], [[1.0, -1, 0], [0, 0, 1]]),
    )
    for c, reduced in questions:
        found, wanted = fit_ols(X, Y).contrast(c), fit_ols(plain, Y).contrast(reduced)
        # The columns' condition is 20; 1e-12 is a thousand roundings of it.
        np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-12)
        np.testing.assert_allclose(found.z_score, wanted.z_score, rtol=1e-11)
        np.testing.assert_array_equal(found.p_value > 0, True)
    fit, reference = fit_ols(X, Y), fit_ols(plain, Y)
    np.testing.assert_allclose(fit.predicted(), reference.predicted(), rtol=1e-11)
    np.testing.assert_allclose(fit.r_square, reference.r_square, rtol=1e-11)
    np.testing.assert_array_equal(fit.df_residual, reference.df_residual)


def test_missing_values_leave_a_design_that_depends_on_itself() -> None:
    group, tiv, y = study()
    X = np.column_stack([group, 1 - group, tiv, tiv**2, tiv**3])
    lacking = y.copy()
    lacking[group == 1] = np.nan
    kept = group == 0
    found = fit_ols(X, lacking).contrast([0, 1, 0, 0, 0])
    F, _ = exact(X[kept][:, 1:], y[kept, 0], np.array([[1.0, 0, 0, 0]]))
    # The intercept beside a cubic of brain volume: condition 1e8.
    assert abs(found.stat[0]) == pytest.approx(np.sqrt(F), rel=1e-6)
    np.testing.assert_array_equal(found.df, 16)


def test_coefficients_of_minimum_norm_are_those_of_the_pseudo_inverse() -> None:
    group, tiv, y = study()
    X = np.column_stack([np.ones(40), group, 1 - group, tiv / 1.5e6])
    wanted = np.linalg.pinv(X) @ y
    np.testing.assert_allclose(fit_ols(X, y).beta, wanted, rtol=1e-11)
    X[:, 2] *= 30
    np.testing.assert_allclose(fit_ols(X, y).beta, np.linalg.pinv(X) @ y, rtol=1e-10)


def years() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    year = rng.integers(2000, 2020, 60).astype(float)
    return year, rng.standard_normal((60, 2))


def test_powers_of_years_have_all_their_degrees_of_freedom() -> None:
    year, Y = years()
    Y[7, 1] = np.nan
    X = np.column_stack([year**k for k in range(5)])
    found = fit_ols(X, Y).contrast(np.eye(5)[1:])
    assert found.df[0] == 4  # type: ignore[index]
    for v, kept in ((0, np.ones(60, bool)), (1, np.arange(60) != 7)):
        F, p = exact(X[kept], Y[kept, v], np.eye(5)[1:])
        # The smallest direction of the unit columns is 1e-11: rounding moves it by 1e-5.
        assert found.stat[v] == pytest.approx(F, rel=1e-4)
        assert found.p_value[v] == pytest.approx(p, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_f_is_the_same_however_the_hypothesis_is_written(seed: int) -> None:
    year, Y = years()
    Y[11, 1] = np.nan
    X = np.column_stack([year**k for k in range(5)])
    rng = np.random.default_rng(seed)
    C = np.eye(5)[1:]
    A = np.linalg.qr(rng.standard_normal((4, 4)))[0] @ np.diag([1.0, 3.0, 10.0, 30.0])
    fit = fit_ols(X, Y)
    plain, mixed = fit.contrast(C), fit.contrast(A @ C)
    np.testing.assert_allclose(mixed.stat, plain.stat, rtol=1e-9)
    assert mixed.df[0] == plain.df[0] == 4  # type: ignore[index]
    # More rows that say the same.
    more = fit.contrast(rng.standard_normal((7, 4)) @ C)
    np.testing.assert_allclose(more.stat, plain.stat, rtol=1e-9)
    assert more.df[0] == 4  # type: ignore[index]


def test_a_covariate_far_from_zero_keeps_both_degrees_of_freedom_where_values_are_missing() -> None:
    rng = np.random.default_rng(1)
    t = 1e9 + rng.standard_normal(60) * 10
    Y = rng.standard_normal((60, 3))
    Y[::7, 1] = np.nan
    Y[5, 2] = np.nan
    found = fit_ols(np.column_stack([np.ones(60), t]), Y).contrast(np.eye(2))
    wanted = fit_ols(np.column_stack([np.ones(60), t - 1e9]), Y).contrast(np.eye(2))
    # The mean is 1e8 standard deviations.
    np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-6)
    np.testing.assert_allclose(found.p_value, wanted.p_value, rtol=1e-6)
    assert found.df[0] == 2  # type: ignore[index]


def test_the_permutation_splits_a_design_as_the_fit_does() -> None:
    year, Y = years()
    X = np.column_stack([year**k for k in range(5)])
    parts = partition(X, np.eye(5)[1:])
    assert parts.effect.shape == (4, 60)
    share = (parts.effect @ Y[:, 0]) @ (parts.effect @ Y[:, 0]) / 4
    rest = Y[:, 0] @ Y[:, 0] - sum(
        float((b @ Y[:, 0]) @ (b @ Y[:, 0])) for b in (parts.effect, parts.nuisance)
    )
    wanted = fit_ols(X, Y).contrast(np.eye(5)[1:]).stat[0]
    assert share / (rest / parts.df_residual) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("offset", [1e6, 3e7, 1e8, 1e9])
def test_the_permutation_test_adds_no_second_intercept(offset: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20)
    images = [volume(rng.standard_normal((4, 4, 4)), np.eye(4)) for _ in x]
    mask = volume(np.ones((4, 4, 4), "uint8"), np.eye(4))
    design = pd.DataFrame({"x": offset + x, "intercept": 1.0})
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    t = model.compute_contrast("x", output_type="stat").get_fdata()
    found: Any = non_parametric_inference(
        images, design_matrix=design, second_level_contrast="x", mask=mask, n_perm=0
    )
    np.testing.assert_allclose(found["t"].get_fdata(), t, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_r_square_is_about_zero_where_the_constant_is_not_in_the_span(offset: float) -> None:
    rng = np.random.default_rng(2)
    x = offset + rng.standard_normal((20, 1))
    y = rng.standard_normal((20, 1)) + 5
    fit = fit_ols(x, y)
    assert fit.r_square[0] == pytest.approx(1 - fit.rss[0] / float((y**2).sum()), rel=1e-10)
    with_constant = fit_ols(np.column_stack([np.ones(20), x]), y)
    total = float(((y - y.mean()) ** 2).sum())
    assert with_constant.r_square[0] == pytest.approx(1 - with_constant.rss[0] / total, rel=1e-10)


def test_the_band_of_a_peak_plot_with_brain_volume_is_that_of_statsmodels() -> None:
    group, tiv, y = study()
    X = np.column_stack([np.ones(40), group, tiv, tiv**2])
    terms = read_terms(X, ["constant", "group", "tiv", "square"])
    found = adjust(y[:, 0], terms, np.array([0, 1.0, 0, 0]), 0.95)
    centred = (tiv - tiv.mean()) / tiv.std()
    same = np.column_stack([np.ones(40), group, centred, centred**2])
    fit = sm.OLS(y[:, 0], same).fit()
    for value, level in zip((0.0, 1.0), found.groups, strict=True):
        # The other columns at their mean: of brain volume and of its square.
        row = same.mean(axis=0)
        row[1] = value
        band = fit.get_prediction(row).conf_int(alpha=0.05)[0]
        assert level.fitted == pytest.approx(band.mean(), rel=1e-8)
        assert level.half_width == pytest.approx(np.ptp(band) / 2, rel=1e-8)


def test_a_contrasts_regressor_does_not_depend_on_units() -> None:
    _, tiv, y = study()
    names = ["a", "b", "c", "tiv"]
    third = np.arange(40) % 3
    base = np.column_stack([third == 0, third == 1, third == 2]).astype(float)
    contrast = np.array([1.0, -0.5, -0.5, 0.0])
    one, other = (
        adjust(
            y[:, 0],
            read_terms(np.column_stack([base * [1, 1.5, 2], unit * tiv]), names),
            contrast,
            0.95,
        )
        for unit in (1.0, 1e-6)
    )
    np.testing.assert_allclose(one.x, other.x, rtol=1e-10)
    np.testing.assert_allclose(one.line, other.line, rtol=1e-9)


def test_leverage_and_inflation_do_not_depend_on_units() -> None:
    _, tiv, _ = study()
    X = np.column_stack([np.ones(40), tiv, tiv**2])
    scaled = X * [1.0, 1e-200, 1e200]
    centred = (tiv - tiv.mean()) / tiv.std()
    hat = np.column_stack([np.ones(40), centred, centred**2])
    wanted = np.diag(hat @ np.linalg.inv(hat.T @ hat) @ hat.T)
    np.testing.assert_allclose(leverage(X), wanted, rtol=1e-9)
    np.testing.assert_allclose(leverage(scaled), wanted, rtol=1e-9)
    np.testing.assert_allclose(variance_inflation(scaled), variance_inflation(X), rtol=1e-9)


def test_columns_in_tiny_units_have_a_t() -> None:
    """The coefficient's variance may leave double's range; the statistic does not."""
    rng = np.random.default_rng(3)
    x, Y = rng.standard_normal(12), rng.standard_normal((12, 2))
    wanted = fit_ols(x[:, None], Y).contrast([1.0])
    for unit in (1e-300, 1e-200, 1e-160, 1e160, 1e300):
        found = fit_ols(unit * x[:, None], Y).contrast([1.0])
        np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-13)
        np.testing.assert_allclose(found.p_value, wanted.p_value, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_a_constant_voxel_is_one_test_without_evidence_under_t_and_f(value: float) -> None:
    rng = np.random.default_rng(5)
    group = np.repeat([0.0, 1.0], 8)
    X = np.column_stack([np.ones(16), group, rng.standard_normal(16)])
    Y = rng.standard_normal((16, 8))
    Y[:, 3] = value
    questions: tuple[Any, ...] = ([0.0, 1, 0], [[0.0, 1, 0], [0, 0, 1]])
    for c in questions:
        found = fit_ols(X, Y).contrast(c)
        assert (found.stat[3], found.z_score[3]) == (0.0, 0.0)
    images = [volume(row.reshape(2, 2, 2, order="F"), np.eye(4)) for row in Y]
    mask = volume(np.ones((2, 2, 2), "uint8"), np.eye(4))
    design = pd.DataFrame(X, columns=["one", "group", "age"])
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    for contrast in ("group", ["group", "age"]):
        z = model.compute_contrast(contrast).get_fdata().ravel(order="F")
        assert z[3] == 0
        assert np.isfinite(z).all()
        permuted: Any = non_parametric_inference(
            images,
            design_matrix=design,
            second_level_contrast=contrast,
            mask=mask,
            n_perm=50,
            random_state=0,
            threshold=0.05,
        )
        letter = "t" if contrast == "group" else "F"
        assert permuted[letter].get_fdata().ravel(order="F")[3] == 0
        assert permuted[f"logp_max_{letter}"].get_fdata().ravel(order="F")[3] == 0  # p is 1


def test_dependent_columns_are_still_reported() -> None:
    group, tiv, y = study()
    X = np.column_stack([np.ones(40), group, 1 - group, tiv])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RankDeficientWarning, match="'0', '1' and '2'"):
            fit_ols(X, y)
