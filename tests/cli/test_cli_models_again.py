# SPDX-License-Identifier: BSD-3-Clause
"""Results of models with maps beside the effects: run again, replaced, saved, and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from groupglm import SecondLevelModel
from reference.shell import basic, run, run_fit, run_well, values_of
from reference.variance_study import make_variance_study

KINDS = {"--variances": "variance", "--weights": "weight", "--covariate": "grey"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_variance_study(tmp_path_factory.mktemp("study"))


def arguments_of(study: Path, out: Path, option: str, maps: Path) -> list[str | Path]:
    pattern = f"{maps / '*'}_{KINDS[option]}.nii.gz"
    given = f"grey={pattern}" if option == "--covariate" else pattern
    model = ("--model", "fixed") if option == "--variances" else ()
    return basic(study, out, option, given, *model)


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("--variances", "variance maps"),
        ("--weights", "maps of weights"),
        ("--covariate", "maps of covariates"),
    ],
)
def test_maps_beside_the_effects_are_input_too(
    study: Path, tmp_path: Path, option: str, what: str
) -> None:
    out = tmp_path / "out"
    maps = Path(shutil.copytree(study / "maps", tmp_path / "maps"))
    arguments = arguments_of(study, out, option, maps)
    run_well("fit", *arguments)
    again = run_well("fit", *arguments)
    assert again.output.count("skipped, it is there already") == 2
    assert "Computation" not in again.output
    kind = KINDS[option]
    shutil.copy(maps / f"sub-03_{kind}.nii.gz", maps / f"sub-04_{kind}.nii.gz")
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert f"holds results made from other {what}" in refused.output
    old = values_of(out / "contrast-age_stat-t_statmap.nii.gz")
    run_well("fit", *arguments, "--overwrite")
    assert np.any(values_of(out / "contrast-age_stat-t_statmap.nii.gz") != old)


def test_another_model_replaces_the_results_and_the_maps_of_the_first(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_well("fit", *arguments_of(study, out, "--variances", study / "maps"))
    assert (out / "stat-Q_statmap.nii.gz").exists()
    ols = basic(study, out)
    refused = run_fit(*ols)
    assert refused.exit_code == 1
    assert "with other settings (the model fixed effects then, ols now)" in refused.output
    run_well("fit", *ols, "--overwrite")
    assert not list(out.glob("stat-*"))
    back = run_fit(*arguments_of(study, out, "--variances", study / "maps"))
    assert "with other settings (the model ols then, fixed effects now)" in back.output


def test_a_map_that_is_read_is_no_place_for_a_result(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "sub-results"
    out.mkdir()
    for path in (study / "maps").glob("*_variance.nii.gz"):
        shutil.copy(path, out / path.name)
    taken = out / "sub-03_variance.nii.gz"
    link = out / "stat-Q_statmap.nii.gz"
    link.hardlink_to(taken)
    refused = run_fit(*arguments_of(study, out, "--variances", out))
    assert refused.exit_code == 1
    assert "stat-Q_statmap.nii.gz" in refused.output
    assert taken.exists()


@pytest.mark.parametrize("option", KINDS)
def test_a_saved_model_is_read_by_python_and_by_commands(
    study: Path, tmp_path: Path, option: str
) -> None:
    out = tmp_path / "out"
    run_well("fit", *arguments_of(study, out, option, study / "maps"), "--save-model")
    model = SecondLevelModel.load(out / "model.groupglm")
    assert model.model == ("fixed effects" if option == "--variances" else "ols")
    inside = values_of(study / "mask.nii.gz") > 0
    for kind, name in {"effect": "effect_size", "t": "stat", "z": "z_score"}.items():
        image = model.compute_contrast("age", output_type=name)
        expected = values_of(out / f"contrast-age_stat-{kind}_statmap.nii.gz")[inside]
        np.testing.assert_array_equal(np.asarray(image.dataobj)[inside], expected)
    facts = json.loads(run_well("info", out, "--json").output)
    assert facts["model"] == ("fixed effects" if option == "--variances" else "weighted")
    assert facts["columns"][-1] == ("grey" if option == "--covariate" else "C(group)[T.patient]")
    page = tmp_path / "page.html"
    contrast = "grey" if option == "--covariate" else "age"
    run_well("report", out / "model.groupglm", "--contrast", contrast, "--output", page)
    assert page.exists()
    t_map = out / "contrast-age_stat-t_statmap.nii.gz"
    mask = ("--mask", study / "mask.nii.gz", "--correct", "fpr:0.01", "--output")
    thresholded = run("threshold", t_map, *mask, tmp_path / "t.nii.gz")
    if option == "--variances":  # of infinite degrees of freedom: t is z, and beside it
        assert thresholded.exit_code == 1
        assert "give the map of z-scores beside it" in thresholded.output
    else:
        assert thresholded.exit_code == 0, thresholded.output
