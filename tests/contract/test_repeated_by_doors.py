# SPDX-License-Identifier: BSD-3-Clause
"""A model that reads subject by subject, with any space: fit, contrast, file, and its maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from contract.fake_repeated import KeptMeanOfSubjects, MeanOfSubjects
from contract.test_spaces import CASES, Case
from groupglm import SecondLevelModel, group
from groupglm.models.kinds import MODELS
from reference.damaging import rewrite_model

pytestmark = pytest.mark.usefixtures("fake_kinds")

SIZES = [1, 90, 3, 2, 70, 1, 4, 5]  # one subject alone is more than a chunk
WHO = np.random.default_rng(2).permutation(np.repeat(np.arange(len(SIZES)), SIZES))
N = len(WHO)
ONE = pd.DataFrame({"one": np.ones(N)})
SUBJECTS = [f"s{number}" for number in WHO]
KINDS: dict[str, Callable[..., Any]] = {"streams": MeanOfSubjects, "keeps rows": KeptMeanOfSubjects}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def rows(case: Case) -> NDArray[Any]:
    """Far from zero, some missing: whole subjects too."""
    values = np.random.default_rng(6).normal(50, 1, (N, case.size)) + WHO[:, None]
    values[3, ::5] = np.nan
    values[np.ix_(np.flatnonzero(WHO == 2), np.arange(0, case.size, 7))] = np.nan
    return np.asarray(values)


def by_scipy(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The t of the subjects' means, and their variance."""
    means = pd.DataFrame(rows).groupby(WHO).mean().to_numpy()
    t = scipy.stats.ttest_1samp(means, 0, nan_policy="omit").statistic
    return np.asarray(t), np.nanvar(means, axis=0, ddof=1)


def fitted(case: Case, rows: NDArray[Any], model: Any, **options: Any) -> SecondLevelModel:
    everywhere = case.of_flat(np.ones(case.size))
    images = [case.of_flat(row) for row in rows]
    return SecondLevelModel(everywhere, model=model, **options).fit(
        images, design_matrix=ONE, subjects=SUBJECTS
    )


@pytest.mark.parametrize("most", [512 * 2**20, 0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_contrast_is_that_of_the_subjects(
    case: Case, rows: NDArray[Any], kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group.fit_group, "_MOST_KEPT", most)
    t, variance = by_scipy(rows)
    maps = [
        fitted(case, rows, KINDS[kind](), **options)
        for options in ({}, {"n_jobs": 3}, {"memory_budget": 2e6})
    ]
    for model in maps:
        result = case.flat(model.compute_contrast("one", output_type="stat"))
        np.testing.assert_allclose(result, t, rtol=2e-7)  # maps are float32
        np.testing.assert_allclose(case.flat(model.subject_variance_), variance, rtol=2e-7)
        n = case.flat(model.n_observations_)
        np.testing.assert_array_equal(n, np.count_nonzero(~np.isnan(rows), axis=0))
    one, other = (model.results_.beta for model in maps[:2])
    np.testing.assert_array_equal(one, other)


def test_residuals_are_in_the_order_of_the_images(case: Case, rows: NDArray[Any]) -> None:
    model = fitted(case, rows, MeanOfSubjects(), minimize_memory=False)
    means = pd.DataFrame(rows).groupby(WHO).mean().to_numpy()
    expected = rows - np.nanmean(means, axis=0)
    order = model._group.space.public_order
    left = np.stack(list(map(np.array, model._group._residual_rows())))
    assert order is None or len(order) == case.size
    np.testing.assert_allclose(left, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_the_model(
    case: Case, rows: NDArray[Any], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = KINDS[kind]
    monkeypatch.setitem(MODELS, of.kind, of)  # type: ignore[attr-defined]
    model = fitted(case, rows, of())
    again = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    for name, image in model.compute_contrast("one", output_type="all").items():
        found = again.compute_contrast("one", output_type="all")[name]
        np.testing.assert_array_equal(case.flat(found), case.flat(image))
    own: Any = again.results_.model
    assert list(own.subjects) == SUBJECTS
    assert again.boundary_share_ == model.boundary_share_ == 0.0
    np.testing.assert_array_equal(again.design_matrix_.to_numpy(), ONE.to_numpy())


def _drop(facts: dict[str, Any]) -> None:
    facts["fits"][0]["model"]["settings"]["subjects"].pop()


def _one_each(facts: dict[str, Any]) -> None:
    own = facts["fits"][0]["model"]["settings"]
    own["subjects"] = [str(number) for number in range(N)]


def _none(facts: dict[str, Any]) -> None:
    del facts["fits"][0]["model"]["settings"]["subjects"]


@pytest.mark.parametrize("change", [_drop, _one_each, _none])
def test_a_file_whose_labels_do_not_fit(
    change: Callable[[dict[str, Any]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["chain"]
    monkeypatch.setitem(MODELS, MeanOfSubjects.kind, MeanOfSubjects)
    rows = np.random.default_rng(6).normal(50, 1, (N, case.size))
    path = fitted(case, rows, MeanOfSubjects()).save(tmp_path / "model.groupglm")
    rewrite_model(path, lambda facts, members: change(facts))
    with pytest.raises(ValueError, match="damaged model"):
        SecondLevelModel.load(path)


def test_a_model_without_such_maps_says_what_to_fit(case: Case, rows: NDArray[Any]) -> None:
    images = [case.of_flat(row) for row in rows]
    model = SecondLevelModel(case.of_flat(np.ones(case.size))).fit(images, design_matrix=ONE)
    for name, words in {
        "intraclass_correlation_": r"intraclass correlations \(ICC\): fit .*'repeated measures'",
        "subject_variance_": "variances between subjects: fit the model 'repeated measures'",
        "residual_variance_": "variances of the images of a subject: fit",
        "family_variance_": r"variances between families: fit Rep.*\(covariance='nested'\)",
        "boundary_share_": "variances between subjects: fit",
    }.items():
        with pytest.raises(AttributeError, match=f"model 'ols' has no {words}"):
            getattr(model, name)


def test_an_image_among_those_of_its_subject_has_no_weight_of_its_own(
    case: Case, rows: NDArray[Any]
) -> None:
    with pytest.raises(AttributeError, match=r"has no weights of images: .* its subject"):
        fitted(case, rows, MeanOfSubjects()).weights_at((1, 1, 1))
