# SPDX-License-Identifier: BSD-3-Clause
"""Confidence sets on a page: outlines, words with their numbers, sources, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.report import HTMLReport
from reference.citations import uncited

nib: Any = nibabel  # typed only in part
N, SHAPE = 30, (12, 8, 5)
LEVELS = ((0.5, "cohen_d"), (0.6, "effect"))
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    ramp = np.linspace(-1, 2, SHAPE[0])[:, None, None] * np.ones(SHAPE)
    noise = np.random.default_rng(4).standard_normal((N, *SHAPE))
    images = [nib.Nifti1Image(ramp + own, AFFINE) for own in noise]
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    design = pd.DataFrame({"mean": np.ones(N)})
    return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)


@pytest.fixture(scope="module")
def sets(model: SecondLevelModel) -> list[Any]:
    given: Any = LEVELS
    return [
        model.compute_confidence_sets(
            "mean", level=level, units=units, n_bootstraps=200, random_state=1
        )
        for level, units in given
    ]


@pytest.fixture(scope="module")
def report(model: SecondLevelModel, sets: list[Any]) -> HTMLReport:
    return model.generate_report({"a < b": "mean"}, bg_img=None, confidence_sets={"a < b": sets})


def test_the_page_tells_each_set_with_its_numbers(report: HTMLReport, sets: list[Any]) -> None:
    page = re.sub(r"\s+", " ", str(report))
    assert "Where the effect is at least 0.5 (Cohen&#39;s d)</h3>" in page
    assert "Where the effect is at least 0.6</h3>" in page
    for own in sets:
        upper, lower = own.n_places["upper"], own.n_places["lower"]
        assert 0 < upper < own.n_places["estimate"] < lower < np.prod(SHAPE)
        assert f"at {upper:,} voxels (upper set), and smaller everywhere outside of {lower}" in page
        assert f"differ, at {lower - upper:,}, the data do not suffice" in page
        assert f"critical value {own.critical_value:.3f} (Bowring and others" in page
    assert page.count("Outlines in slices.") == 2


def test_the_methods_cite_what_was_done(
    model: SecondLevelModel, report: HTMLReport, sets: list[Any]
) -> None:
    methods = report.methods
    assert methods is not None
    critical = [f"{own.critical_value:.3f}" for own in sets]
    assert f"a < b at a level of 0.5 (Cohen's d) (critical value {critical[0]})" in methods.text
    assert f"a < b at a level of 0.6 (critical value {critical[1]})" in methods.text
    assert "200 samples of a wild bootstrap" in methods.text
    assert uncited(methods) == []
    effects = model.generate_report("mean", bg_img=None, confidence_sets={"mean": sets[1]}).methods
    assert effects is not None
    assert any(own.startswith("Bowring") for own in effects.references)
    assert not any("Cohen's d effect size images" in own for own in effects.references)


def test_the_program_makes_the_sets_again(report: HTMLReport) -> None:
    code = re.search(r'<pre id="script"><code>(.*?)</code>', str(report), re.DOTALL)
    assert code is not None
    for level, units in LEVELS:
        assert f"level={level}, units=&#39;{units}&#39;, alpha=0.05, n_bootstraps=200" in code[1]
    assert "confidence_sets=sets," in code[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda sets: sets[0], "confidence_sets is a ConfidenceSets"),
        (lambda sets: {"mean": [sets[0], 3]}, "is or holds a int"),
        (lambda sets: {"other": sets[0]}, "which is none of the contrasts: 'mean'"),
    ],
)
def test_what_is_no_set_of_a_contrast_is_refused(
    model: SecondLevelModel, sets: list[Any], make: Any, message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        model.generate_report("mean", confidence_sets=make(sets))


def test_sets_of_another_grid_are_refused(sets: list[Any]) -> None:
    images = [nib.Nifti1Image(np.full((3, 3, 3), own), np.eye(4)) for own in (1.0, 2.0, 4.0)]
    mask = nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
    other = SecondLevelModel(mask_img=mask).fit(
        images, design_matrix=pd.DataFrame({"mean": np.ones(3)})
    )
    with pytest.raises(ValueError, match=r"confidence set \(upper\) of mean"):
        other.generate_report("mean", bg_img=None, confidence_sets={"mean": sets[0]})
