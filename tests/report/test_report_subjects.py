# SPDX-License-Identifier: BSD-3-Clause
"""The page of several images a subject: who has how many, and how alike they are."""

from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import RepeatedMeasures, SecondLevelModel

SHAPE = (7, 8, 7)


def image_of(values: Any, affine: Any) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


def study(n_subjects: int = 16) -> tuple[list[Any], pd.DataFrame, pd.DataFrame]:
    """Return images, their labels and their design: subject k has 1 + k % 4 images."""
    rng = np.random.default_rng(3)
    rows = [
        (f"s{subject:02d}", f"f{subject // 4}", subject % 2, visit)
        for subject in range(n_subjects)
        for visit in range(1 + subject % 4)
    ]
    people = pd.DataFrame(rows, columns=["subject", "family", "patient", "time"])
    level = dict(
        zip(people["subject"].unique(), rng.normal(size=(n_subjects, *SHAPE)), strict=True)
    )
    images = []
    for subject, time in zip(people["subject"], people["time"], strict=True):
        values = level[subject] + rng.normal(size=SHAPE)
        values[3, 4, 3] += 4 * float(time)
        images.append(image_of(values.astype("float32"), np.diag([4.0, 4, 4, 1])))
    design = people[["patient", "time"]].astype(float)
    design.insert(0, "intercept", 1.0)
    return images, people, design


def page(covariance: str) -> tuple[str, SecondLevelModel]:
    images, people, design = study()
    mask = image_of(np.ones(SHAPE, np.uint8), np.diag([4.0, 4, 4, 1]))
    families = people["family"] if covariance == "nested" else None
    model = SecondLevelModel(mask, model=RepeatedMeasures(covariance))
    model.fit(images, design_matrix=design, subjects=people["subject"], families=families)
    return str(model.generate_report("time")), model


@pytest.mark.parametrize("covariance", ["random intercept", "nested"])
def test_the_page_says_who_has_how_many_images_and_how_alike_they_are(covariance: str) -> None:
    html, model = page(covariance)
    assert "Several images of a subject" in html
    assert "4 have 1, 4 have 2, 4 have 3 and 4 have 4." in html
    icc = float(np.median(model.results_.intraclass_correlation))
    assert f"the intraclass correlation is {icc:.2f}" in html
    at_zero = float(np.mean(model.results_.at_boundary))
    assert ("estimated as 0" in html) == (at_zero > 0)
    assert f"{float(np.median(model.results_.subject_variance)):.3g}" in html
    assert ("variance between families, median" in html) == (covariance == "nested")
    assert "Spaghetti plot. Each subject" in html
    assert "16 thin lines over time" in html


@pytest.mark.filterwarnings("ignore:.*subjects.*sandwich.*:UserWarning")
def test_the_sandwich_has_lines_but_no_correlation() -> None:
    html, _ = page("sandwich")
    assert "Several images of a subject" in html
    assert "the intraclass correlation is" not in html
    assert "Spaghetti plot. Each subject" in html


def test_one_image_a_subject_has_no_such_section() -> None:
    images, people, design = study()
    first = ~people["subject"].duplicated()
    model = SecondLevelModel().fit(
        [image for image, own in zip(images, first, strict=True) if own],
        design_matrix=design[["intercept", "patient"]][first.to_numpy()].reset_index(drop=True),
    )
    assert "Several images of a subject" not in str(model.generate_report("patient"))
