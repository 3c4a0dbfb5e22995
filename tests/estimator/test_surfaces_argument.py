# SPDX-License-Identifier: BSD-3-Clause
"""The arguments `surfaces` and `areas`: parameters of the estimator, without effect on volumes."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from sklearn.base import clone

from groupglm import SecondLevelModel, non_parametric_inference

DESIGN = pd.DataFrame({"intercept": np.ones(6)})


def image_of(values: NDArray[Any]) -> Nifti1Image:
    return Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


def images() -> list[Nifti1Image]:
    rng = np.random.default_rng(0)
    return [image_of(rng.standard_normal((3, 3, 3))) for _ in range(6)]


def test_they_are_parameters_that_scikit_learn_copies() -> None:
    surfaces, areas = ("left.surf.gii", "right.surf.gii"), (np.ones(3), np.ones(3))
    model = SecondLevelModel(surfaces=surfaces, areas=areas)
    assert model.get_params()["surfaces"] is surfaces
    copied = clone(model)
    assert copied.surfaces == surfaces
    np.testing.assert_array_equal(copied.areas, areas)
    assert model.set_params(surfaces=None).surfaces is None


@pytest.mark.parametrize("function", [SecondLevelModel, non_parametric_inference])
def test_they_are_given_by_name(function: object) -> None:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    for name in ("surfaces", "areas"):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default is None


@pytest.mark.parametrize("name", ["surfaces", "areas"])
def test_a_model_of_volumes_says_that_they_have_no_effect(name: str) -> None:
    given: dict[str, Any] = {name: ("left", "right")}
    model = SecondLevelModel(**given)
    with pytest.warns(UserWarning, match=f"{name} has no effect on volumes; leave it out"):
        model.fit(images(), design_matrix=DESIGN)


@pytest.mark.parametrize("name", ["surfaces", "areas"])
def test_a_permutation_test_of_volumes_says_it_too(name: str) -> None:
    given: dict[str, Any] = {name: ("left", "right")}
    mask = image_of(np.ones((3, 3, 3), np.uint8))
    with pytest.warns(UserWarning, match=f"{name} has no effect on volumes; leave it out"):
        non_parametric_inference(images(), design_matrix=DESIGN, mask=mask, n_perm=0, **given)
