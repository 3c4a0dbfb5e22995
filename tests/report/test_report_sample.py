# SPDX-License-Identifier: BSD-3-Clause
"""The page says how many images each group has, and what the covariates of each are."""

from __future__ import annotations

import html
import re
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import RepeatedMeasures, SecondLevelModel, design_from_formula

SHAPE = (6, 6, 6)
N = 12


def _image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.diag([4.0, 4, 4, 1]))  # type: ignore[no-untyped-call]


def _page(design: pd.DataFrame, contrast: str, **options: Any) -> tuple[str, SecondLevelModel]:
    rng = np.random.default_rng(2)
    images = [_image(rng.normal(size=SHAPE).astype(np.float32)) for _ in range(len(design))]
    model = SecondLevelModel(_image(np.ones(SHAPE, np.uint8)), model=options.pop("model", "ols"))
    model.fit(images, design_matrix=design, **options)
    return str(model.generate_report(contrast)), model


def _table(page: str) -> list[list[str]] | None:
    found = re.search(r'<div class="table" id="sample">.*?</table>', page, re.DOTALL)
    if found is None:
        return None
    rows = re.findall(r"<tr>(.*?)</tr>", found[0], re.DOTALL)
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in rows
    ]


def _people() -> pd.DataFrame:
    ages = np.random.default_rng(5).normal(40, 9, N).round(1)
    names = [f"s{place:02d}" for place in range(N)]
    groups = ["patient", "control", "<script>alert(1)</script>"] * (N // 3)
    return pd.DataFrame(
        {"subject_label": names, "group": groups, "sex": ["F", "M"] * (N // 2), "age": ages}
    )


def _words(ages: Any) -> list[str]:
    """Return what pandas, which has its own standard deviation, says of the ages."""
    return [f"{ages.mean():.4g} ({ages.std():.3g})", f"{ages.min():.4g} to {ages.max():.4g}"]


def test_each_level_of_each_factor_has_its_number_and_its_ages() -> None:
    people = _people()
    # The design has no column of ages: it is centred. The page has the ages themselves.
    design = design_from_formula("~ C(group) + sex + center(age)", people)
    page, _ = _page(design, "center(age)")
    wanted = [["group", "images", "age: mean (sd)", "age: range"]]
    wanted += [["all", str(N), *_words(people["age"])]]
    for factor in ("group", "sex"):
        for level, own in people.groupby(factor):
            wanted.append([f"{factor}: {level}", str(len(own)), *_words(own["age"])])
    assert _table(page) == wanted
    assert "<script>alert" not in page


def test_a_saved_model_has_the_same_table(tmp_path: Any) -> None:
    design = design_from_formula("~ group + center(age)", _people())
    page, model = _page(design, "center(age)")
    model.save(tmp_path / "m.groupglm")
    again = str(SecondLevelModel.load(tmp_path / "m.groupglm").generate_report("center(age)"))
    assert _table(page) is not None
    assert _table(again) == _table(page)


def test_columns_made_by_hand_are_groups_by_their_two_values() -> None:
    people = _people()
    patient = (people["group"] == "patient").astype(float)
    design = pd.DataFrame({"intercept": 1.0, "patient": patient, "age": people["age"]})
    rows = _table(_page(design, "age")[0])
    assert rows is not None
    assert [row[:2] for row in rows[1:]] == [["all", "12"], ["patient = 0", "8"],
                                             ["patient = 1", "4"]]  # fmt: skip
    assert rows[3][2:] == _words(people["age"][patient == 1])


def test_a_design_of_the_mean_has_no_such_table() -> None:
    assert _table(_page(pd.DataFrame({"intercept": np.ones(N)}), "intercept")[0]) is None


def test_subjects_are_counted_once() -> None:
    subjects = [f"s{place // 2}" for place in range(2 * N)]
    patient = np.repeat(np.arange(N) % 3 == 0, 2).astype(float)
    time = np.tile([0.0, 1.0], N)
    design = pd.DataFrame({"intercept": 1.0, "patient": patient, "time": time})
    page, _ = _page(design, "time", model=RepeatedMeasures(), subjects=subjects)
    rows = _table(page)
    assert rows is not None
    counts = {row[0]: row[1:3] for row in rows}
    assert counts["group"] == ["images", "subjects"]
    assert counts["all"] == ["24", "12"]
    assert counts["patient = 1"] == ["8", "4"]
    assert counts["time = 0"] == ["12", "12"]
