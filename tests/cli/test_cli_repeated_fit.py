# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit`` and ``permute`` of several maps a subject: numbers of the model in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import RepeatedMeasures, fit_repeated, non_parametric_inference
from groupglm.cli.options.repeated_measures import ADJUSTMENTS, COVARIANCES
from groupglm.models import repeated
from reference.shell import run_fit, run_well, values_of
from reference.visit_study import arguments, make_visit_study, rows_by_hand

FORMULA = "~ group * month + (1 | subject)"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_visit_study(tmp_path_factory.mktemp("visits") / "study")


def by_hand(study: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], pd.DataFrame]:
    """Return the design, the maps' values (n_maps, n_voxels), and the rows, from the files."""
    paths, rows = rows_by_hand(study)
    patient = (rows["group"] == "patient").to_numpy(float)
    month = rows["month"].to_numpy()
    X = np.column_stack([np.ones(len(rows)), patient, month, patient * month])
    return X, np.array([values_of(Path(path)).ravel() for path in paths]), rows


def found(out: Path, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = values_of(out / f"{name}_statmap.nii.gz").ravel()
    return values


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ((), {}),
        (("--df", "satterthwaite"), {"df": "satterthwaite"}),
        (
            ("--covariance", "sandwich", "--adjustment", "3", "--df", "naive"),
            {"covariance": "sandwich", "adjustment": 3, "df": "naive"},
        ),
        (
            ("--covariance", "sandwich", "--groups", "group", "--visits", "session_id"),
            {"covariance": "sandwich", "groups": "group", "visits": "session_id"},
        ),
        (("--families", "family"), {"covariance": "nested", "families": "family"}),
    ],
)
def test_maps_are_those_of_the_model(
    study: Path, tmp_path: Path, options: tuple[str, ...], settings: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    tested = ("--contrast", "month", "--contrast", "group=group; group[T.patient]:month")
    table = ("--participants", study / "long.tsv", "--formula", FORMULA)
    run_well("fit", *arguments(study, out, *table, *tested, *options))
    X, Y, rows = by_hand(study)
    own = {
        key: rows[value].tolist() if key in ("families", "visits", "groups") else value
        for key, value in settings.items()
    }
    fit = fit_repeated(X, Y, rows["participant_id"].tolist(), **own)
    for label, contrast, stat in (
        ("month", [0.0, 0, 1, 0], "t"),
        ("group", [[0.0, 1, 0, 0], [0, 0, 0, 1]], "F"),
    ):
        wanted = fit.contrast(np.array(contrast))
        for kind, values in {stat: wanted.stat, "z": wanted.z_score, "p": wanted.p_value}.items():
            # The maps are float32; the model reads what they hold.
            np.testing.assert_allclose(
                found(out, f"contrast-{label}_stat-{kind}"), values, rtol=2e-6, atol=2e-6
            )
    for name, kind in (
        ("intraclass_correlation", "ICC"),
        ("subject_variance", "subjectVariance"),
        ("residual_variance", "residualVariance"),
        ("family_variance", "familyVariance"),
    ):
        maps = fit.maps()
        if name in maps:
            np.testing.assert_allclose(
                found(out, f"stat-{kind}"), maps[name](), rtol=2e-6, atol=1e-7, err_msg=kind
            )
            said = json.loads((out / f"stat-{kind}_statmap.json").read_text())
            assert said["Values"] == kind
            assert said["Description"]
        else:
            assert not (out / f"stat-{kind}_statmap.nii.gz").exists()
    facts = json.loads((out / "contrast-month_stat-t_statmap.json").read_text())
    said = facts["Settings"]
    assert said["Model"] == "repeated measures"
    assert said["Covariance"] == settings.get("covariance", "random intercept")
    assert said["SubjectsColumn"] == "subject"
    assert said["DF"] == fit.model.df
    assert (facts["NumberOfSubjects"], facts["NumberOfMaps"]) == (12, 27)
    assert facts["DegreesOfFreedom"]["ResidualMap"] == "contrast-month_stat-dof_statmap.nii.gz"


def test_the_same_input_again_is_skipped_and_another_is_refused(
    study: Path, tmp_path: Path
) -> None:
    table = ("--participants", study / "long.tsv", "--formula", FORMULA, "--contrast", "month")
    given = arguments(study, tmp_path / "out", *table, "--save-model")
    run_well("fit", *given)
    assert "skipped, it is there already" in run_well("fit", *given).output
    shown = run_well("info", tmp_path / "out").output
    assert "covariance random intercept, df kenward-roger" in shown
    assert "subjects 12 of 27 images" in shown
    facts = json.loads(run_well("info", tmp_path / "out", "--json").output)
    assert len(facts["settings"]["subjects"]) == 27
    for more, told in (
        (("--df", "satterthwaite"), "--df kenward-roger then, satterthwaite now"),
        (("--covariance", "sandwich"), "--covariance random intercept then, sandwich now"),
        (("--visits", "session_id"), "made from another design"),
    ):
        refused = run_fit(*given, *more)
        assert refused.exit_code == 1
        assert told in " ".join(refused.output.split())


def test_permutations_are_those_of_the_function(study: Path, tmp_path: Path) -> None:
    table = ("--participants", study / "long.tsv", "--formula", "~ group + (1 | subject)")
    tested = ("--contrast", "group=group[T.patient]", "--n-perm", "30", "--seed", "3")
    run_well("permute", *arguments(study, tmp_path / "out", *table, *tested))
    X, _, rows = by_hand(study)
    wanted: Any = non_parametric_inference(
        rows_by_hand(study)[0],
        design_matrix=pd.DataFrame(X[:, :2], columns=["Intercept", "group"]),
        second_level_contrast="group",
        model=RepeatedMeasures(subjects=rows["participant_id"].tolist()),
        mask=study / "mask.nii.gz",
        n_perm=30,
        two_sided_test=True,
        random_state=3,
    )
    np.testing.assert_allclose(
        found(tmp_path / "out", "contrast-group_stat-logp_desc-maxT"),
        np.asarray(wanted.dataobj).ravel(),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("covariance", "words"),
    [
        ("sandwich", "20 samples of a wild bootstrap"),
        ("random-intercept", "20 permutations"),
    ],
)
def test_every_word_says_what_was_rearranged(
    study: Path, tmp_path: Path, covariance: str, words: str
) -> None:
    table = ("--participants", study / "long.tsv", "--formula", FORMULA, "--contrast", "month")
    more = ("--covariance", covariance, "--n-perm", "20", "--report", "--save-model")
    told = run_well("fit", *arguments(study, tmp_path / "out", *table, *more)).output
    assert f"({words})" in told
    run_well("report", tmp_path / "out", "--output", tmp_path / "again.html")
    for page in (tmp_path / "out" / "report.html", tmp_path / "again.html"):
        text = page.read_text(encoding="utf-8")
        assert f"{words}" in text
        assert "20 sign flips" not in text
    facts = json.loads(
        (tmp_path / "out" / "contrast-month_stat-logp_desc-maxT_statmap.json").read_text()
    )
    assert facts.get("WildBootstrap", False) is (covariance == "sandwich")


def test_the_options_are_those_of_the_model() -> None:
    assert COVARIANCES == repeated.COVARIANCES
    assert tuple(map(str, repeated.ADJUSTMENTS)) == ADJUSTMENTS
    assert RepeatedMeasures().covariance == next(iter(COVARIANCES))
