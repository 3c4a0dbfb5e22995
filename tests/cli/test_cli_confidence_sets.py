# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm confidence-sets``: files, sidecars, and what is refused before the long work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm import SecondLevelModel
from reference.shell import basic, design_of, make_study, run, values_of

OPTIONS = ("--level", "0.4:d", "--level", "-0.01", "--n-bootstraps", "200", "--seed", "3")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


def sets(study: Path, out: Path, *more: str) -> Any:
    given = basic(study, out, *more)
    age = given.index("age")  # in units of which an effect is small
    return run("confidence-sets", *given[: age - 1], *given[age + 1 :])


@pytest.fixture(scope="module")
def made(study: Path) -> Path:
    result = sets(study, study / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert "with a confidence of 0.95" in result.output
    return study / "out"


def test_maps_are_those_of_the_model(study: Path, made: Path) -> None:
    paths, design = design_of(study)
    model = SecondLevelModel(study / "mask.nii.gz").fit(paths, design_matrix=design)
    cases: Any = (("CohenD0p4", 0.4, "cohen_d"), ("Effectm0p01", -0.01, "effect"))
    for label, level, units in cases:
        found = model.compute_confidence_sets(
            "patient", level=level, units=units, n_bootstraps=200, random_state=3
        )
        for name, image in found.items():
            stem = f"contrast-patientsGtControls_stat-confidenceSet_desc-{name}{label}_statmap"
            np.testing.assert_array_equal(values_of(made / f"{stem}.nii.gz"), image.get_fdata())
            facts = json.loads((made / f"{stem}.json").read_text())
            assert facts["Values"] == "confidenceSet"
            assert facts["ConfidenceSet"] == {
                "Level": level, "Units": units, "Alpha": 0.05, "NumberOfBootstraps": 200,
                "Seed": 3,
            }  # fmt: skip
            # The design by hand has the same columns up to rounding.
            assert facts["CriticalValue"] == pytest.approx(found.critical_value, rel=1e-5)
            assert facts["NumberOfPlaces"] == found.n_places[name]


def test_what_is_there_is_skipped_and_other_options_are_refused(study: Path, made: Path) -> None:
    again = sets(study, made, *OPTIONS, "--json")
    assert again.exit_code == 0, again.output
    summary = json.loads(again.stdout)
    assert {own["status"] for each in summary["contrasts"] for own in each["levels"]} == {"skipped"}
    other = sets(study, made, *OPTIONS, "--alpha", "0.1")
    assert other.exit_code == 1
    assert "--alpha 0.05 then, 0.1 now" in other.output
    redone = sets(study, made, *OPTIONS, "--alpha", "0.1", "--overwrite")
    assert redone.exit_code == 0, redone.output


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--level", "nan"), 2, "must be a number in units of the maps"),
        (("--level", "0.5:z"), 2, "must be a number in units of the maps"),
        (("--level", "0.5:"), 2, "must be a number in units of the maps"),
        ((), 2, "Missing option '--level'"),
        (("--level", "1", "--alpha", "1.5"), 2, "--alpha"),
        (("--level", "1", "--alpha", "0.001", "--n-bootstraps", "100"), 2, "too few for --alpha"),
        (("--level", "1", "--contrast", "both=age; group[T.patient]"), 1, "is an F test"),
        (("--level", "1", "--contrast", "half=age = 0.5"), 1, "compared with 0.5, but it is"),
        (("--level", "1e6"), 1, "--level is 1e+06, which the effect reaches at no place"),
    ],
)
def test_what_is_refused(study: Path, tmp_path: Path, more: Any, code: int, told: str) -> None:
    result = sets(study, tmp_path / "out", *more)
    assert result.exit_code == code
    assert told in " ".join(result.output.replace("│", " ").split())
    assert not list(tmp_path.glob("out/*confidenceSet*"))


def test_a_page_of_the_folder_draws_them(study: Path) -> None:
    out = study / "whole"
    fitted = run("fit", *basic(study, out), "--save-model")
    assert fitted.exit_code == 0, fitted.output
    found = sets(study, out, "--level", "0.4:d", "--n-bootstraps", "200", "--seed", "3")
    assert found.exit_code == 0, found.output
    page = study / "sets.html"
    written = run("report", out, "--output", page)
    assert written.exit_code == 0, written.output
    text = page.read_text()
    assert text.count("Where the effect is at least 0.4") == 1
    stem = "contrast-patientsGtControls_stat-confidenceSet_desc-upperCohenD0p4_statmap.json"
    n_places = json.loads((out / stem).read_text())["NumberOfPlaces"]
    assert f"{n_places:,} voxel" in text
    facts = json.loads(page.with_name("sets.html.json").read_text())
    assert facts["Options"]["Folder"]["ConfidenceSets"]["patients>controls"][0]["Level"] == 0.4
