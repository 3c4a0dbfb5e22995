# SPDX-License-Identifier: BSD-3-Clause
"""Confidence sets: their coverage, their parts, and what is refused by name.

`tests/contract/test_spaces.py` compares them with loops for every kind of data, and
`tests/reference/confidence_sets.py` runs 500 simulations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from groupglm import MixedEffects, RepeatedMeasures, SecondLevelModel, UnequalVariances
from groupglm.errors import ArgumentError
from groupglm.inference.confidence_sets.bootstrap import bootstrap_maxima, critical_value
from groupglm.inference.confidence_sets.boundary import boundary_of
from reference.confidence_sets import coverage, covers

nib: Any = nibabel  # typed only in part
N, SHAPE = 24, (10, 6, 5)
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
DESIGN = pd.DataFrame({"intercept": np.ones(N), "group": np.arange(N) % 2})
RAMP = np.linspace(-1, 2, SHAPE[0])[:, None, None] * np.ones(SHAPE)


def images(values: Any = None) -> list[Any]:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((N, *SHAPE)) if values is None else values
    return [nib.Nifti1Image(RAMP + own, np.eye(4)) for own in noise]


def fitted(design: pd.DataFrame = DESIGN, **options: Any) -> SecondLevelModel:
    given = {name: options.pop(name) for name in ("variances", "subjects") if name in options}
    return SecondLevelModel(MASK, **options).fit(images(), design_matrix=design, **given)


@pytest.mark.parametrize("units", ["effect", "cohen_d"])
def test_sets_cover_the_truth_as_often_as_they_say(units: Any) -> None:
    n_sets = 30
    found = coverage(n_sets, units, side=24, n_bootstraps=200, seed=11)
    # Fewer would happen once in a thousand runs if the coverage were exactly 0.95.
    assert found * n_sets >= stats.binom.ppf(0.001, n_sets, 0.95)


def test_coverage_is_lost_by_a_smaller_critical_value() -> None:
    """The yardstick of the test above fails sets that are too narrow."""
    truth = np.linspace(0, 1, 8)[:, None] * np.ones(8)
    estimate, error = truth + 0.05, np.full(truth.shape, 0.04)
    assert covers(truth, estimate, error, 0.5, 1.3)
    assert not covers(truth, estimate, error, 0.5, 1.2)
    assert not covers(truth, truth - 0.05, error, 0.5, 1.2)


@pytest.mark.parametrize("units", ["effect", "cohen_d"])
def test_sets_contain_each_other_and_know_how_they_were_made(units: Any) -> None:
    model = fitted()
    sets = model.compute_confidence_sets("intercept", level=0.5, units=units, random_state=0)
    upper, estimate, lower = (sets[name].get_fdata() > 0 for name in sets)
    assert list(sets) == ["upper", "estimate", "lower"]
    assert not (upper & ~estimate).any()
    assert not (estimate & ~lower).any()
    assert sets.n_places == {"upper": upper.sum(), "estimate": estimate.sum(), "lower": lower.sum()}
    assert 0 < upper.sum() < estimate.sum() < lower.sum() < lower.size
    kind = "effect_size" if units == "effect" else "hedges_g"
    own = model.compute_contrast("intercept", output_type=kind).get_fdata()
    np.testing.assert_array_equal(estimate, own >= 0.5)
    assert sets["upper"].get_data_dtype() == np.uint8
    assert sets.facts() == {
        "Level": 0.5, "Units": units, "Alpha": 0.05, "NumberOfBootstraps": 5000, "Seed": 0,
        "CriticalValue": sets.critical_value, "NumberOfBoundaryPoints": sets.n_boundary_points,
    }  # fmt: skip
    # A larger share of error asks for less; the maxima of a few points are near those of one t.
    less = model.compute_confidence_sets(
        "intercept", level=0.5, units=units, alpha=0.5, random_state=0
    )
    assert less.critical_value < sets.critical_value
    assert stats.t.isf(0.025, N - 2) < sets.critical_value < 10


def test_upper_set_of_an_effect_is_where_t_passes_the_critical_value() -> None:
    model = fitted()
    sets = model.compute_confidence_sets("group", level=0.0, random_state=1)
    t = model.compute_contrast("group", output_type="stat").get_fdata()
    np.testing.assert_array_equal(sets["upper"].get_fdata() > 0, t >= sets.critical_value)
    np.testing.assert_array_equal(sets["lower"].get_fdata() > 0, t >= -sets.critical_value)


def test_same_seed_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    ends = np.stack([np.arange(3000), np.arange(1, 3001)]).astype(np.int32)
    boundary = boundary_of(rng.standard_normal(3001), ends)
    residuals = rng.standard_normal((11, 3001)).astype(np.float32)
    residuals[rng.random(residuals.shape) < 0.05] = np.nan
    one, two, four = (bootstrap_maxima(residuals, boundary, 300, 7, n) for n in (1, 2, 4))
    np.testing.assert_array_equal(two, one)
    np.testing.assert_array_equal(four, one)
    assert (bootstrap_maxima(residuals, boundary, 300, 8, 1) != one).any()
    # More bootstraps are the same ones, and then others.
    np.testing.assert_array_equal(bootstrap_maxima(residuals, boundary, 100, 7, 2), one[:100])


def test_points_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ends = np.stack([np.arange(500), np.arange(1, 501)]).astype(np.int32)
    boundary = boundary_of(rng.standard_normal(501), ends)
    residuals = rng.standard_normal((9, 501)).astype(np.float32)
    whole = bootstrap_maxima(residuals, boundary, 200, 7, 1)
    module = "groupglm.inference.confidence_sets.bootstrap"
    monkeypatch.setattr(f"{module}._POINT_BYTES", 8 * 9 * 10)
    monkeypatch.setattr(f"{module}._PRODUCTS", 500)
    np.testing.assert_array_equal(bootstrap_maxima(residuals, boundary, 200, 7, 1), whole)


def test_critical_value_is_a_quantile() -> None:
    maxima = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))
    assert critical_value(maxima, 0.05) == 950.0
    assert critical_value(maxima, 0.001) == 999.0
    assert (maxima > critical_value(maxima, 0.3)).mean() == 0.3


def test_bootstraps_of_one_point_are_t_of_sign_flips() -> None:
    residuals = np.random.default_rng(3).standard_normal((8, 2))
    boundary = boundary_of(np.array([-1.0, 3.0]), np.array([[0], [1]], np.int32))
    found = bootstrap_maxima(residuals, boundary, 4000, 0, 1)
    point = 0.75 * residuals[:, 0] + 0.25 * residuals[:, 1]
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    every = np.unique(np.abs(stats.ttest_1samp(signs * point, 0, axis=1).statistic).round(9))
    assert set(found.round(9)) == set(every)


def test_places_that_are_constant_or_missing(tmp_path: Path) -> None:
    values = np.random.default_rng(4).standard_normal((N, *SHAPE))
    values[:, 0, 0, 0] = 5.0  # no variance: above for certain
    values[:, 0, 0, 1] = -5.0
    values[3:, 9, 0, 0] = np.nan
    values[:, 9, 1, 1] = np.nan
    design = DESIGN[["intercept"]]
    model = SecondLevelModel(MASK).fit(images(values), design_matrix=design)
    for units in ("effect", "cohen_d"):
        sets = model.compute_confidence_sets(level=0.5, units=units, random_state=0)
        assert np.isfinite(sets.critical_value)
        assert all(sets[name].get_fdata()[9, 1, 1] == 0 for name in sets)
        if units == "effect":
            assert [sets[name].get_fdata()[0, 0, 0] for name in sets] == [1, 1, 1]
            assert [sets[name].get_fdata()[0, 0, 1] for name in sets] == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"level": np.nan}, "level is nan; 'level' must be a finite number"),
        ({"level": np.inf}, "level is inf"),
        ({"level": 90}, "level is 90, which the effect reaches at no place.*from -"),
        ({"level": -90}, "level is -90, which the effect reaches at every place"),
        ({"level": 90, "units": "cohen_d"}, "which the Hedges' g .* reaches at no place"),
        ({"units": "sd"}, "units"),
        ({"alpha": 0}, "alpha is 0; 'alpha' must be above 0 and below 1"),
        ({"alpha": 5}, "alpha is 5"),
        ({"n_bootstraps": 10}, "n_bootstraps is 10; .* at least 100"),
        ({"n_bootstraps": 100, "alpha": 0.001}, "at least 1 / alpha"),
        ({"random_state": -1}, "random_state"),
        ({"second_level_contrast": np.eye(2)}, "not defined for an F contrast"),
        ({"second_level_contrast": "group = 0.5"}, "compared with 0.5, but it is `level`"),
    ],
)
def test_arguments_that_are_refused(given: dict[str, Any], told: str) -> None:
    model = fitted()
    with pytest.raises(ArgumentError, match=told):
        model.compute_confidence_sets(
            **{"second_level_contrast": "intercept", "level": 0.5, **given}
        )


def test_models_that_are_refused() -> None:
    subjects = np.repeat([f"s{k}" for k in range(N // 2)], 2)
    robust = fitted(model="robust")
    repeated = fitted(model=RepeatedMeasures(), subjects=subjects)
    for model in (robust, repeated):
        with pytest.raises(ArgumentError, match="confidence sets are not defined for the model"):
            model.compute_confidence_sets("intercept", level=0.5)
    groups = ["a", "b"] * (N // 2)
    unequal = fitted(model=UnequalVariances(groups))
    assert unequal.compute_confidence_sets("intercept", level=0.5).critical_value > 2
    with pytest.raises(ArgumentError, match="Cohen's d are not defined for the model 'unequal"):
        unequal.compute_confidence_sets("intercept", level=0.5, units="cohen_d")


@pytest.mark.filterwarnings("ignore:variances")
def test_sets_of_mixed_effects_use_their_weights() -> None:
    rng = np.random.default_rng(9)
    variances = [nib.Nifti1Image(rng.uniform(0.1, 0.5, SHAPE), np.eye(4)) for _ in range(N)]
    model = fitted(model=MixedEffects(), variances=variances)
    sets = model.compute_confidence_sets("intercept", level=0.5, random_state=0)
    maps = model.compute_contrast("intercept", output_type="all")
    excess = maps["effect_size"].get_fdata() - 0.5
    bound = sets.critical_value * np.sqrt(maps["effect_variance"].get_fdata())
    np.testing.assert_array_equal(sets["upper"].get_fdata() > 0, excess >= bound)


def test_a_saved_model_has_no_images_to_read(tmp_path: Path) -> None:
    model = SecondLevelModel.load(fitted().save(tmp_path / "m.groupglm"))
    with pytest.raises(ValueError, match=r"m\.groupglm"):
        model.compute_confidence_sets("intercept", level=0.5)


def test_a_surface_without_its_mesh_says_so() -> None:
    rng = np.random.default_rng(0)
    gifti = nib.gifti
    images = [
        gifti.GiftiImage(darrays=[gifti.GiftiDataArray(row, datatype="NIFTI_TYPE_FLOAT32")])
        for row in rng.standard_normal((N, 30)).astype(np.float32)
    ]
    model = SecondLevelModel().fit([(one, one) for one in images], design_matrix=DESIGN)
    with pytest.raises(ArgumentError, match="surfaces") as told:
        model.compute_confidence_sets("intercept", level=0.0)
    assert told.value.argument == "surfaces"
