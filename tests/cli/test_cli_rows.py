# SPDX-License-Identifier: BSD-3-Clause
"""The subjects of the commands' maps and rows, and the content of a table of participants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from groupglm import SecondLevelModel
from reference.bids import SUBJECT_LEVEL, bids_done, make_fitlins, run_bids
from reference.shell import basic, design_of, run_fit, values_of


def participants(study: Path) -> Any:
    return pd.read_csv(study / "participants.tsv", sep="\t")


def run_with(study: Path, tmp_path: Path, table: pd.DataFrame, *more: Any) -> Any:
    table.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    arguments = basic(study, tmp_path / "out")
    arguments[2] = tmp_path / "people.tsv"
    return run_fit(*arguments, *more)


def words(result: Any) -> str:
    return " ".join(str(result.output).split())


def test_labels_that_are_near_each_other_are_named(study: Path, tmp_path: Path) -> None:
    table = participants(study)
    table["participant_id"] = table["participant_id"].replace("sub-07", "7")
    said = words(run_with(study, tmp_path, table, "--dry-run"))
    assert "maps without a row in the participants table: 07" in said
    assert "The label '07' is near '7': give both sides the same labels" in said
    left = run_with(study, tmp_path, table, "--dry-run", "--allow-partial")
    assert left.exit_code == 0
    assert "'07' is near '7'" in words(left)


def test_one_file_is_not_two_subjects(study: Path, tmp_path: Path) -> None:
    maps = sorted((study / "maps").iterdir())
    for path in maps[1:]:
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / maps[0].name).symlink_to(maps[4])
    refused = run_fit(tmp_path / "*.nii.gz", *basic(study, tmp_path / "out")[1:], "--dry-run")
    assert refused.exit_code == 1
    assert "MAPS has one file for the maps of subject '01' and '05'" in words(refused)
    table = tmp_path / "maps.tsv"
    pd.DataFrame(
        {
            "subject_label": [f"{i + 1:02d}" for i in range(len(maps))],
            "map_name": "a",
            "effects_map_path": [str(path) for path in [maps[1], *maps[1:]]],
        }
    ).to_csv(table, sep="\t", index=False)
    refused = run_fit(table, *basic(study, tmp_path / "out")[1:], "--dry-run")
    assert refused.exit_code == 1
    assert "has one file for the maps of subject '01' and '02'" in words(refused)


def test_subjects_without_a_value_are_refused_or_left_out(study: Path, tmp_path: Path) -> None:
    table = participants(study)
    table["age"] = table["age"].astype(object)
    table.loc[table["participant_id"] == "sub-03", "age"] = "n/a"
    refused = run_with(study, tmp_path, table)
    assert refused.exit_code == 1
    assert "no value for 'age' of subject 03" in words(refused)
    assert "leave these subjects out by --allow-partial" in words(refused)
    left = run_with(study, tmp_path, table, "--allow-partial")
    assert left.exit_code == 0, left.output
    assert "left out subjects without a value for 'age': 03" in words(left)
    assert "Design: 11 subjects" in left.output
    paths, design = design_of(study)
    keep = [i for i, path in enumerate(paths) if "sub-03" not in path]
    model = SecondLevelModel(mask_img=study / "mask.nii.gz").fit(
        [paths[i] for i in keep], design_matrix=design.iloc[keep].reset_index(drop=True)
    )
    np.testing.assert_array_equal(
        values_of(tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"),
        np.asarray(model.compute_contrast("age").dataobj),
    )
    # A column that the design does not use may lack values.
    table = participants(study).assign(iq=[100.0, *[np.nan] * 11])
    assert run_with(study, tmp_path, table, "--dry-run").exit_code == 0


def test_the_preview_counts_the_subjects_of_each_level(study: Path, tmp_path: Path) -> None:
    shown = run_with(study, tmp_path, participants(study), "--dry-run").output
    counts = participants(study)["group"].value_counts().to_dict()
    assert f"Subjects by group: control {counts['control']}, patient {counts['patient']}" in shown
    table = participants(study)
    table["age"] = table["age"].astype(object)
    table.loc[table["participant_id"] == "sub-05", "age"] = "26,5"
    refused = run_with(study, tmp_path, table, "--dry-run")
    assert refused.exit_code == 1
    assert "'26,5' for subject 05" in words(refused)


def test_bids_leaves_out_subjects_without_a_value(tmp_path: Path) -> None:
    make_fitlins(tmp_path)
    table = pd.read_csv(tmp_path / "participants.tsv", sep="\t")
    table["age"] = [*table["age"][:-1], np.nan]
    gone = table["participant_id"].iloc[-1].removeprefix("sub-")
    people = tmp_path / "people.tsv"
    table.to_csv(people, sep="\t", index=False, na_rep="n/a")
    covariate = ("--formula", "~ age + group", "--second-level-contrast", "age")
    instructions = [
        {"Name": "Factor", "Input": ["group"]},
        {"Name": "Demean", "Input": ["age"]},
    ]
    levels = sorted(table["group"].unique())
    model = {
        "Name": "m",
        "BIDSModelVersion": "1.0.0",
        "Input": {"contrast": ["facesGtHouses"]},
        "Nodes": [
            {
                "Level": "Dataset",
                "Name": "group",
                "GroupBy": ["contrast"],
                "Transformations": {
                    "Transformer": "pybids-transforms-v1",
                    "Instructions": instructions,
                },
                "Model": {"Type": "glm", "X": [1, f"group.{levels[1]}", "age"]},
                "DummyContrasts": {"Test": "t"},
            }
        ],
    }
    (tmp_path / "model.json").write_text(json.dumps(model))
    for more in (covariate, ("--model", tmp_path / "model.json")):
        options = (*SUBJECT_LEVEL, *more, "--participants", people, "--dry-run")
        refused = run_bids(tmp_path, tmp_path / "out", *options)
        assert refused.exit_code == 1
        assert f"'age' of subject {gone}" in words(refused)
        left = bids_done(tmp_path, tmp_path / "out", *options, "--allow-partial")
        assert f"without a value for 'age': {gone}" in words(left)
        assert "Design: 11 subjects" in left.output
        counts = table["group"][:-1].value_counts()
        shown = ", ".join(f"{level} {counts[level]}" for level in levels)
        assert f"Subjects by group: {shown}" in left.output
