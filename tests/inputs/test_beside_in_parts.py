# SPDX-License-Identifier: BSD-3-Clause
"""Variances of which a part is none, or another image's: each hemisphere is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2
from nibabel.nifti1 import Nifti1Image

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError
from reference.surface_files import LETTERS, N, gifti, rows, write_gifti

COUNT = 5
ONES = pd.DataFrame({"mean": np.ones(COUNT)})
LABELS = [f"{number:02d}" for number in range(1, COUNT + 1)]
VALUES = rows(COUNT)
NAME = "sub-{}_hemi-{}_{}.func.gii"
Pairs = list[tuple[Path, Path]]


def pairs(
    folder: Path, ends: tuple[str, str], name: str = NAME, intents: tuple[str, str] = ("NONE",) * 2
) -> Pairs:
    """Files of positive values, whose names end as `ends` has it, left and right."""
    found, values = [], VALUES if ends[0] == "cope" else rows(COUNT, seed=1)
    for row, label in enumerate(LABELS):
        own = [
            write_gifti(
                folder / name.format(label, letter, end),
                1 + np.abs(values[side][row]),
                intent=f"NIFTI_INTENT_{intent}",
            )
            for (side, letter), end, intent in zip(LETTERS.items(), ends, intents, strict=True)
        ]
        found.append((own[0], own[1]))
    return found


@pytest.fixture
def effects(tmp_path: Path) -> Pairs:
    return pairs(tmp_path / "effects", ("cope", "cope"))


def refused(effects: Any, variances: Any, match: str, design: Any = ONES) -> None:
    with pytest.raises(ArgumentError, match=match):
        SecondLevelModel(model="fixed effects").fit(
            effects, design_matrix=design, variances=variances
        )


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("end", "what"), [("tstat", "t statistics"), ("se", "standard errors"), ("beta", "effects")]
)
def test_the_name_of_each_hemisphere_is_read(
    effects: Pairs, tmp_path: Path, side: int, end: str, what: str
) -> None:
    ends = (end, "variance") if side == 0 else ("variance", end)
    wrong = pairs(tmp_path / "wrong", ends)
    told = f"5 of 5 images of variances hold {what}, .*sub-01_hemi-{'LR'[side]}_{end}"
    refused(effects, wrong, told)


@pytest.mark.parametrize(
    ("name", "end", "what"),
    [
        ("10030{}.{}.{}.func.gii", "tstat1", "t statistics"),
        ("10030{}.{}.{}.shape.gii", "cope1", "effects"),
        ("10030{}.{}.{}.func.gii", "varcope1", ""),
        ("10030{}_fwhm1.5.{}.{}.func.gii", "variance", ""),
    ],
)
def test_words_of_a_name_may_be_parted_by_points(
    tmp_path: Path, name: str, end: str, what: str
) -> None:
    given = pairs(tmp_path / "given", (end, end), name)
    no_labels = [(gifti(VALUES["left"][k]), gifti(VALUES["right"][k])) for k in range(COUNT)]
    if what:
        refused(no_labels, given, f"5 of 5 images of variances hold {what}")
    else:
        SecondLevelModel(model="fixed effects").fit(no_labels, design_matrix=ONES, variances=given)


@pytest.mark.parametrize("intents", [("TTEST", "NONE"), ("NONE", "TTEST"), ("ESTIMATE", "TTEST")])
def test_the_header_of_each_hemisphere_is_read(
    effects: Pairs, tmp_path: Path, intents: tuple[str, str]
) -> None:
    wrong = pairs(tmp_path / "wrong", ("variance", "variance"), intents=intents)
    side = "LR"[intents.index("TTEST")]
    refused(effects, wrong, rf"t statistics \(as the header says\).*sub-01_hemi-{side}_variance")
    right = pairs(tmp_path / "right", ("variance",) * 2, intents=("ESTIMATE",) * 2)
    SecondLevelModel(model="fixed effects").fit(effects, design_matrix=ONES, variances=right)


def test_a_sidecar_is_read(effects: Pairs, tmp_path: Path) -> None:
    given = pairs(tmp_path / "given", ("values", "values"))
    sidecar = given[0][1].with_name(given[0][1].name.replace(".func.gii", ".json"))
    sidecar.write_text(json.dumps({"Values": "tau2"}))
    refused(effects, given, r"variances between subjects \(tau2\) \(as its sidecar says\)")
    for kind in ("variance", "whatever another program calls it"):
        sidecar.write_text(json.dumps({"Values": kind}))
        SecondLevelModel(model="fixed effects").fit(effects, design_matrix=ONES, variances=given)


def test_a_hemisphere_of_another_image_is_found(effects: Pairs, tmp_path: Path) -> None:
    own = pairs(tmp_path / "own", ("variance", "variance"))
    mixed = [(left, right) for (left, _), (_, right) in zip(own, effects, strict=True)]
    refused(effects, mixed, "sub-01_hemi-R_cope.* is given both as image 1 of second_level_input")
    unnamed = [(gifti(VALUES["left"][k]), gifti(VALUES["right"][k])) for k in range(COUNT)]
    twice = [(own[0][0], tmp_path / "R.gii"), (own[1][0], tmp_path / "R.gii"), *own[2:]]
    write_gifti(tmp_path / "R.gii", VALUES["right"][0] ** 2, structure="CortexRight")
    refused(unnamed, twice, r"images 1 and 2 of variances are one file: '.*R\.gii'")


def test_subjects_that_share_a_hemisphere_are_found(effects: Pairs) -> None:
    shared = [effects[0], (effects[1][0], effects[0][1]), *effects[2:]]
    table = pd.DataFrame({"subject_label": LABELS, "map_name": "a", "effects_map_path": shared})
    told = "one file for the maps of subject '01' and '02': '.*sub-01_hemi-R"
    with pytest.raises(ValueError, match=told):
        SecondLevelModel().fit(table, design_matrix=ONES)
    again: Any = [effects[0], *effects[:-1]]
    table = table.assign(effects_map_path=again)
    with pytest.raises(ValueError, match=r"'01' and '02': '.*sub-01_hemi-L"):
        SecondLevelModel().fit(table, design_matrix=ONES)
    images = [(gifti(VALUES["left"][k]), gifti(VALUES["right"][k])) for k in range(COUNT)]
    images[3] = (images[3][0], images[1][1])
    with pytest.warns(UserWarning, match="images 2 and 4 of second_level_input are one image in"):
        SecondLevelModel().fit(images, design_matrix=ONES)


def grayordinates(row: Any) -> Any:
    made: Any = cifti2  # nibabel's constructors carry no types
    axis = made.BrainModelAxis.from_surface(np.arange(N["left"]), 30, "CortexLeft")
    return made.Cifti2Image(row[np.newaxis], (made.ScalarAxis(["map"]), axis))


def test_another_kind_of_data_is_refused(effects: Pairs, tmp_path: Path) -> None:
    left = [1 + np.abs(own) for own in VALUES["left"]]
    volumes: Any = [Nifti1Image(own.reshape(-1, 1, 1), np.eye(4)) for own in left]  # type: ignore[no-untyped-call]
    ciftis = [grayordinates(own) for own in left]
    table = pd.DataFrame(left, LABELS)
    labelled = pd.Series(volumes, LABELS)
    for given, other, told in (
        (effects, volumes, r"\(volume\) than second_level_input \(surface\)"),
        (effects, labelled, r"\(volume\) than second_level_input \(surface\)"),
        (effects, ciftis, r"\(cifti\) than second_level_input \(surface\)"),
        (effects, table, r"\(table\) than second_level_input \(surface\)"),
        (volumes, effects, r"\(surface\) than second_level_input \(volume\)"),
        (ciftis, volumes, r"\(volume\) than second_level_input \(cifti\)"),
    ):
        refused(given, other, "variances is of another kind of data " + told)
    frame = pd.DataFrame({"subject_label": LABELS, "map_name": "a", "effects_map_path": effects})
    frame = frame.assign(variances_map_path=volumes)
    refused(frame, None, r"variances is of another kind of data \(volume\)")
