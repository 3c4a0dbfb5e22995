# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids``: what it refuses, before any image is read or anything is written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm.cli import main
from reference.bids import (
    SUBJECT_LEVEL,
    bids_done,
    effect,
    model_file,
    run_bids,
    touch,
    write_json,
)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            (),
            "of several kinds, by contrast, node: contrast facesGtHouses (36 maps), housesGtFaces",
        ),
        (SUBJECT_LEVEL[2:], "Choose, such as by --filter node=runLevel"),
        (
            ("--filter", "node=runLevel", *SUBJECT_LEVEL[2:]),
            "12 of 12 subjects have several effect",
        ),
        ((*SUBJECT_LEVEL, "--task", "rest"), "no effect map has task 'rest'; there is task faces"),
        (
            (*SUBJECT_LEVEL, "--space", "T1w"),
            "no effect map has space 'T1w'; there is space MNIColin27",
        ),
        (
            (*SUBJECT_LEVEL, "--formula", "~ iq", "--second-level-contrast", "iq"),
            "the participants table has no value for 'iq' of subject",
        ),
        (
            (*SUBJECT_LEVEL, "--formula", "~ nose", "--second-level-contrast", "nose"),
            "names 'nose', which the participants table does not have",
        ),
        ((*SUBJECT_LEVEL, "--second-level-contrast", "age"), "name 'age' is not defined"),
    ],
)
def test_what_is_ambiguous_or_absent_is_refused(
    raw: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    result = run_bids(raw, tmp_path / "out", *more)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--formula", "~ age"), "--formula needs a --second-level-contrast"),
        (("--model-node", "x"), "--model-node has no effect without --model"),
        (("--filter", "acq"), "'acq' must be KEY=VALUE"),
        (("--tfce",), "--tfce has no effect without --permute"),
        (("--model", "MODEL", "--formula", "~ 1"), "have no effect beside --model"),
        (("--model", "absent.json"), "does not exist"),
    ],
)
def test_options_that_do_not_go_together(
    raw: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    path = str(model_file(tmp_path))
    result = run_bids(raw, tmp_path / "out", *(path if text == "MODEL" else text for text in more))
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Model": {"Type": "anova", "X": [1]}}, "Model.Type 'anova' is not supported"),
        ({"GroupBy": []}, "pools the contrasts facesGtHouses, housesGtFaces"),
        (
            {"Model": {"X": [1, "group"]}},
            "'group', which holds text; code it by the transformation",
        ),
        ({"Model": {"X": [1, "iq"]}}, "no value for 'iq'"),
        (
            {"Contrasts": [{"Name": "a", "ConditionList": ["nose"], "Weights": [1], "Test": "t"}]},
            "ConditionList names 'nose', which the design does not have",
        ),
    ],
)
def test_models_that_are_refused(
    raw: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    """Before any image is read: here no image can be read."""
    unreadable = tmp_path / "raw"
    shutil.copytree(raw, unreadable)
    for path in unreadable.rglob("*_statmap.nii.gz"):
        path.write_text("no image")
    result = run_bids(unreadable, tmp_path / "out", "--model", model_file(tmp_path, **changes))
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_results_that_would_have_the_same_names_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "derivatives" / "fitlins"
    for subject in ("01", "02", "03", "04"):
        touch(root, effect(subject, contrast="faces"), effect(subject, contrast="facesAge"))
    rows = "".join(f"sub-0{i}\t{i * i}\n" for i in range(1, 5))
    (tmp_path / "participants.tsv").write_text(f"participant_id\tage\n{rows}")
    result = CliRunner().invoke(
        main, ["bids", str(root), str(tmp_path / "out"), "--model", str(model_file(tmp_path))]
    )
    assert result.exit_code == 1
    assert "would be written to the same files (contrast-facesage_...)" in result.output


def test_contrasts_of_a_model_that_differ_in_case_only(raw: Path, tmp_path: Path) -> None:
    contrasts = [
        {"Name": name, "ConditionList": ["age"], "Weights": [1], "Test": "t"} for name in ("c", "C")
    ]
    path = model_file(tmp_path, Contrasts=contrasts)
    result = run_bids(raw, tmp_path / "out", "--model", path, "--contrast", "facesGtHouses")
    assert result.exit_code == 1
    assert "the contrasts 'c' and 'C' would be written to the same files" in result.output
    assert "give them names in the Stats Model that differ" in result.output
    assert "NAME=EXPRESSION" not in result.output


def test_names_that_are_too_long_for_files_are_refused_first(raw: Path, tmp_path: Path) -> None:
    long = "n" * 260
    path = model_file(tmp_path, Name=long)
    result = run_bids(raw, tmp_path / "out", "--model", path, "--contrast", "facesGtHouses")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "folder of the Stats Model's node 'nnnn" in said
    assert "of 265 bytes, and a file system takes 255; give a shorter name" in said
    assert not (tmp_path / "out").exists()
    # With the entities of the maps, a label that would be short enough alone is too long.
    root = tmp_path / "derivatives" / "fitlins"
    entity = "acq-" + "a" * 70
    for subject in ("01", "02", "03", "04"):
        name = effect(subject, contrast="c" * 70).replace("_contrast-", f"_{entity}_contrast-")
        touch(root, name)
    result = CliRunner().invoke(
        main,
        [
            "bids",
            str(root),
            str(tmp_path / "out"),
            "--second-level-contrast",
            "m" * 50 + "=intercept",
        ],
    )
    assert result.exit_code == 1
    assert "a map of contrast 'mmmm" in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_a_folder(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("")
    result = run_bids(raw, tmp_path / "afile" / "out", *SUBJECT_LEVEL)
    assert result.exit_code == 1
    assert f"OUT '{tmp_path}/afile/out' cannot be a folder" in result.output
    assert f"'{tmp_path}/afile' is a file; give a folder" in result.output


def test_a_dry_run_writes_nothing(raw: Path, tmp_path: Path) -> None:
    result = bids_done(raw, tmp_path / "out", *SUBJECT_LEVEL, "--dry-run")
    assert "Dry run: no image was read." in result.output
    assert "-> task-faces_space-MNIColin27_contrast-facesGtHouses_..." in " ".join(
        result.output.split()
    )
    assert not (tmp_path / "out").exists()


def test_without_participants(raw: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone" / "derivatives" / "fitlins"
    shutil.copytree(raw / "derivatives" / "fitlins", lone)
    shutil.copy(raw / "mask.nii.gz", tmp_path / "lone")
    result = bids_done(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, "--dry-run")
    assert "12 subjects" in result.output
    assert "no participants.tsv" in result.output
    covariate = ("--formula", "~ age", "--second-level-contrast", "age")
    refused = run_bids(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, *covariate)
    assert refused.exit_code == 1
    assert "the design needs one (~ age); give --participants" in " ".join(refused.output.split())
    table = ("--participants", raw / "participants.tsv")
    bids_done(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, *covariate, *table, "--dry-run")


def test_participants_that_do_not_fit(raw: Path, tmp_path: Path) -> None:
    table = pd.read_csv(raw / "participants.tsv", sep="\t")
    few = tmp_path / "few.tsv"
    table[table["participant_id"] != "sub-03"].to_csv(few, sep="\t", index=False)
    refused = run_bids(raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", few)
    assert "maps without a row in the participants table: 03" in refused.output
    left = bids_done(
        raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", few, "--allow-partial", "--dry-run"
    )
    assert "11 subjects" in left.output
    twice = tmp_path / "twice.tsv"
    pd.concat([table, table[:1]]).to_csv(twice, sep="\t", index=False)
    refused = run_bids(raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", twice)
    assert "has several rows for" in refused.output


@pytest.mark.parametrize("place", [".", "node-subjectLevel/..", ".."])
def test_results_do_not_go_over_the_maps(raw: Path, place: str) -> None:
    root = raw / "derivatives" / "fitlins"
    result = run_bids(raw, root / place, *SUBJECT_LEVEL)
    assert result.exit_code == 1
    assert "is or holds the derivative" in result.output
    assert not (root / place / "log.txt").exists()


def test_results_do_not_go_over_another_data_set(raw: Path, tmp_path: Path) -> None:
    other = {"Name": "x", "GeneratedBy": [{"Name": "fMRIPrep"}]}
    path = write_json(tmp_path / "out" / "dataset_description.json", other)
    result = run_bids(raw, tmp_path / "out", *SUBJECT_LEVEL)
    assert result.exit_code == 1
    assert "is a data set made by fMRIPrep already" in result.output
    assert json.loads(path.read_text()) == other


def test_files_of_the_user_are_neither_replaced_nor_lost(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bids_done(raw, out, *SUBJECT_LEVEL)
    (mask,) = out.glob("*_mask.nii.gz")
    description = json.loads((out / "dataset_description.json").read_text())
    description["GeneratedBy"].append({"Name": "me"})
    write_json(out / "dataset_description.json", {**description, "Name": "Mine", "Authors": ["me"]})
    (out / ".bidsignore").write_text("mine*")
    bids_done(raw, out, *SUBJECT_LEVEL)
    found = json.loads((out / "dataset_description.json").read_text())
    assert found == {**description, "Name": "Mine", "Authors": ["me"]}
    assert (out / ".bidsignore").read_text().startswith("mine*\n*_statmap.nii.gz\n")
    for name, content in ((mask.name, b"mine"), (mask.name, None)):
        target = tmp_path / f"other{content is None}" / name
        target.parent.mkdir()
        if content is None:
            target = target.with_name(name.replace(".nii.gz", ".json"))
        target.write_bytes(b"mine")
        for more in ((), ("--overwrite",)):
            refused = run_bids(raw, target.parent, *SUBJECT_LEVEL, *more)
            assert refused.exit_code == 1
            assert f"OUT '{target.parent}' holds '{target.name}', which " in refused.output
            assert target.read_bytes() == b"mine"
            assert {path.name for path in target.parent.iterdir()} == {target.name, "log.txt"}


def test_an_f_test_of_one_row_is_not_permuted_as_t(raw: Path, tmp_path: Path) -> None:
    one = {"Name": "a", "ConditionList": ["age"], "Weights": [1], "Test": "F"}
    path = model_file(tmp_path, Contrasts=[one])
    result = run_bids(raw, tmp_path / "out", "--model", path, "--permute", "10")
    assert result.exit_code == 1
    assert "is an F test of one row, which cannot be permuted" in result.output
    assert not list((tmp_path / "out").rglob("*_statmap.nii.gz"))


def test_the_help_has_examples_that_are_understood(raw: Path, tmp_path: Path) -> None:
    text = CliRunner().invoke(main, ["bids", "--help"]).output
    examples = text.split("Examples\n")[1].split("Writes, each")[0]
    commands = re.sub(r"\\\s+", "", examples).strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        for option in re.findall(r"--[a-z-]+", command):
            assert option in text.split("Options:")[1]
