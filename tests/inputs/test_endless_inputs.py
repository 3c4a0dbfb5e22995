# SPDX-License-Identifier: BSD-3-Clause
"""Inputs that never end, or that hold themselves, are refused at once, and name the argument."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import (
    SecondLevelModel,
    make_second_level_design_matrix,
    non_parametric_inference,
    smooth_img,
)

DESIGN = pd.DataFrame({"intercept": np.ones(3)})
FIT = "second_level_input"


def endless() -> list[Any]:
    return [range(10**12), itertools.repeat("map.nii.gz"), (str(i) for i in itertools.count())]


def itself() -> list[Any]:
    contrast: list[Any] = []
    contrast.append(contrast)
    return contrast


class FirstLevel:
    """A fitted first-level model that is never asked for anything."""

    subject_label = "one"

    def compute_contrast(self, *_: object, **__: object) -> Any:
        raise AssertionError

    def __sklearn_is_fitted__(self) -> bool:
        return True


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("door", "argument"),
    [
        (lambda x: SecondLevelModel().fit(x, design_matrix=DESIGN), FIT),
        (lambda x: SecondLevelModel().fit_transform(x, design_matrix=DESIGN), "X"),
        (lambda x: SecondLevelModel().fit(x, design_matrix=DESIGN, allow_partial=True), FIT),
        (lambda x: non_parametric_inference(x, design_matrix=DESIGN, n_perm=9), FIT),
        (lambda x: smooth_img(x, 4), "imgs|map.nii.gz|0"),
        (make_second_level_design_matrix, "subjects_label"),
    ],
    ids=["fit", "fit_transform", "partial", "permutation", "smooth", "design"],
)
def test_what_never_ends(door: Callable[[Any], object], argument: str, place: int) -> None:
    with pytest.raises((TypeError, ValueError), match=argument):
        door(endless()[place])


def test_a_contrast_that_holds_itself() -> None:
    models = [FirstLevel() for _ in range(3)]
    for place, model in enumerate(models):
        model.subject_label = f"sub-{place}"
    given: Any = models
    model = SecondLevelModel().fit(given, design_matrix=DESIGN)
    with pytest.raises(TypeError, match="first_level_contrast"):
        model.compute_contrast("intercept", first_level_contrast=itself())


def test_fit_transform_takes_what_fit_takes() -> None:
    with pytest.raises(TypeError, match="keep_rows"):
        SecondLevelModel().fit_transform([], design_matrix=DESIGN, keep_rows=True)
