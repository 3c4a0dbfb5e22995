# SPDX-License-Identifier: BSD-3-Clause
"""Pages that commands write: all results of the run, or of a folder, are on them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from groupglm.cli import main
from reference.pages import Page
from reference.shell import basic, make_study, run_fit, values_of

N_PERM = 60
LOGP = "contrast-{}_stat-logp_desc-max{}_statmap.nii.gz"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study with everything."""
    study = make_study(tmp_path_factory.mktemp("study"))
    out = study / "results"
    more = ("--permute", str(N_PERM), "--tfce", "--correct", "fdr:0.2", "--report", "--save-model")
    done = run_fit(*basic(study, out, *more))
    assert done.exit_code == 0, done.output
    return out


def _smallest_p(results: Path, contrast: str, kind: str) -> float:
    return float(10.0 ** -np.nanmax(values_of(results / LOGP.format(contrast, kind))))


def _permutations_said(text: str, results: Path) -> None:
    page = Page(text)
    for contrast in ("age", "patientsGtControls"):
        for kind in ("T", "Tfce"):
            p = _smallest_p(results, contrast, kind)
            assert re.search(f"smallest corrected p is {re.escape(f'{p:.3g}')}, of z", page.text)
    assert "Permutation test of voxels" in page.text
    assert "Permutation test of threshold-free cluster enhancement" in page.text
    assert f"{N_PERM} permutations of images, both tails." in page.text
    assert "False discovery rate 0.2" in page.text
    assert "Winkler AM" in page.text


def test_fits_page_has_its_permutations(results: Path) -> None:
    _permutations_said((results / "report.html").read_text(encoding="utf-8"), results)


def test_more_permutations_make_the_page_anew(results: Path, tmp_path: Path) -> None:
    study = results.parent
    out = tmp_path / "results"
    shutil.copytree(results, out)
    more = ("--tfce", "--correct", "fdr:0.2", "--report", "--save-model")
    skipped = run_fit(*basic(study, out, "--permute", str(N_PERM), *more))
    assert "Report: skipped" in skipped.output
    again = run_fit(*basic(study, out, "--permute", str(N_PERM + 20), *more))
    assert again.exit_code == 0, again.output
    assert "Report: skipped" not in again.output
    assert f"{N_PERM + 20} permutations" in (out / "report.html").read_text(encoding="utf-8")


def _report(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_a_folders_page_has_what_its_sidecars_tell(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = _report(results, "--output", page)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    _permutations_said(text, results)
    said = json.loads(page.with_name("page.html.json").read_text())
    assert [one["Name"] for one in said["Contrasts"]] == ["age", "patients>controls"]
    assert said["Options"]["Correct"] == ["fdr:0.2"]
    assert "skipped, it is there already" in _report(results, "--output", page).output


def test_a_folders_page_keeps_the_extent_and_tails_of_its_corrections(
    results: Path, tmp_path: Path
) -> None:
    study, out = results.parent, tmp_path / "results"
    more = ("--correct", "fpr:0.05", "--save-model", "--cluster-threshold", "4", "--one-sided")
    assert run_fit(*basic(study, out, *more)).exit_code == 0
    page = tmp_path / "page.html"

    def options(*arguments: str) -> dict[str, Any]:
        result = _report(out, *arguments, "--output", page, "--overwrite")
        assert result.exit_code == 0, result.output
        said: dict[str, Any] = json.loads(page.with_name("page.html.json").read_text())["Options"]
        return said

    said = options()
    assert (said["Correct"], said["ClusterThreshold"], said["TwoSided"]) == (["fpr:0.05"], 4, False)
    found = json.loads(
        (out / "contrast-age_stat-z_desc-fpr0p05_statmap.json").read_text(encoding="utf-8")
    )
    assert f"z > {found['Threshold']:.3f}" in Page(page.read_text(encoding="utf-8")).text
    said = options("--cluster-threshold", "0", "--two-sided")
    assert (said["ClusterThreshold"], said["TwoSided"]) == (0, True)
    said = options("--correct", "fdr:0.1")  # of one's own: with the defaults
    assert (said["ClusterThreshold"], said["TwoSided"]) == (0, True)
    path = next(out.glob("contrast-patients*_desc-fpr0p05_statmap.json"))
    facts = json.loads(path.read_text())
    facts["Correction"]["ClusterThreshold"] = 9
    path.write_text(json.dumps(facts))
    result = _report(out, "--output", page, "--overwrite")
    assert result.exit_code != 0
    assert "cluster threshold: 4 in contrast-age" in result.output
    assert "give --cluster-threshold" in result.output


def test_a_folders_page_is_about_what_is_asked_for(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ("--contrast", "older=age", "--correct", "fpr:0.01", "--output", page)
    assert _report(results, *arguments).exit_code == 0
    text = Page(page.read_text(encoding="utf-8")).text
    assert "Contrast older" in text
    assert "patients>controls" not in text
    assert "Permutation" not in text
    assert "p < 0.01" in text


def test_a_folder_leaves_out_results_of_another_study(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    shutil.copytree(results, out)
    for path in out.glob("contrast-age_*.json"):
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, "DesignHash": "sha256:0"}))
    assert _report(out, "--output", tmp_path / "page.html").exit_code == 0
    text = Page((tmp_path / "page.html").read_text(encoding="utf-8")).text
    assert "Contrast patients>controls" in text
    assert "Contrast age" not in text


def test_a_folder_without_a_model_or_with_two_is_refused(results: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    none = _report(empty, "--output", tmp_path / "page.html")
    assert none.exit_code == 1
    assert "holds no saved model (*.groupglm); fit it with --save-model" in none.output
    for name in ("a", "b"):
        shutil.copy(results / "model.groupglm", empty / f"{name}.groupglm")
    two = _report(empty, "--output", tmp_path / "page.html")
    assert two.exit_code == 1
    assert "holds several models: a.groupglm, b.groupglm; give one of the files" in two.output
    assert not (tmp_path / "page.html").exists()
