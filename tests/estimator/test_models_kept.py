# SPDX-License-Identifier: BSD-3-Clause
"""A model that can be fitted can be saved and loaded, and a copy of a model is its own."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError

N = 8


def _images(seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    brain = np.pad(np.ones((4, 4, 4)), 1)
    return [
        nib.Nifti1Image(brain * (rng.standard_normal(brain.shape) + 2), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(N)
    ]


def _values(model: SecondLevelModel, *contrast: Any) -> Any:
    return np.asanyarray(model.compute_contrast("intercept", *contrast).dataobj)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(list("aabbccdd"), marks=pytest.mark.filterwarnings("ignore:.*independent")),
        [1, "1", *range(2, 8)],
    ],
    ids=["several images of a subject", "a number and its text"],
)
def test_a_design_whose_labels_repeat_is_loaded_again(labels: list[Any], tmp_path: Path) -> None:
    design = pd.DataFrame({"intercept": np.ones(N)}, index=labels)
    model = SecondLevelModel().fit(_images(), design_matrix=design)
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    np.testing.assert_array_equal(_values(loaded), _values(model))
    assert loaded.design_matrix_.index.tolist() == [str(label) for label in labels]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_jobs": -2},
        {"n_jobs": np.int64(1)},
        {"smoothing_fwhm": np.array([2.0, 3.0, 2.0])},
        {"smoothing_fwhm": [2, None, 3]},
        {"smoothing_fwhm": np.float32(2.5)},
        {"smoothing_fwhm": Fraction(5, 2)},
        {"target_affine": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]},
        {"verbose": np.int64(0)},
        {"missing": np.str_("zero")},
        {"zero_is_missing": np.True_},
    ],
    ids=str,
)
def test_all_parameters_that_fit_takes_are_loaded_again(
    parameters: dict[str, Any], tmp_path: Path
) -> None:
    design = pd.DataFrame({"intercept": np.ones(N)})
    model = SecondLevelModel(**parameters).fit(_images(), design_matrix=design)
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    np.testing.assert_array_equal(_values(loaded), _values(model))
    np.testing.assert_array_equal(loaded.transform(_images()), model.transform(_images()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smoothing_fwhm", np.nan),
        ("smoothing_fwhm", object()),
        ("smoothing_fwhm", [1, 2]),
        ("smoothing_fwhm", 10**400),
        ("n_jobs", 0),
        ("n_jobs", "all"),
        ("verbose", None),
        ("minimize_memory", "no"),
        ("missing", "guess"),
        ("zero_is_missing", 1),
        ("target_affine", np.full((4, 4), np.nan)),
        ("target_shape", (1, 2)),
    ],
)
def test_a_parameter_that_no_fit_takes_is_known_before_it_is_saved(
    name: str, value: Any, tmp_path: Path
) -> None:
    design = pd.DataFrame({"intercept": np.ones(N)})
    model = SecondLevelModel().fit(_images(), design_matrix=design)
    model.set_params(**{name: value})
    with pytest.raises(ArgumentError, match="must be one") as caught:
        model.save(tmp_path / "m.groupglm")
    assert caught.value.argument == name
    assert not list(tmp_path.iterdir())


def test_a_copy_does_not_change_which_fit_the_other_uses() -> None:
    kinds = {"one": _images(1), "two": _images(2)}
    subjects = [f"s{number}" for number in range(N)]
    table = pd.DataFrame(
        [
            (subject, kind, image)
            for kind in kinds
            for subject, image in zip(subjects, kinds[kind], strict=True)
        ],
        columns=["subject_label", "map_name", "effects_map_path"],
    )
    design = pd.DataFrame({"intercept": np.ones(N)}, index=subjects)
    model = SecondLevelModel().fit(table, design_matrix=design)
    _values(model, "one")
    mean = model.results_.beta.copy()
    other = copy.copy(model)
    _values(other, "two")
    np.testing.assert_array_equal(model.results_.beta, mean)
    assert not np.array_equal(other.results_.beta, mean)


def test_a_copy_of_a_model_without_a_fit_is_without_one() -> None:
    model = copy.copy(SecondLevelModel(smoothing_fwhm=4))
    assert model.smoothing_fwhm == 4
    assert not hasattr(model, "results_")
