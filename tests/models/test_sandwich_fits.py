# SPDX-License-Identifier: BSD-3-Clause
"""What is said of the sandwich estimator, refused, and kept of it."""

from __future__ import annotations

import pickle
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

from groupglm import fit_repeated
from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.second_pass import tiles_bytes
from reference.sandwich import Place
from reference.sandwich_study import ROWS, Study, fitted, freedom


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
        found = study.fit(homogeneous=homogeneous).contrast(ROWS[1])
        assert found.stat[0] == 0
        assert found.p_value[0] == 0.5
        assert np.isinf(found.stat[1])
        assert found.effect_variance[1] == 0
        both = study.fit(homogeneous=homogeneous).contrast(ROWS)
        assert both.stat[0] == 0
        assert np.isinf(both.stat[1])
        assert np.isfinite(both.stat[2:]).all()


def test_data_beyond_the_squares_of_double_have_the_same_statistics() -> None:
    study = Study()
    wanted = study.fit().contrast(ROWS)
    for scale in (2.0**700, 2.0**-700):
        other = Study()
        other.Y = study.Y * scale
        fit = other.fit()
        np.testing.assert_allclose(fit.contrast(ROWS).stat, wanted.stat, rtol=1e-12)
        one = fit.contrast(ROWS[0])
        np.testing.assert_allclose(one.stat, study.fit().contrast(ROWS[0]).stat, rtol=1e-12)


def test_a_place_without_images_has_no_numbers() -> None:
    study = Study(6)
    study.Y[:, 1] = np.nan
    study.Y[1:, 2] = np.nan
    fit = study.fit()
    found = fit.contrast(ROWS[0])
    assert np.isnan(found.stat[[1, 2]]).all()
    assert np.isnan(freedom(found)[[1, 2]]).all()
    assert np.isfinite(found.stat[3:]).all()
    assert fit.n_subjects[1:3].tolist() == [0, 1]


@pytest.mark.parametrize("n_voxels", [0, 4])
@pytest.mark.parametrize(
    ("rule", "homogeneous"),
    [
        ("satterthwaite", False),
        ("naive", False),
        ("approximate-1", False),
        ("approximate-3", True),
        ("approximate-2", True),
    ],
)
def test_without_any_image_the_numbers_are_nan_and_only_the_design_is_refused(
    rule: str, homogeneous: bool, n_voxels: int
) -> None:
    study = Study(4)
    groups, visits = (study.groups, study.visit.tolist()) if homogeneous else (None, None)
    model = RepeatedMeasures(
        "sandwich", rule, subjects=study.subjects, groups=groups, visits=visits
    )
    nothing = np.full((len(study.X), n_voxels), np.nan)
    fit = fitted(model, study.X, nothing)
    for contrast in (ROWS[0], ROWS[:2]):
        found = fit.contrast(contrast)
        for values in (found.stat, found.p_value, found.z_score, found.effect_variance):
            assert values.shape == (n_voxels,)
            assert np.isnan(values).all()
    columns = (study.number[:, None] == np.arange(15)).astype(float)
    with pytest.raises(ArgumentError, match="has no degrees of freedom by the rule"):
        fitted(model, columns, nothing).contrast([1.0, -1.0, *np.zeros(13)])


def test_images_of_one_subject_are_refused() -> None:
    rng = np.random.default_rng(0)
    message = "all 8 images are of one subject, '01': .*; give images of several subjects"
    with pytest.raises(ArgumentError, match=message):
        fit_repeated(np.ones((8, 1)), rng.normal(size=(8, 2)), ["01"] * 8, covariance="sandwich")


@pytest.mark.parametrize("options", [{}, {"df": "approximate-1"}, {"homogeneous": True}])
def test_a_fit_is_pickled_and_loaded_from_its_arrays(options: dict[str, Any]) -> None:
    fit = Study().fit(**options)
    wanted = fit.contrast(ROWS)
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301
    assert again.contrast(ROWS).stat.tobytes() == wanted.stat.tobytes()
    arrays = fit.arrays()

    def load(**changed: Any) -> Any:
        return fit.model.load(
            fit.X, fit.column_names, arrays | changed, n_values=fit.n_voxels, n_threads=1
        )

    assert load().contrast(ROWS).p_value.tobytes() == wanted.p_value.tobytes()
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
    study = Study()
    ages = [f"{20 + 0.1 * k:.1f}" for k in range(len(study.X))]
    with pytest.raises(ArgumentError, match="no two of its subjects share a visit"):
        study.fit(groups=study.groups, visits=ages)


def test_predictions_and_residuals_are_those_of_least_squares() -> None:
    study = Study(4, missing=False)
    fit = study.fit()
    beta = np.linalg.lstsq(study.X, study.Y, rcond=None)[0]
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(fit.predicted(), study.X @ beta, rtol=1e-10)
    np.testing.assert_allclose(fit.residuals(None, study.Y), study.Y - study.X @ beta, atol=1e-10)
    assert list(fit.maps()) == ["n_subjects"]


@pytest.mark.parametrize("homogeneous", [False, True])
def test_arrays_are_fitted_as_images_are(homogeneous: bool) -> None:
    study = Study()
    labels: dict[str, Any] = {"groups": study.groups, "visits": study.visit} if homogeneous else {}
    found = fit_repeated(study.X, study.Y, study.subjects, covariance="sandwich", **labels)
    wanted = study.fit(homogeneous=homogeneous)
    assert found.contrast(ROWS).stat.tobytes() == wanted.contrast(ROWS).stat.tobytes()
    study.Y[2, 1] = np.inf
    with pytest.raises(ArgumentError, match="1 infinite value"):
        fit_repeated(study.X, study.Y, study.subjects, covariance="sandwich", **labels)


@pytest.mark.parametrize("options", [{}, {"df": "approximate-1"}, {"homogeneous": True}])
def test_memory_is_what_the_plan_says(options: dict[str, Any]) -> None:
    study = Study(30_000)
    study.fit(**options)  # what is loaded once is loaded
    if options.pop("homogeneous", False):
        options |= {"groups": study.groups, "visits": study.visit.tolist()}
    plan = RepeatedMeasures("sandwich", subjects=study.subjects, **options).prepare(
        study.X, ("mean", "group", "time")
    )
    rows = ArrayRows(study.Y)
    tracemalloc.start()
    try:
        seen = fill(plan, rows, n_threads=1)
        plan.finish(seen, 1, rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    n_missing = int(np.isnan(study.Y).any(axis=0).sum())
    own = plan.bytes(30_000, n_missing) - tiles_bytes(len(study.X), 30_000)  # in memory already
    assert peak < own
    # A place costs the same however many images there are, but for the bits of a missing one.
    larger = RepeatedMeasures(
        "sandwich",
        options.get("df"),
        subjects=[f"{subject}-{k}" for k in range(4) for subject in study.subjects],
        groups=4 * study.groups if "groups" in options else None,
        visits=4 * study.visit.tolist() if "groups" in options else None,
    ).prepare(np.tile(study.X, (4, 1)), plan.column_names)
    costs = [own.bytes(4 * 10**6) - own.bytes(2 * 10**6) for own in (larger, plan)]
    assert costs[0] == costs[1]
    assert plan.bytes(10) < 10**5
