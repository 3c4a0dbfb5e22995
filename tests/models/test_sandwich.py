# SPDX-License-Identifier: BSD-3-Clause
"""The sandwich estimator against a dense reference, and its rules."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.sandwich_fit import SandwichFit
from reference.sandwich import Place

ADJUSTMENTS = (0, 1, 2, 3, "C2", "C3")
NAMES = ("mean", "group", "time")
RTOL = 1e-10  # of sums over 40 images: rounding is some 1e-14


class Study:
    """Unbalanced visits of 15 subjects in two groups, in any order, some of them missing."""

    def __init__(self, n_places: int = 41, *, missing: bool = True, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 5, 15)
        number = np.repeat(np.arange(15), sizes)
        visit = np.concatenate([rng.permutation(4)[:size] for size in sizes])
        order = rng.permutation(len(number))
        self.number, self.visit = number[order], visit[order]
        self.subjects = [f"s{k}" for k in self.number]
        self.groups = [("patients", "controls")[k % 2] for k in self.number]
        self.X = np.column_stack(
            [np.ones(len(order)), self.number % 2, self.visit + rng.normal(0, 0.1, len(order))]
        )
        self.Y = (
            rng.normal(50, 1, (len(order), n_places))
            + rng.normal(0, 2, (15, n_places))[self.number]
        )
        if missing:
            self.Y[3, ::5] = np.nan
            self.Y[7:11, 2::7] = np.nan
            self.Y[self.number == 4, 10:11] = np.nan

    def fit(self, *, homogeneous: bool = False, n_threads: int = 1, **options: Any) -> SandwichFit:
        if homogeneous:
            options |= {"groups": self.groups, "visits": self.visit.tolist()}
        model = RepeatedMeasures("sandwich", subjects=self.subjects, **options)
        return fitted(model, self.X, self.Y, n_threads=n_threads)

    def place(self, voxel: int, adjustment: int | str, *, homogeneous: bool = False) -> Place:
        groups, visits = (np.array(self.groups), self.visit) if homogeneous else (None, None)
        return Place(self.X, self.Y[:, voxel], self.number, adjustment, groups, visits)


def fitted(
    model: RepeatedMeasures, X: NDArray[Any], Y: NDArray[Any], *, n_threads: int = 1
) -> SandwichFit:
    plan = model.prepare(np.ascontiguousarray(X, dtype=np.float64),
                         tuple(f"c{j}" for j in range(X.shape[1])))  # fmt: skip
    rows = ArrayRows(Y)
    fit = plan.finish(fill(plan, rows, n_threads=n_threads), n_threads, rows)
    assert isinstance(fit, SandwichFit)
    return fit


def freedom(result: ContrastResult) -> NDArray[np.float64]:
    """The degrees of freedom of t, or the second ones of F."""
    df: Any = result.df
    own: NDArray[np.float64] = df[1] if isinstance(df, tuple) else df
    return own


C = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_contrast_is_that_of_the_dense_formulas_where_images_are_missing(
    adjustment: int | str,
) -> None:
    study = Study()
    fit = study.fit(adjustment=adjustment)
    for row in C:
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
    found = fit.contrast(C)
    q = 2
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, adjustment)
        effect = C @ place.P @ place.y
        wald = effect @ np.linalg.solve(place.covariance(C), effect)
        df = place.satterthwaite(C)
        np.testing.assert_allclose(freedom(found)[voxel], df - q + 1, rtol=RTOL)
        np.testing.assert_allclose(found.stat[voxel], (df - q + 1) / (df * q) * wald, rtol=1e-9)


@pytest.mark.parametrize("rule", ["naive", "approximate-1"])
def test_the_other_rules_are_those_of_the_dense_formulas(rule: str) -> None:
    study = Study()
    fit = study.fit(df=rule)
    one, both = fit.contrast(C[1]), fit.contrast(C)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, "C2")
        wanted = [place.naive()] * 2
        if rule == "approximate-1":
            wanted = [place.approximate_1(C[1]), place.approximate_1(C)]
        np.testing.assert_allclose(freedom(one)[voxel], wanted[0], rtol=RTOL)
        np.testing.assert_allclose(freedom(both)[voxel], wanted[1] - 1, rtol=RTOL)


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_the_homogeneous_estimator_is_that_of_the_dense_formulas(adjustment: int | str) -> None:
    study = Study()
    fit = study.fit(adjustment=adjustment, homogeneous=True, df="naive")
    found = fit.contrast(C[0]), fit.contrast(C[1])
    both = fit.contrast(C)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, adjustment, homogeneous=True)
        covariance = place.covariance(C)
        for k in range(2):
            np.testing.assert_allclose(found[k].effect_variance[voxel], covariance[k, k], rtol=RTOL)
        effect = C @ place.P @ place.y
        df = place.naive()
        wald = effect @ np.linalg.solve(covariance, effect)
        np.testing.assert_allclose(both.stat[voxel], (df - 1) / (df * 2) * wald, rtol=1e-9)
        assert fit.at_boundary[voxel] == place.visit_covariances()[1]
    assert fit.at_boundary.mean() > 0


def test_the_first_approximation_is_the_share_of_each_group() -> None:
    study = Study()
    fit = study.fit(homogeneous=True, df="approximate-1")
    one, both = fit.contrast(C[1]), fit.contrast(C)
    for voxel in range(fit.n_voxels):
        place = study.place(voxel, "C2", homogeneous=True)
        np.testing.assert_allclose(
            freedom(one)[voxel],
            place.approximate_1(C[1]),
            rtol=RTOL,
        )
        np.testing.assert_allclose(
            freedom(both)[voxel],
            place.approximate_1(C) - 1,
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
    results = fit.contrast(C[1]), fit.contrast(C)
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
        for whole, alone in zip(results, (own.contrast(C[1]), own.contrast(C)), strict=True):
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
        study.fit().contrast(C[0]).effect_variance, near.contrast(C[0]).effect_variance, rtol=1e-9
    )


@pytest.mark.parametrize("homogeneous", [False, True])
def test_any_threads_tiles_and_neighbours_give_the_same_bits(homogeneous: bool) -> None:
    study = Study(150)
    wanted = study.fit(homogeneous=homogeneous)
    again = study.fit(homogeneous=homogeneous, n_threads=3)
    for name, array in wanted.arrays().items():
        assert array.tobytes() == again.arrays()[name].tobytes(), name
    result = wanted.contrast(C)
    some = np.array([149, 3, 70, 10])
    study.Y = np.ascontiguousarray(study.Y[:, some])
    for fit in (wanted.select(some), study.fit(homogeneous=homogeneous)):
        found = fit.contrast(C)
        assert found.stat.tobytes() == result.stat[some].tobytes()
        assert found.p_value.tobytes() == result.p_value[some].tobytes()
    assert again.contrast(C).stat.tobytes() == result.stat.tobytes()


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
        wanted = fit.contrast(C)
        found = fit.contrast(np.array([[2.0, 1.0], [-1.0, 3.0], [0.5, 0.5]]) @ C)
        np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-9)
        np.testing.assert_allclose(freedom(found), freedom(wanted), rtol=1e-9)
        one, squared = fit.contrast(C[0]), fit.contrast(C[:1])
        np.testing.assert_allclose(squared.stat, one.stat**2, rtol=1e-10)
        np.testing.assert_allclose(freedom(squared), freedom(one), rtol=1e-10)


def test_columns_for_subjects_leave_effects_within_them_and_no_other() -> None:
    study = Study()
    columns = study.number[:, None] == np.arange(15)
    X = np.column_stack([columns, study.X[:, 2]]).astype(float)
    model = RepeatedMeasures("sandwich", subjects=study.subjects)
    fit = fitted(model, X, study.Y)
    found = fit.contrast(np.eye(16)[15])
    for voxel in range(3):
        place = Place(X, study.Y[:, voxel], study.number)
        np.testing.assert_allclose(
            found.effect_variance[voxel], place.covariance(np.eye(16)[15])[0, 0], rtol=1e-9
        )
        np.testing.assert_allclose(
            freedom(found)[voxel],
            place.satterthwaite(np.eye(16)[15]),
            rtol=1e-9,
        )
    between = np.append(np.where(np.arange(15) % 2 == 0, 1 / 8, -1 / 7), 0.0)
    for rule in ("satterthwaite", "naive", "approximate-1"):
        model = RepeatedMeasures("sandwich", rule, subjects=study.subjects)
        with pytest.raises(ArgumentError, match="has no degrees of freedom by the rule"):
            fitted(model, X, study.Y).contrast(between)
    confounded = np.column_stack([X, study.X[:, 1]])
    with pytest.warns(Warning, match="rank 16"):
        fit = fitted(RepeatedMeasures("sandwich", subjects=study.subjects), confounded, study.Y)
    with pytest.raises(NotEstimableError, match="c16"):
        fit.contrast(np.eye(17)[16])


def test_few_subjects_are_warned_of_and_too_many_rows_have_no_f() -> None:
    rng = np.random.default_rng(0)
    subjects = [f"s{k}" for k in np.repeat(np.arange(6), 4)]
    X = np.column_stack([np.ones(24), np.repeat(rng.normal(size=(6, 4)), 4, axis=0)])
    with pytest.warns(UserWarning, match="6 subjects: with fewer than 10, the sandwich"):
        fit = fitted(RepeatedMeasures("sandwich", subjects=subjects), X, rng.normal(size=(24, 3)))
    with pytest.warns(UserWarning, match="F of 4 rows needs more than 3 degrees of freedom, but 3"):
        found = fit.contrast(np.eye(5)[1:])
    assert np.isnan(found.stat).all()
    assert np.isnan(found.p_value).all()


def test_data_that_do_not_vary_are_no_evidence() -> None:
    study = Study(5, missing=False)
    study.Y[:, 0] = 3.1
    study.Y[:, 1] = study.X @ [3.0, 0.0, 2.0]
    for homogeneous in (False, True):
        found = study.fit(homogeneous=homogeneous).contrast(C[1])
        assert found.stat[0] == 0
        assert found.p_value[0] == 0.5
        assert np.isinf(found.stat[1])
        assert found.effect_variance[1] == 0
        both = study.fit(homogeneous=homogeneous).contrast(C)
        assert both.stat[0] == 0
        assert np.isinf(both.stat[1])
        assert np.isfinite(both.stat[2:]).all()


def test_data_beyond_the_squares_of_double_have_the_same_statistics() -> None:
    study = Study()
    wanted = study.fit().contrast(C)
    for scale in (2.0**700, 2.0**-700):
        other = Study()
        other.Y = study.Y * scale
        fit = other.fit()
        np.testing.assert_allclose(fit.contrast(C).stat, wanted.stat, rtol=1e-12)
        one = fit.contrast(C[0])
        np.testing.assert_allclose(one.stat, study.fit().contrast(C[0]).stat, rtol=1e-12)


def test_a_place_without_images_has_no_numbers() -> None:
    study = Study(6)
    study.Y[:, 1] = np.nan
    study.Y[1:, 2] = np.nan
    fit = study.fit()
    found = fit.contrast(C[0])
    assert np.isnan(found.stat[[1, 2]]).all()
    assert np.isnan(freedom(found)[[1, 2]]).all()
    assert np.isfinite(found.stat[3:]).all()
    assert fit.n_subjects[1:3].tolist() == [0, 1]


@pytest.mark.parametrize("options", [{}, {"df": "approximate-1"}, {"homogeneous": True}])
def test_a_fit_is_pickled_and_loaded_from_its_arrays(options: dict[str, Any]) -> None:
    fit = Study().fit(**options)
    wanted = fit.contrast(C)
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301
    assert again.contrast(C).stat.tobytes() == wanted.stat.tobytes()
    arrays = fit.arrays()

    def load(**changed: Any) -> Any:
        return fit.model.load(
            fit.X, fit.column_names, arrays | changed, n_values=fit.n_voxels, n_threads=1
        )

    assert load().contrast(C).p_value.tobytes() == wanted.p_value.tobytes()
    assert load().described("voxels") == fit.described("voxels")
    damages: dict[str, Any] = {
        "basis": arrays["basis"][:, ::-1] * 1.001,
        "sums": -arrays["sums"],
        "pattern": arrays["pattern"] + 50,
        "patterns": 255 - arrays["patterns"],
    }
    for name, damaged in damages.items():
        with pytest.raises(ValueError, match=r"basis|negative|pattern"):
            load(**{name: np.ascontiguousarray(damaged)})
    for name in ("basis", *fit._sums.arrays()):
        with pytest.raises(ValueError, match=name):
            load(**{name: arrays[name][..., None]})
        with pytest.raises(ValueError, match=name):
            load(**{name: arrays[name].astype(np.complex128)})
        lacking = {key: array for key, array in arrays.items() if key != name}
        with pytest.raises(KeyError):
            fit.model.load(fit.X, fit.column_names, lacking, n_values=41, n_threads=1)


@pytest.mark.parametrize("df", ["satterthwaite", "naive", "approximate-1"])
@pytest.mark.parametrize("homogeneous", [False, True])
def test_words_name_the_sources_of_what_was_done(homogeneous: bool, df: str) -> None:
    if homogeneous and df == "satterthwaite":
        df = "approximate-3"
    words = Study(3).fit(homogeneous=homogeneous, df=df).words()
    assert words.cited.startswith(words.plain)
    for reference in words.references:
        author = reference.split()[0]
        year = re.findall(r"\b(?:19|20)\d\d\b", reference)[-1]
        assert re.search(rf"{author}[^()]*, {year}", words.cited), reference


def test_rules_and_groups_must_fit_each_other() -> None:
    assert RepeatedMeasures("sandwich").df == "satterthwaite"
    assert RepeatedMeasures("sandwich", groups=["a"]).df == "approximate-3"
    with pytest.raises(ArgumentError, match=r"'approximate-2'.*without groups"):
        RepeatedMeasures("sandwich", "approximate-2")
    with pytest.raises(ArgumentError, match=r"'satterthwaite'.*groups are given"):
        RepeatedMeasures("sandwich", "satterthwaite", groups=["a"])
    with pytest.raises(ArgumentError, match="visits"):
        Study().fit(groups=Study().groups)


def test_predictions_and_residuals_are_those_of_least_squares() -> None:
    study = Study(4, missing=False)
    fit = study.fit()
    beta = np.linalg.lstsq(study.X, study.Y, rcond=None)[0]
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(fit.predicted(), study.X @ beta, rtol=1e-10)
    np.testing.assert_allclose(fit.residuals(None, study.Y), study.Y - study.X @ beta, atol=1e-10)
    assert list(fit.maps()) == ["n_subjects"]
