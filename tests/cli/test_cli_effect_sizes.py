# SPDX-License-Identifier: BSD-3-Clause
"""Effect sizes, Bayes factors and equivalence from the shell."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm import SecondLevelModel
from reference.shell import basic, make_study, run_fit, run_well, values_of

OPTIONS = (
    "--effect-sizes", "ci,cohen_d,partial_r2", "--bayes-factor", "--equivalence", "-0.4:0.5:d",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


def fit(study: Path, out: Path, *more: str) -> Any:
    return run_fit(
        study / "maps" / "sub-*_effect.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ C(group)", "--contrast", "diff=group[T.patient]",
        "--contrast", "both=group[T.patient]; intercept",
        "--mask", study / "mask.nii.gz", "--output", out, *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted(study: Path) -> Path:
    result = fit(study, study / "out", *OPTIONS, "--save-model")
    assert result.exit_code == 0, result.output
    assert "an F contrast has no ci, cohen_d, equivalence" in result.output
    return study / "out"


def test_maps_are_those_of_the_model(fitted: Path) -> None:
    model = SecondLevelModel.load(fitted / "model.groupglm")
    expected = {
        "cohenD": "cohen_d", "cohenDLow": "cohen_d_ci_low", "effectHigh": "ci_high",
        "partialR2High": "partial_r2_ci_high", "logBF10": "log_bayes_factor",
    }  # fmt: skip
    for kind, name in expected.items():
        path = fitted / f"contrast-diff_stat-{kind}_statmap.nii.gz"
        image = model.compute_contrast("group[T.patient]", output_type=name)
        np.testing.assert_allclose(values_of(path), image.get_fdata(), rtol=1e-6)
        facts = json.loads(path.with_suffix("").with_suffix(".json").read_text())
        assert facts["Values"] == kind
        assert ("Confidence" in facts) == ("ci" in name)
        assert ("Prior" in facts) == (kind == "logBF10")
    found = model.compute_equivalence("group[T.patient]", bounds=(-0.4, 0.5), units="cohen_d")
    for kind, name in (("p", "p_value"), ("decision", "decision")):
        path = fitted / f"contrast-diff_stat-{kind}_desc-equivalence_statmap.nii.gz"
        np.testing.assert_allclose(values_of(path), found[name].get_fdata(), rtol=1e-6)
        facts = json.loads(path.with_suffix("").with_suffix(".json").read_text())
        assert facts["Equivalence"] == {"Bounds": [-0.4, 0.5], "Units": "cohen_d", "Alpha": 0.05}


def test_f_contrasts_have_what_they_define(fitted: Path) -> None:
    there = {path.name.split("_")[1] for path in fitted.glob("contrast-both_*_statmap.nii.gz")}
    assert {"stat-partialR2", "stat-partialR2Low", "stat-partialR2High", "stat-logBF10"} <= there
    assert not {"stat-cohenD", "stat-effectLow", "stat-decision"} & there


def test_what_is_there_is_skipped_and_other_bounds_are_refused(study: Path, fitted: Path) -> None:
    again = fit(study, fitted, *OPTIONS, "--save-model")
    assert again.exit_code == 0, again.output
    assert "diff: effect sizes skipped, they are there already" in again.output
    other = fit(study, fitted, *OPTIONS[:-1], "-0.2:0.5:d", "--save-model")
    assert other.exit_code == 1
    assert "--overwrite" in other.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--equivalence", "0.5:-0.5"), "the lower bound first"),
        (("--equivalence", "0.1:0.5"), "a number below 0 and one above"),
        (("--equivalence", "-0.5:0.5:percent"), "two numbers around zero"),
        (("--equivalence", "0.5"), "two numbers around zero"),
        (("--equivalence", "a:b"), "'a:b'"),
        (("--effect-sizes", "cohens_d"), "'cohens_d' is none of ci, cohen_d"),
    ],
)
def test_wrong_options_are_refused(
    study: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = fit(study, tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--model", "unequal", "--variance-groups", "group", "--effect-sizes", "partial_r"),
            "'partial_r' is not defined for the model 'unequal variances'",
        ),
        (("--model", "robust", "--effect-sizes", "ci,cohen_d"), "take 'ci', or fit the model"),
        (("--model", "robust", "--bayes-factor"), "'log_bayes_factor' is not defined"),
        (("--model", "robust", "--equivalence", "-0.3:0.3:d"), "units of the data, without :d"),
    ],
)
def test_what_a_model_does_not_define_is_refused_before_the_maps_are_read(
    study: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = fit(study, tmp_path / "out", *options)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_the_methods_tell_what_is_in_the_files(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    out = tmp_path / "out"
    given = ("--effect-sizes", "ci,hedges_g", "--bayes-factor", "--equivalence", "-0.3:0.3:d")
    more = ("--correct", "bonferroni:0.05", "--small-volume", "0,0,0,30")
    run_well("fit", *basic(study, out, *given, *more, "--report", "--save-model"))
    text = (out / "methods.md").read_text(encoding="utf-8")
    assert "We mapped 95% intervals of effects at each place by itself and Hedges' g with" in text
    assert "(Hedges, 1981; Steiger, 2004)" in text
    assert "We mapped Bayes factors of an effect against none, with a Cauchy prior" in text
    assert "against bounds of \N{MINUS SIGN}0.3 and 0.3 of Cohen's d (Schuirmann, 1987" in text
    assert "corrected within a sphere of 30 mm around (0, 0, 0) mm; the thresholds above" in text
    assert "@article{Rouder2009," in (out / "methods.bib").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    run_well("report", out, "--output", page, "--correct", "bonferroni:0.05")
    paragraph = html.unescape(page.read_text(encoding="utf-8"))
    assert "and Hedges' g with 95% intervals" in paragraph
    assert "against bounds of \N{MINUS SIGN}0.3 and 0.3 of Cohen's d" in paragraph


def test_equivalence_that_no_contrast_defines_is_left_out(study: Path, tmp_path: Path) -> None:
    result = run_fit(
        study / "maps" / "sub-*_effect.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ C(group)", "--contrast", "both=group[T.patient]; intercept",
        "--model", "robust", "--equivalence", "-0.3:0.3:d", "--output", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "an F contrast has no equivalence" in result.output
