# SPDX-License-Identifier: BSD-3-Clause
"""``--contrasts``: lists of contrasts from files, as FSL, SPM and tables have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm.cli.results.names import read_json
from reference.shell import run, run_well, values_of

CON = """/ContrastName1\tage
/ContrastName2\tpatients > controls
/NumWaves\t3
/NumContrasts\t2

/Matrix
0 1 0
0 0 1
"""


def _options(study: Path, out: Path, *more: object) -> list[object]:
    return [
        study / "maps" / "sub-*_effect.nii.gz",
        "--participants",
        study / "participants.tsv",
        *("--formula", "~ age + C(group)", "--mask", study / "mask.nii.gz", "--output", out),
        *more,
    ]


def _z(folder: Path, name: str) -> Any:
    return values_of(folder / f"contrast-{name}_stat-z_statmap.nii.gz")


def test_contrasts_of_files_are_those_of_options(study: Path, tmp_path: Path) -> None:
    con, fts, out = tmp_path / "design.con", tmp_path / "design.fts", tmp_path / "out"
    con.write_text(CON)
    fts.write_text("/NumWaves 2\n/NumContrasts 1\n/Matrix\n1 1\n")
    vectors = tmp_path / "more.txt"
    vectors.write_text("mean at 40 = [1 40 0.5]\n")
    files = [each for path in (con, fts, vectors) for each in ("--contrasts", path)]
    said = run_well("fit", *_options(study, out, *files, "--contrast", "years=age")).output
    assert "patients > controls: t of C(group)[T.patient]" in said
    assert "F1: F of age; C(group)[T.patient]" in said
    given = ["--contrast", "age", "--contrast", "both=age; group[T.patient]"]
    given += ["--contrast", "mean at 40=Intercept + 40*age + 0.5*group[T.patient]"]
    run_well("fit", *_options(study, tmp_path / "own", *given))
    for name, own in (("age", "age"), ("years", "age"), ("f1", "both"), *[("meanAt40",) * 2]):
        np.testing.assert_array_equal(_z(out, name), _z(tmp_path / "own", own), name)
    facts = read_json(out / "contrast-f1_stat-z_statmap.json")
    assert facts is not None
    assert facts["Contrast"]["Weights"] == [[0, 1, 0], [0, 0, 1]]
    again = run_well("fit", *_options(study, out, *files)).output
    assert again.count("skipped, it is there already") == 4


def test_permute_takes_them_too(study: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "contrasts.tsv", tmp_path / "out"
    path.write_text("name\tgroup[T.patient]\tage\tintercept\nage\t0\t1\t0\n")
    options = ("--contrasts", path, "--n-perm", "20", "--one-sided")
    said = run_well("permute", *_options(study, out, *options)).output
    assert "age: t: smallest p" in said


@pytest.mark.parametrize(
    ("name", "content", "more", "told"),
    [
        ("a.con", CON.replace("0 1 0", "0 1"), [], "has 3 numbers, but there are 2 in the rows"),
        ("a.con", "/Matrix\n1 0\n", [], "has 2 numbers a contrast, but the design has 3 columns"),
        ("a.txt", "1 nan 0", [], "has 'nan' as number 2; give a finite number"),
        ("a.con", CON, ["--contrast", "age"], "several contrasts are called 'age'"),
        ("a.con", "/Matrix\n0 1 0\n", ["--contrast", "T1=age"], "be written to the same files"),
        ("SPM.mat", "MATLAB 5.0 MAT-file", [], "a binary file of MATLAB"),
        ("a.fts", "/Matrix\n1\n", [], "--contrasts design.con --contrasts design.fts"),
    ],
)
def test_wrong_files_are_told_before_images_are_read(
    study: Path, tmp_path: Path, name: str, content: str, more: list[str], told: str
) -> None:
    path, out = tmp_path / name, tmp_path / "out"
    path.write_text(content)
    refused = run("fit", *_options(study, out, "--contrasts", path, *more))
    assert refused.exit_code == 1
    assert told in refused.output
    assert not list(out.glob("*statmap*"))


def test_a_study_without_contrasts_is_refused(study: Path, tmp_path: Path) -> None:
    refused = run("fit", *_options(study, tmp_path / "out"))
    assert refused.exit_code == 2
    assert "Missing option '--contrast'" in refused.output
    assert "--contrasts reads a list" in refused.output


def test_the_file_of_contrasts_is_not_replaced(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = out / "design_matrix.tsv"
    path.write_text("name\tage\tintercept\tgroup[T.patient]\nage\t1\t0\t0\n")
    before = path.read_text()
    refused = run("fit", *_options(study, out, "--contrasts", path, "--overwrite"))
    assert refused.exit_code == 1
    assert path.read_text() == before


def test_a_contrast_that_the_design_cannot_estimate_is_refused(study: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 1 0 0")
    options = _options(study, tmp_path / "out", "--contrasts", path)
    options[4] = "~ age + I(2*age) + C(group)"
    refused = run("fit", *options)
    assert refused.exit_code == 1
    assert "contrast 't1' cannot be estimated" in refused.output


@pytest.mark.parametrize("contrast", ["0.5 = age", "0=age", "-2e-1=age"])
def test_a_number_before_the_equals_sign_is_no_name(contrast: str) -> None:
    refused = run("fit", "a.nii.gz", "--formula", "~ age", "--contrast", contrast, "--output", "a")
    assert refused.exit_code == 2
    assert f"write age = {contrast.partition('=')[0].strip()} to compare" in refused.output
