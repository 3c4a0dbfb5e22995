# SPDX-License-Identifier: BSD-3-Clause
"""Bad input of several images a subject is refused alike for images of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import RepeatedMeasures
from reference.visit_kinds import KINDS, Visits, write_visits

# Its types depend on options.
SecondLevelModel: Any = groupglm.SecondLevelModel

SUBJECTS = [f"{k:02d}" for k in range(1, 8)]
VISITS = [(subject, visit) for subject in SUBJECTS for visit in ("1", "2")]
WHO = [subject for subject, _ in VISITS]
DESIGN = pd.DataFrame(
    {
        "intercept": 1.0,
        "time": [float(visit) for _, visit in VISITS],
        "group": [float(int(subject) % 2) for subject in WHO],
    }
)
WITH_SUBJECTS = pd.get_dummies(pd.Series(WHO), dtype=float).join(DESIGN[["time", "group"]])
CONFOUNDED = "cannot tell apart the columns '01', '03', '05', '07' and 'group'"

pytestmark = pytest.mark.parametrize("kind", KINDS)


def given(kind: str, folder: Path, visits: Visits) -> Any:
    """What `fit` takes of a kind."""
    written = write_visits(kind, folder, visits)
    if kind != "regions":
        return written
    types = {"participant_id": str, "session_id": str}
    return pd.read_csv(written[0], sep="\t", dtype=types)


def refused(message: str, images: Any, design: pd.DataFrame = DESIGN, **options: Any) -> None:
    model = options.pop("model", "repeated measures")
    with pytest.raises(ValueError, match=message):
        SecondLevelModel(model=model).fit(images, design_matrix=design, **options)


def test_subjects_that_are_not_those_of_the_images(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS)
    refused(r"subjects has shape \(13,\); it must be \(14,\)", images, subjects=WHO[1:])
    others = pd.Series(WHO, index=[f"1{who}" for who in WHO])
    refused("subjects has no row for 01", images, subjects=others)
    shuffled = [*WHO[2:], *WHO[:2]]
    refused("image 1 is of subject '01', as .*, but subjects has '02' there", images,
            subjects=shuffled)  # fmt: skip


def test_nobody_comes_twice(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS[::2])
    message = "each of the 7 subjects has one image: no subject has two; .*model='ols'"
    refused(message, images, DESIGN.iloc[::2].reset_index(drop=True))


def test_a_subject_in_two_families_or_groups(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS)
    families = ["a", "b", *"aabbaabbaabb"]
    refused(
        r"a subject is in two families: '01' \('a' and 'b'\); give all images of a subject the",
        images, model=RepeatedMeasures("nested"), families=families,
    )  # fmt: skip
    model = RepeatedMeasures("sandwich", groups=families)
    refused(r"a subject is in two groups: '01' \('a' and 'b'\)", images, model=model)


def test_the_same_visit_or_file_twice(kind: str, tmp_path: Path) -> None:
    message = "a subject has several images of the same visit: '01' at '1'"
    images = given(kind, tmp_path / "all", VISITS)
    visits = ["1", "1", *(visit for _, visit in VISITS[2:])]
    refused(message, images, visits=visits)
    twice = [VISITS[0], VISITS[0], *VISITS[2:]]
    if kind == "regions":
        refused(message, given(kind, tmp_path / "twice", twice))
        return  # all rows are in one file
    for copy in (1, 2):  # of the same subject, and of another one
        shared = [*images]
        shared[copy] = images[0]
        refused(f"images 1 and {1 + copy} of second_level_input are one file", shared, subjects=WHO)
    copies = [images[0], *given(kind, tmp_path / "copy", VISITS[:1]), *images[2:]]
    design = DESIGN.assign(time=[1.0, 1.0, *DESIGN["time"][2:]])
    refused("images 1 and 2 of second_level_input have the same name, 'sub-01_ses-1.*as if one "
            "visit were there twice; leave one", copies, design)  # fmt: skip
    # Folders of two conditions, which the design tells apart, are no visit twice.
    SecondLevelModel(model="repeated measures").fit(copies, design_matrix=DESIGN)
    SecondLevelModel(model=RepeatedMeasures(visits=list(range(14)))).fit(
        copies, design_matrix=design
    )
    table = pd.DataFrame({"subject_label": WHO, "map_name": "a", "visit_label": visits})
    if kind != "surfaces":  # a table has one path an image
        table["effects_map_path"] = list(map(str, images))
        refused(message, table)


@pytest.mark.filterwarnings("ignore:the design matrix has rank 8", "ignore:7 subjects")
def test_a_contrast_of_groups_beside_a_column_for_each_subject(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS)
    for model in ("ols", RepeatedMeasures("sandwich")):
        fitted = SecondLevelModel(model=model).fit(images, design_matrix=WITH_SUBJECTS)
        with pytest.raises(ValueError, match=CONFOUNDED):
            fitted.compute_contrast("group")
    refused("has a level for every subject, by the columns '01', .*'07' and 'group'.*model='ols'",
            images, WITH_SUBJECTS)  # fmt: skip


def test_few_subjects_of_a_sandwich_are_warned_of(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS)
    with pytest.warns(UserWarning, match="7 subjects: with fewer than 10, the sandwich"):
        SecondLevelModel(model=RepeatedMeasures("sandwich")).fit(images, design_matrix=DESIGN)


def test_least_squares_without_columns_for_subjects(kind: str, tmp_path: Path) -> None:
    images = given(kind, tmp_path, VISITS)
    message = r"14 images of 7 subjects \(2 of subject '0\d'\).*give model='repeated measures'"
    refused(message, images, model="ols")
    mixed = np.repeat([0, 1], [6, 8])
    with pytest.raises(ValueError, match=r"mix the images of several subjects \(those of '01' and"):
        groupglm.non_parametric_inference(
            images, design_matrix=DESIGN, second_level_contrast="time", n_perm=9,
            exchangeability_blocks=mixed,
        )  # fmt: skip
