# SPDX-License-Identifier: BSD-3-Clause
"""Effect sizes, Bayes factors and equivalence as images of every kind, and of saved models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError
from groupglm.models.effect_sizes import EFFECT_SIZES
from groupglm.spaces.statistic import OUTPUTS, Statistic
from groupglm.spaces.volume.intent import statistic_of_header

nib: Any = nibabel  # typed only in part
N = 12


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(0.7, 1, (4, 3, 2)), np.eye(4)) for _ in range(N)]
    mask = nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.eye(4))
    design = pd.DataFrame({"intercept": np.ones(N), "age": rng.normal(size=N)})
    return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)


@pytest.fixture(scope="module")
def regions() -> SecondLevelModel:
    table = pd.DataFrame(np.random.default_rng(1).normal(0.5, 1, (N, 6))).add_prefix("r")
    return SecondLevelModel().fit(table, design_matrix=pd.DataFrame({"intercept": np.ones(N)}))


@pytest.mark.parametrize("name", EFFECT_SIZES)
def test_each_map_says_what_it_is(model: SecondLevelModel, name: str, tmp_path: Path) -> None:
    image = model.compute_contrast("age", output_type=name)
    image.to_filename(tmp_path / "map.nii.gz")
    header = nib.load(tmp_path / "map.nii.gz").header
    kind = OUTPUTS[name]
    assert statistic_of_header(header) == Statistic(kind)
    assert Statistic.of_description(f"{name} of contrast age") == Statistic(kind)
    assert np.isfinite(image.get_fdata()).all()


@pytest.mark.parametrize("family", ["cohen_d", "hedges_g", "partial_r", "partial_r2"])
def test_values_lie_within_their_intervals(model: SecondLevelModel, family: str) -> None:
    value, low, high = (
        model.compute_contrast("age", output_type=family + end).get_fdata()
        for end in ("", "_ci_low", "_ci_high")
    )
    assert ((low <= value) & (value <= high)).all()
    wider = model.compute_contrast("age", output_type=f"{family}_ci_high", confidence=0.99)
    assert (wider.get_fdata() >= high).all()


def test_all_stays_the_documented_five(model: SecondLevelModel) -> None:
    assert list(model.compute_contrast("age", output_type="all")) == [
        "z_score", "stat", "p_value", "effect_size", "effect_variance",
    ]  # fmt: skip


def test_regions_are_series(regions: SecondLevelModel) -> None:
    d = regions.compute_contrast(output_type="cohen_d")
    assert isinstance(d, pd.Series)
    expected = regions.second_level_input_.mean() / regions.second_level_input_.std()
    np.testing.assert_allclose(d, expected, rtol=1e-6)
    found = regions.compute_equivalence(bounds=(-2, 2), units="cohen_d")
    assert list(found.columns) == ["p_value", "decision"]


def test_equivalence_is_two_images(model: SecondLevelModel) -> None:
    found = model.compute_equivalence("age", bounds=(-2, 2))
    assert statistic_of_header(found["p_value"].header) == Statistic("p")
    assert statistic_of_header(found["decision"].header) == Statistic("decision")
    decision = found["decision"].get_fdata()
    assert set(np.unique(decision)) <= {-1.0, 0.0, 1.0, 2.0}
    significant = found["p_value"].get_fdata() < 0.05
    np.testing.assert_array_equal(significant, (decision == -1) | (decision == 2))
    assert significant.any()


def test_saved_models_answer_too(model: SecondLevelModel, tmp_path: Path) -> None:
    loaded = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    for name in EFFECT_SIZES:
        np.testing.assert_array_equal(
            loaded.compute_contrast("age", output_type=name).get_fdata(),
            model.compute_contrast("age", output_type=name).get_fdata(),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_type": "cohen_d_ci_low", "confidence": 95}, "confidence is 95.*give 0.95"),
        ({"output_type": "cohen_d_ci_low", "confidence": 0.0}, "confidence"),
        ({"output_type": "cohen_d_ci_low", "confidence": "high"}, "confidence"),
        ({"output_type": "log_bayes_factor", "prior_scale": -1.0}, "prior_scale"),
        ({"output_type": "log_bayes_factor", "prior_scale": np.nan}, "prior_scale"),
        ({"output_type": "cohens_d"}, "output_type"),
    ],
)
def test_wrong_options_are_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        model.compute_contrast("age", **options)


def test_options_without_effect_are_told(model: SecondLevelModel) -> None:
    with pytest.warns(UserWarning, match="confidence has no effect with output_type='z_score'"):
        model.compute_contrast("age", confidence=0.9)
    with pytest.warns(UserWarning, match="prior_scale has no effect with output_type='cohen_d'"):
        model.compute_contrast("age", output_type="cohen_d", prior_scale=1.0)


def test_f_contrasts_are_refused(model: SecondLevelModel) -> None:
    with pytest.raises(ArgumentError, match="not defined for an F contrast"):
        model.compute_contrast(np.eye(2), output_type="cohen_d")
    with pytest.raises(ArgumentError, match="not defined for an F contrast"):
        model.compute_equivalence(np.eye(2), bounds=(-1, 1))
    assert np.isfinite(
        model.compute_contrast(np.eye(2), output_type="partial_r2").get_fdata()
    ).all()
