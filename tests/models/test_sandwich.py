# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of the sandwich estimator against a dense reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from groupglm.models.repeated import RepeatedMeasures
from reference.sandwich_study import ROWS, Study, fitted, freedom

ADJUSTMENTS = (0, 1, 2, 3, "C2", "C3")
RTOL = 1e-10  # of sums over 40 images: rounding is some 1e-14


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_contrast_is_that_of_the_dense_formulas_where_images_are_missing(
    adjustment: int | str,
) -> None:
    study = Study()
    fit = study.fit(adjustment=adjustment)
    for row in ROWS:
        found = fit.contrast(row)
        for voxel in range(fit.n_voxels):
            place = study.place(voxel, adjustment)
            variance = place.covariance(row)[0, 0]
            np.testing.assert_allclose(found.effect_variance[voxel], variance, rtol=RTOL)
            effect = row @ place.P @ place.y
            df = place.satterthwaite(row)
            np.testing.assert_allclose(freedom(found)[voxel], df, rtol=RTOL)
            np.testing.assert_allclose(found.stat[voxel], effect / np.sqrt(variance), rtol=1e-9)
            np.testing.assert_allclose(
                found.p_value[voxel], stats.t.sf(found.stat[voxel], df), rtol=1e-9
            )
    found = fit.contrast(ROWS)
    q = 2
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, adjustment)
        effect = ROWS @ place.P @ place.y
        wald = effect @ np.linalg.solve(place.covariance(ROWS), effect)
        df = place.satterthwaite(ROWS)
        np.testing.assert_allclose(freedom(found)[voxel], df - q + 1, rtol=RTOL)
        np.testing.assert_allclose(found.stat[voxel], (df - q + 1) / (df * q) * wald, rtol=1e-9)


@pytest.mark.parametrize("rule", ["naive", "approximate-1"])
def test_the_other_rules_are_those_of_the_dense_formulas(rule: str) -> None:
    study = Study()
    fit = study.fit(df=rule)
    one, both = fit.contrast(ROWS[1]), fit.contrast(ROWS)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, "C2")
        wanted = [place.naive()] * 2
        if rule == "approximate-1":
            wanted = [place.approximate_1(ROWS[1]), place.approximate_1(ROWS)]
        np.testing.assert_allclose(freedom(one)[voxel], wanted[0], rtol=RTOL)
        np.testing.assert_allclose(freedom(both)[voxel], wanted[1] - 1, rtol=RTOL)


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_the_homogeneous_estimator_is_that_of_the_dense_formulas(adjustment: int | str) -> None:
    study = Study()
    fit = study.fit(adjustment=adjustment, homogeneous=True, df="naive")
    found = fit.contrast(ROWS[0]), fit.contrast(ROWS[1])
    both = fit.contrast(ROWS)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, adjustment, homogeneous=True)
        covariance = place.covariance(ROWS)
        for k in range(2):
            np.testing.assert_allclose(found[k].effect_variance[voxel], covariance[k, k], rtol=RTOL)
        effect = ROWS @ place.P @ place.y
        df = place.naive()
        wald = effect @ np.linalg.solve(covariance, effect)
        np.testing.assert_allclose(both.stat[voxel], (df - 1) / (df * 2) * wald, rtol=1e-9)
        assert fit.at_boundary[voxel] == place.visit_covariances()[1]
    assert fit.at_boundary.mean() > 0


def test_the_first_approximation_is_the_share_of_each_group() -> None:
    study = Study()
    fit = study.fit(homogeneous=True, df="approximate-1")
    one, both = fit.contrast(ROWS[1]), fit.contrast(ROWS)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, "C2", homogeneous=True)
        np.testing.assert_allclose(
            freedom(one)[voxel],
            place.approximate_1(ROWS[1]),
            rtol=RTOL,
        )
        np.testing.assert_allclose(
            freedom(both)[voxel],
            place.approximate_1(ROWS) - 1,
            rtol=RTOL,
        )


