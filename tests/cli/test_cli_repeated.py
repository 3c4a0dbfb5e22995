# SPDX-License-Identifier: BSD-3-Clause
"""Several maps a subject on the command line: which row of which table belongs to which map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm.cli.wording import as_options
from groupglm.errors import ArgumentError, renamed
from groupglm.messages import argument
from reference.shell import run, run_fit, run_well
from reference.visit_study import SUBJECTS, arguments, make_visit_study, rows_by_hand

FORMULA = "~ group * month + (1 | subject)"
TESTED = ("--formula", FORMULA, "--contrast", "month", "--covariance", "sandwich", "--dry-run")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_visit_study(tmp_path_factory.mktemp("visits") / "study")


def words(result: Any) -> str:
    return " ".join(str(result.output).split())


def shown(study: Path, out: Path, *more: str | Path) -> dict[str, Any]:
    """Return the summary of a dry run."""
    result = run_fit(*arguments(study, out, *more), "--json")
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.mark.parametrize(
    "tables",
    [
        ("--participants", "participants.tsv", "--sessions", "sessions.tsv"),
        ("--participants", "participants.tsv", "--sessions", "."),
        ("--participants", "participants.tsv", "--sessions", "sub-*/sub-*_sessions.tsv"),
        ("--participants", "long.tsv"),
        ("--sessions", "long.tsv"),
    ],
)
def test_rows_are_those_of_subject_and_session(
    study: Path, tmp_path: Path, tables: tuple[str, ...]
) -> None:
    given = [text if text.startswith("--") else study / text for text in tables]
    run_well("fit", *arguments(study, tmp_path / "out", *given, *TESTED[:-1]))
    found = pd.read_csv(tmp_path / "out" / "design_matrix.tsv", sep="\t", dtype={0: str})
    _, rows = rows_by_hand(study)
    assert found["subject_label"].tolist() == rows["participant_id"].str[4:].tolist()
    patient = (rows["group"] == "patient").to_numpy(float)
    month = rows["month"].to_numpy()
    wanted = np.column_stack([np.ones(len(rows)), patient, month, patient * month])
    np.testing.assert_array_equal(found.iloc[:, 1:], wanted)
    facts = json.loads((tmp_path / "out" / "design_matrix.json").read_text())
    assert facts["Rows"][:3] == ["01_ses-01", "01_ses-02", "02_ses-01"]
    assert (facts["NumberOfSubjects"], facts["NumberOfMaps"]) == (12, 27)


def test_the_preview_says_who_has_how_many_maps(study: Path, tmp_path: Path) -> None:
    table = ("--participants", study / "participants.tsv", "--sessions", study)
    told = words(run_well("fit", *arguments(study, tmp_path / "out", *table, *TESTED)))
    assert "Design: 27 maps of 12 subjects (1 to 3 a subject), 4 columns" in told
    assert "Maps by group: control 14, patient 13" in told
    assert "Model: repeated measures (sandwich, adjustment C2; degrees of freedom by satt" in told
    facts = shown(study, tmp_path / "out", *table, *TESTED)
    assert (facts["n_subjects"], facts["n_maps"]) == (12, 27)
    assert facts["subjects"] == SUBJECTS
    assert facts["maps"][:2] == ["01_ses-01", "01_ses-02"]
    assert facts["subjects_column"] == "subject"


def test_entities_are_columns_if_no_table_has_them(study: Path, tmp_path: Path) -> None:
    options = ("--contrast", "Intercept", "--covariance", "sandwich", "--dry-run")
    formula = "~ session + (1 | subject)"
    facts = shown(study, tmp_path / "o", "--formula", formula, *options)
    assert facts["columns"] == ["Intercept", "session[T.02]", "session[T.03]"]
    assert facts["levels"]["session"] == {"01": 12, "02": 10, "03": 5}
    runs = tmp_path / "runs"
    for name in ("run-{:02d}", "ses-month{}", "ses-{:02d}_run-1"):
        shutil.rmtree(runs, ignore_errors=True)
        make_visit_study(runs, entity=name)
        result = run_fit(
            *arguments(runs, tmp_path / "o", "--formula", "~ time + (1 | subject)", *options)
        )
        assert result.exit_code == 0, result.output
        assert "time is a slope over the numbers 1, 2, 3" in words(result), name


def test_a_column_of_a_table_is_not_replaced_by_an_entity(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "long.tsv", sep="\t").assign(time=lambda t: t["month"] / 12)
    table.to_csv(tmp_path / "long.tsv", sep="\t", index=False)
    more = ("--participants", tmp_path / "long.tsv", "--formula", "~ time + (1 | subject)")
    run_well("fit", *arguments(study, tmp_path / "o", *more, *TESTED[4:-1], "--contrast", "time"))
    found = pd.read_csv(tmp_path / "o" / "design_matrix.tsv", sep="\t")["time"]
    np.testing.assert_array_equal(found, rows_by_hand(study)[1]["month"] / 12)


def test_sessions_without_numbers_give_no_time(tmp_path: Path) -> None:
    study = make_visit_study(tmp_path / "study")
    for path in list((study / "maps").iterdir()):
        name = path.name
        for number, word in (("01", "pre"), ("02", "post"), ("03", "late")):
            name = name.replace(f"ses-{number}", f"ses-{word}")
        path.rename(path.with_name(name))
    options = ("--contrast", "Intercept", "--covariance", "sandwich", "--dry-run")
    refused = run_fit(
        *arguments(study, tmp_path / "o", "--formula", "~ time + (1 | subject)", *options)
    )
    assert refused.exit_code == 1
    told = words(refused)
    assert "the sessions in the names of the maps (late, post, pre) are no numbers; add a" in told
    facts = shown(study, tmp_path / "o", "--formula", "~ session + (1 | subject)", *options)
    assert facts["columns"] == ["Intercept", "session[T.post]", "session[T.pre]"]


@pytest.mark.parametrize("model", [(), ("--model", "ols"), ("--model", "unequal")])
def test_maps_of_a_subject_are_not_independent(
    study: Path, tmp_path: Path, model: tuple[str, ...]
) -> None:
    more = ("--participants", study / "participants.tsv", "--formula", "~ group")
    refused = run_fit(
        *arguments(study, tmp_path / "o", *more, "--contrast", "group", "--dry-run", *model)
    )
    assert refused.exit_code == 1
    told = words(refused)
    assert "10 of 12 subjects have several maps, such as 02: 02_ses-01, 02_ses-02" in told
    assert "Add '+ (1 | subject)' to --formula, which means --model repeated, or a column" in told


def test_columns_of_subjects_make_maps_independent(study: Path, tmp_path: Path) -> None:
    more = ("--formula", "~ 0 + subject + time", "--contrast", "time", "--dry-run")
    facts = shown(study, tmp_path / "o", *more)
    assert len(facts["columns"]) == 13
    assert facts["df_residual"] == 27 - 13
    assert "model" not in facts


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--model", "mixed"), "the formula has the random part (1 | subject), which --model mix"),
        (("--model", "ols"), "which --model ols does not have; give --model repeated, or leave"),
        (("--covariance", "nested"), "--covariance nested needs the column of families; give it"),
        (("--df", "naive"), "--df naive is no method of --covariance random-intercept, which has"),
        (("--covariance", "sandwich", "--df", "kenward-roger"), "which has satterthwaite, naive"),
        (
            ("--covariance", "sandwich", "--df", "approximate-3"),
            "no method of --covariance sandwich without --groups, which has satterthwaite, naive",
        ),
        (
            ("--covariance", "sandwich", "--groups", "group", "--df", "satterthwaite"),
            "no method of --covariance sandwich with --groups, which has approximate-3",
        ),
        (("--adjustment", "C3"), "--adjustment has no effect with --covariance random-intercept"),
        (("--groups", "group"), "--groups has no effect with --covariance random-intercept; give"),
        (("--covariance", "sandwich", "--families", "family"), "--families has no effect with"),
        (("--covariance", "ar1"), "'ar1' is not one of"),
        (("--variances", "v.nii"), "--variances has no effect with --model repeated"),
        (("--tau2", "ml"), "--tau2 has no effect with --model repeated"),
        (("--weights", "w.nii"), "--weights has no effect with --model repeated"),
        (("--variance-groups", "group"), "--variance-groups has no effect with --model repeated"),
        (("--covariate", "g=g.nii"), "--covariate has no effect with --model repeated"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "permute"])
def test_options_that_contradict_each_other(
    command: str, options: tuple[str, ...], told: str, study: Path, tmp_path: Path
) -> None:
    more = ("--formula", "~ time + (1 | subject)", "--contrast", "time", *options)
    refused = run(command, *arguments(study, tmp_path / "o", *more))
    assert refused.exit_code == 2, refused.output
    assert told in words(refused)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("formula", "options", "told"),
    [
        ("~ time", ("--covariance", "sandwich"), "--covariance has no effect with --model ols"),
        ("~ time", ("--visits", "month"), "--visits has no effect with --model ols; give --model"),
        ("~ time + (1 | family/subject)", ("--families", "family"), "names families, and --fam"),
        ("~ time + (1 | family/subject)", ("--covariance", "sandwich"), "has none; write (1 | su"),
    ],
)
def test_options_and_formulas_that_contradict_each_other(
    formula: str, options: tuple[str, ...], told: str, study: Path, tmp_path: Path
) -> None:
    more = ("--formula", formula, "--contrast", "time", *options)
    refused = run_fit(*arguments(study, tmp_path / "o", *more))
    assert refused.exit_code == 2, refused.output
    assert told in words(refused)


def test_groups_of_the_sandwich_are_its_own_option(study: Path, tmp_path: Path) -> None:
    """Groups of variances are another argument of that name."""
    table = pd.read_csv(study / "long.tsv", sep="\t", dtype=str)
    table["own"] = table["participant_id"]
    table.to_csv(tmp_path / "own.tsv", sep="\t", index=False)
    more = ("--participants", tmp_path / "own.tsv", "--formula", "~ month + (1 | subject)",
            "--contrast", "month", "--covariance", "sandwich", "--groups", "own")  # fmt: skip
    refused = run_fit(*arguments(study, tmp_path / "o", *more))
    assert refused.exit_code != 0
    assert "name visits alike, such as 'baseline', or leave --groups out" in words(refused)
    named = "leave " + argument("groups") + " out"
    error = ArgumentError("groups", "empty", remedy=named)
    with pytest.raises(ArgumentError) as caught, renamed(groups="sandwich_groups"):
        raise error
    assert as_options(caught.value, "fit") == "--groups is empty; leave --groups out"


def test_the_random_part_names_the_column_of_subjects(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "long.tsv", sep="\t", dtype=str)
    named = tmp_path / "named.tsv"
    table.rename(columns={"participant_id": "Subj"}).to_csv(named, sep="\t", index=False)
    designs = []
    for name, label, path in (("a", "subject", study / "long.tsv"), ("b", "Subj", named)):
        given = ("--participants", path, "--formula", f"~ group * month + (1 | {label})",
                 "--contrast", "month", "--covariance", "sandwich")  # fmt: skip
        run_well("fit", *arguments(study, tmp_path / name, *given))
        designs.append(pd.read_csv(tmp_path / name / "design_matrix.tsv", sep="\t", dtype=str))
    pd.testing.assert_frame_equal(designs[0], designs[1])
    refused = run_fit(*arguments(study, tmp_path / "o", "--participants", named, "--formula",
                                 "~ month", "--contrast", "month"))  # fmt: skip
    assert "has no column 'participant_id'" in words(refused)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--families", "family"), "by --exchangeability-blocks, with --block-permutation whole"),
        (("--covariance", "sandwich", "--groups", "group"), "no permutation test with --groups"),
    ],
)
def test_models_without_permutations_are_refused_before_the_fit(
    options: tuple[str, ...], told: str, study: Path, tmp_path: Path
) -> None:
    table = ("--participants", study / "long.tsv", "--formula", FORMULA, "--contrast", "month")
    for command in ("fit", "permute"):
        given = arguments(study, tmp_path / "o", *table, *options, "--n-perm", "20")
        refused = run(command, *given)
        assert refused.exit_code == 2, refused.output
        assert told in words(refused)
        assert not (tmp_path / "o").exists()
