# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm neurovault``: the fields of maps of a fit, and the intents of their headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import pandas as pd
import pytest

from reference.shell import basic, run, run_well

nib: Any = nibabel
MODALITY = ("--modality", "fMRI-BOLD")


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of noise that is rough


@pytest.fixture(scope="module")
def results(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    more = ("--contrast", "any=age; group[T.patient]", "--correct", "rft:0.05")
    run_well("fit", *basic(study, out, *more))
    return out


def _maps(results: Path, *names: str) -> list[Path]:
    return [results / f"contrast-{name}_statmap.nii.gz" for name in names]


def test_the_table_has_the_fields_and_words_of_neurovault(results: Path, tmp_path: Path) -> None:
    maps = _maps(results, "age_stat-t", "any_stat-F", "age_stat-z_desc-rft0p05", "age_stat-p",
                 "age_stat-effect", "age_stat-variance")  # fmt: skip
    out = tmp_path / "vault.tsv"
    arguments = ["neurovault", *maps, *MODALITY, "--output", out, "--json"]
    assert json.loads(run_well(*arguments).stdout)["status"] == "written"
    table = pd.read_csv(out, sep="\t", dtype=str, keep_default_na=False)
    assert table["file"].tolist() == [path.name for path in maps]
    assert table["map_type"].tolist() == [
        "T map", "F map", "Z map", "P map (given null hypothesis)", "univariate-beta map",
        "variance",
    ]  # fmt: skip
    assert set(table["modality"]) == {"fMRI-BOLD"}
    assert set(table["number_of_subjects"]) == {"12"}
    # 12 subjects less intercept, age and group.
    assert table["statistic_parameters"].tolist() == ["9", "2, 9", *["n/a"] * 4]
    assert table["is_thresholded"].tolist() == ["False", "False", "True", *["False"] * 3]
    assert table["contrast_definition"][0] == "age"
    facts = json.loads((results / "contrast-age_stat-t_statmap.json").read_text())
    (part,) = facts["Smoothness"]["Parts"]
    mean = sum(part["FWHM"]) / 3
    assert float(table["smoothness_fwhm"][0]) == pytest.approx(mean, rel=5e-3)
    assert set(json.loads((tmp_path / "vault.tsv.json").read_text())) >= set(table.columns) - {
        "description"
    }
    assert json.loads(run_well(*arguments).stdout)["status"] == "skipped"


def test_the_headers_have_the_intents_of_nifti(results: Path) -> None:
    intents = {
        name: nib.load(path).header.get_intent()[:2]
        for name, path in zip(
            ("t", "F", "z", "p"),
            _maps(results, "age_stat-t", "any_stat-F", "age_stat-z", "age_stat-p"),
            strict=True,
        )
    }
    assert intents == {
        "t": ("t test", (9.0,)), "F": ("f test", (2.0, 9.0)), "z": ("z score", ()),
        "p": ("p value", ()),
    }  # fmt: skip


def test_a_map_without_a_sidecar_and_other_data_are_refused(results: Path, tmp_path: Path) -> None:
    (source,) = _maps(results, "age_stat-t")
    alone = tmp_path / "alone.nii.gz"
    alone.write_bytes(source.read_bytes())
    out = ["--output", tmp_path / "vault.tsv"]
    refused = run("neurovault", alone, *MODALITY, *out)
    assert refused.exit_code == 1
    assert "has no sidecar alone.json" in refused.output
    surface = tmp_path / "a.func.gii"
    surface.write_bytes(b"<GIFTI/>")
    refused = run("neurovault", surface, *MODALITY, *out)
    assert refused.exit_code == 1
    assert "is no volume" in refused.output
    assert run("neurovault", source, *out).exit_code == 2
    assert not (tmp_path / "vault.tsv").exists()


def test_a_hostile_sidecar_makes_no_further_cell(tmp_path: Path, results: Path) -> None:
    (source,) = _maps(results, "age_stat-t")
    path = tmp_path / "a.nii.gz"
    path.write_bytes(source.read_bytes())
    facts = {
        "Values": "t", "Contrast": {"Name": "a\tb\nc", "Expression": ["x\ty"]}, "Smoothness": [1],
        "DegreesOfFreedom": {"Residual": "9\t9"}, "SoftwareVersions": 3,
        "NumberOfSubjects": "12\t12",
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(facts))
    run_well("neurovault", path, *MODALITY, "--output", tmp_path / "vault.tsv")
    lines = (tmp_path / "vault.tsv").read_text().splitlines()
    assert len(lines) == 2
    assert len({line.count("\t") for line in lines}) == 1
    table = pd.read_csv(tmp_path / "vault.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert table["number_of_subjects"].tolist() == table["statistic_parameters"].tolist() == ["n/a"]
    (tmp_path / "a.json").write_text(json.dumps({**facts, "Values": {"t": 1}}))
    refused = run("neurovault", path, *MODALITY, "--output", tmp_path / "other.tsv")
    assert refused.exit_code == 1
    assert "no sidecar a.json that tells what it holds" in refused.output
