# SPDX-License-Identifier: BSD-3-Clause
"""Usual mistakes of newcomers, and the silent meaning of a design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, design_from_formula, fit_ols, resample_img
from groupglm.cli.options.common import NamedContrast
from groupglm.cli.steps.design_notes import notes_on
from groupglm.cli.steps.study_contrasts import read_contrasts

nib: Any = nibabel  # typed only in part


def test_what_a_newcomer_gives_is_answered_by_what_to_give(tmp_path: Path) -> None:
    one = pd.DataFrame({"intercept": np.ones(4)})
    image = nib.Nifti1Image(np.ones((3, 3, 3), dtype=np.float32), np.eye(4))
    pattern = "maps/sub-*_effect.nii.gz"
    asked: list[tuple[Callable[[], object], str]] = [
        (lambda: SecondLevelModel().fit(pattern, design_matrix=one), "glob.glob"),
        (lambda: design_from_formula("~ age", "people.tsv"), "pandas.read_csv"),  # type: ignore[arg-type]
        (lambda: design_from_formula(None, one), "formula is a NoneType"),  # type: ignore[arg-type]
        (lambda: SecondLevelModel.load(tmp_path / "no.groupglm"), "there is no file"),
        (lambda: resample_img(image, 3), r"numpy.diag\(\[3, 3, 3\]\)"),
        (lambda: fit_ols(one, np.ones((4, 2))).contrast("intercept"), "contrast is 'intercept'"),
    ]
    for ask, answer in asked:
        with pytest.raises((OSError, TypeError, ValueError), match=answer):
            ask()
    four = [nib.Nifti1Image(image.get_fdata() + subject, np.eye(4)) for subject in range(4)]
    for width in (-8.0, "8"):
        with pytest.raises(ValueError, match=r"^smoothing_fwhm is"):
            SecondLevelModel(smoothing_fwhm=width).fit(four, design_matrix=one)


def test_an_intercept_outside_of_a_covariate_s_range_is_noted() -> None:
    rng = np.random.default_rng(0)
    age = rng.uniform(26, 58, 12)
    people = pd.DataFrame({"age": age, "group": ["a", "b"] * 6}, index=list("abcdefghijkl"))

    def notes(formula: str, contrast: str) -> list[str]:
        design = design_from_formula(formula, people)
        return notes_on(design, read_contrasts([NamedContrast(contrast)], design))

    for contrast in ("mean=intercept", "mean=intercept + group[T.b]", "mean=intercept; group"):
        (note,) = notes("~ age + group", contrast)
        assert note == (
            f"mean is tested at age 0, and age is {age.min():g} to {age.max():g}; for the mean "
            "age, write center(age) in the formula"
        )
    # The value is another one: in the fit of numbers that are 10 and 0.1 a year of age.
    y = 10 + 0.1 * age
    for formula, value in (("~ age", 10.0), ("~ center(age)", y.mean())):
        fit = fit_ols(design_from_formula(formula, people), y[:, None])
        assert fit.contrast([1.0, 0.0]).effect_size[0] == pytest.approx(value)
    for formula, contrast in (
        ("~ center(age) + group", "intercept"),
        ("~ age + group", "group[T.b]"),
        ("~ age + group", "intercept + 40 * age"),
        ("~ age + group", "age"),
        ("~ age + group", "intercept; age"),  # both zero: the same wherever age is zero
    ):
        assert notes(formula, contrast) == []