def balanced(n_subjects: int, n_visits: int, n_places: int, seed: int) -> tuple[Any, ...]:
    """Complete visits of one group, with a column for each visit, and any covariance."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(n_subjects), n_visits)
    visit = np.tile(np.arange(n_visits), n_subjects)
    X = (visit[:, None] == np.arange(n_visits)).astype(float)
    root = rng.normal(size=(n_visits, n_visits))
    Y = (rng.normal(size=(n_places, n_subjects, n_visits)) @ root).transpose(1, 2, 0)
    return X, Y.reshape(len(number), n_places), [f"s{k}" for k in number], visit.tolist()


@pytest.mark.parametrize("rule", ["naive", "approximate-1", "approximate-2"])
def test_complete_visits_of_one_group_have_hotellings_t2(rule: str) -> None:
    # The covariance of the visits is then a Wishart matrix: the rules are exact, and the test is
    # Hotelling's with n - 1 degrees of freedom.
    n, q = 12, 3
    X, Y, subjects, visits = balanced(n, q, 25, 1)
    model = RepeatedMeasures(
        "sandwich", rule, subjects=subjects, visits=visits, groups=["all"] * len(X)
    )
    fit = fitted(model, X, Y)
    contrast = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    found = fit.contrast(contrast)
    values = Y.reshape(n, q, -1)
    for voxel in range(Y.shape[1]):
        d = values[:, :, voxel] @ contrast.T
        t2 = n * d.mean(axis=0) @ np.linalg.solve(np.cov(d.T), d.mean(axis=0))
        np.testing.assert_allclose(freedom(found), n - 2, rtol=1e-9)
        np.testing.assert_allclose(found.stat[voxel], (n - 2) / ((n - 1) * 2) * t2, rtol=1e-9)
    paired = fit.contrast(contrast[0])
    wanted = stats.ttest_rel(values[:, 0], values[:, 1])
    np.testing.assert_allclose(paired.stat, wanted.statistic, rtol=1e-9)
    np.testing.assert_allclose(freedom(paired), n - 1, rtol=1e-9)


def test_the_third_approximation_is_that_of_a_large_wishart_matrix() -> None:
    # Without missing visits, its covariance of the covariances is (s_ka s_lb + s_kb s_la) / (n - 1)
    # with the estimates in place of s: again n - 1 degrees of freedom.
    X, Y, subjects, visits = balanced(14, 4, 9, 2)
    model = RepeatedMeasures(
        "sandwich", "approximate-3", subjects=subjects, visits=visits, groups=["all"] * len(X)
    )
    fit = fitted(model, X, Y)
    np.testing.assert_allclose(freedom(fit.contrast([1.0, -1, 0, 0])), 13, rtol=1e-9)
    np.testing.assert_allclose(
        freedom(fit.contrast(np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]]))),
        12,
        rtol=1e-9,
    )


@pytest.mark.parametrize("homogeneous", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_images_give_the_numbers_of_a_fit_to_those_present(
    homogeneous: bool, dtype: type
) -> None:
    study = Study()
    study.Y = study.Y.astype(dtype)
    fit = study.fit(homogeneous=homogeneous)
    results = fit.contrast(ROWS[1]), fit.contrast(ROWS)
    for voxel in (0, 2, 10, 30):
        here = ~np.isnan(study.Y[:, voxel])
        labels = {"subjects": [s for s, own in zip(study.subjects, here, strict=True) if own]}
        if homogeneous:
            labels["groups"] = [s for s, own in zip(study.groups, here, strict=True) if own]
            labels["visits"] = study.visit[here].tolist()
        own = fitted(
            RepeatedMeasures("sandwich", **labels),  # type: ignore[arg-type]
            study.X[here],
            np.ascontiguousarray(study.Y[here][:, [voxel]]),
        )
        for whole, alone in zip(results, (own.contrast(ROWS[1]), own.contrast(ROWS)), strict=True):
            for name in ("stat", "p_value", "z_score", "effect_variance"):
                np.testing.assert_allclose(
                    getattr(whole, name)[voxel], getattr(alone, name)[0], rtol=1e-10
                )
        assert fit.n_subjects[voxel] == own.n_subjects[0] == len(set(labels["subjects"]))


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    study = Study(missing=False)
    near = study.fit()
    study.Y = study.Y + 2.0**14
    np.testing.assert_allclose(
        study.fit().contrast(ROWS[0]).effect_variance,
        near.contrast(ROWS[0]).effect_variance,
        rtol=1e-9,
    )


@pytest.mark.parametrize("homogeneous", [False, True])
def test_any_threads_tiles_and_neighbours_give_the_same_bits(homogeneous: bool) -> None:
    study = Study(150)
    wanted = study.fit(homogeneous=homogeneous)
    again = study.fit(homogeneous=homogeneous, n_threads=3)
    for name, array in wanted.arrays().items():
        assert array.tobytes() == again.arrays()[name].tobytes(), name
    result = wanted.contrast(ROWS)
    some = np.array([149, 3, 70, 10])
    study.Y = np.ascontiguousarray(study.Y[:, some])
    for fit in (wanted.select(some), study.fit(homogeneous=homogeneous)):
        found = fit.contrast(ROWS)
        assert found.stat.tobytes() == result.stat[some].tobytes()
        assert found.p_value.tobytes() == result.p_value[some].tobytes()
    assert again.contrast(ROWS).stat.tobytes() == result.stat.tobytes()


def test_f_does_not_depend_on_how_its_rows_are_written() -> None:
    study = Study()
    for options in (
        {"df": "satterthwaite"},
        {"df": "approximate-1"},
        {"df": "approximate-1", "homogeneous": True},
        {"df": "approximate-2", "homogeneous": True},
        {"df": "approximate-3", "homogeneous": True},
    ):
        fit = study.fit(**options)
        wanted = fit.contrast(ROWS)
        found = fit.contrast(np.array([[2.0, 1.0], [-1.0, 3.0], [0.5, 0.5]]) @ ROWS)
        np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-9)
        np.testing.assert_allclose(freedom(found), freedom(wanted), rtol=1e-9)
        one, squared = fit.contrast(ROWS[0]), fit.contrast(ROWS[:1])
        np.testing.assert_allclose(squared.stat, one.stat**2, rtol=1e-10)
        np.testing.assert_allclose(freedom(squared), freedom(one), rtol=1e-10)
