# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids`` of derivatives with several sessions a subject."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, fit_repeated
from groupglm.bids import read_stats_model
from reference.bids import model_file
from reference.shell import run, run_well, values_of
from reference.visit_study import make_visit_study, rows_by_hand

STEM = "task-rest_contrast-a"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with participants.tsv, sub-*_sessions.tsv and derivatives/maps."""
    study = make_visit_study(tmp_path_factory.mktemp("visits") / "study")
    for path in (study / "maps").iterdir():
        subject, session, _ = path.name.split("_")
        folder = study / "derivatives" / "maps" / subject / session
        folder.mkdir(parents=True)
        name = f"{subject}_{session}_task-rest_contrast-a_stat-effect_statmap.nii.gz"
        shutil.copy(path, folder / name)
    return study


def given(study: Path, out: Path, *more: str | Path) -> list[str | Path]:
    maps = study / "derivatives" / "maps"
    return ["bids", maps, out, "--mask", study / "mask.nii.gz", *more]


def wanted(study: Path, **settings: Any) -> Any:
    paths, rows = rows_by_hand(study)
    patient = (rows["group"] == "patient").to_numpy(float)
    month = rows["month"].to_numpy()
    X = np.column_stack([np.ones(len(rows)), patient, month, patient * month])
    Y = np.array([values_of(Path(path)).ravel() for path in paths])
    return fit_repeated(X, Y, rows["participant_id"].tolist(), **settings).contrast([0, 0, 1, 0])


def check(out: Path, tested: Any) -> None:
    for kind, values in {"t": tested.stat, "z": tested.z_score}.items():
        own = values_of(out / f"{STEM}Month_stat-{kind}_statmap.nii.gz").ravel()
        np.testing.assert_allclose(own, values, rtol=2e-6, atol=2e-6, err_msg=kind)


def test_a_formula_with_a_random_part(study: Path, tmp_path: Path) -> None:
    more = ("--formula", "~ group * month + (1 | subject)", "--second-level-contrast", "month")
    done = run_well(*given(study, tmp_path / "out", *more))
    assert "Effect maps of 27 visits of 12 subjects (contrast a, task rest)" in done.output
    check(tmp_path / "out", wanted(study))
    facts = json.loads((tmp_path / "out" / f"{STEM}_stat-ICC_statmap.json").read_text())
    assert facts["NumberOfMaps"] == 27
    sources = json.loads((tmp_path / "out" / f"{STEM}_design.json").read_text())["Sources"]
    assert len(sources) == 27


@pytest.mark.parametrize(
    ("software", "settings"),
    [
        (None, {}),
        ({"df": "satterthwaite"}, {"df": "satterthwaite"}),
        ({"covariance": "sandwich", "adjustment": 2}, {"covariance": "sandwich", "adjustment": 2}),
    ],
)
def test_a_node_of_a_stats_model(
    study: Path, tmp_path: Path, software: Any, settings: dict[str, Any]
) -> None:
    model: dict[str, Any] = {"Type": "glm", "Formula": "1 + group * month + (1 | subject)"}
    if software is not None:
        model["Software"] = {"groupglm": {"model": "repeated measures", **software}}
    node = {"GroupBy": ["contrast"], "Model": model}
    contrast = {"Name": "month", "ConditionList": ["month"], "Weights": [1], "Test": "t"}
    file = model_file(tmp_path, **node, Contrasts=[contrast], DummyContrasts=None)
    run_well(*given(study, tmp_path / "out", "--model", file))
    check(tmp_path / "out" / "node-groupLevel", wanted(study, **settings))
    # The same node in Python, over a table with a row a map.
    read = read_stats_model(file)
    paths, rows = rows_by_hand(study)
    table = rows.set_index("participant_id")
    fitted = SecondLevelModel(study / "mask.nii.gz", model=read.group_model(table)).fit(
        paths, design_matrix=read.design_matrix(table).reset_index(drop=True)
    )
    z: Any = fitted.compute_contrast("month")
    np.testing.assert_allclose(
        np.asarray(z.dataobj).ravel(), wanted(study, **settings).z_score, rtol=2e-6, atol=2e-6
    )


def test_x_and_software_without_a_formula(study: Path, tmp_path: Path) -> None:
    own = {"groupglm": {"model": "repeated measures", "families": "family"}}
    node = {"Model": {"Type": "glm", "X": [1, "month"], "Software": own}}
    done = run_well(*given(study, tmp_path / "out", "--model", model_file(tmp_path, **node)))
    assert "Model: repeated measures (nested; degrees of freedom by kenward-roger)" in done.output


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"Type": "meta", "Formula": "1 + (1 | subject)"}, "which Model.Type 'meta' does not have"),
        (
            {"Formula": "1 + (1|subject)", "Software": {"groupglm": {"model": "ols"}}},
            'which the model \'ols\' does not have; write "model": "repeated measures"',
        ),
        ({"Formula": "1 + (month | subject)"}, "a random slope of 'month'"),
        ({"Formula": "1 + (1|subject) + (1|family)"}, "crossed random effects"),
        (
            {"X": [1], "Software": {"groupglm": {"covariance": "nested"}}},
            "has 'covariance', which the model 'ols' does not take",
        ),
        (
            {"Formula": "1 + (1|subject)", "Software": {"groupglm": {"covariance": "nested"}}},
            "which needs the column of families",
        ),
        (
            {"Formula": "1 + (1|family/subject)", "Software": {"groupglm": {"families": "family"}}},
            "names families too; give one of the two",
        ),
        (
            {"Formula": "1 + (1|subject)", "Software": {"groupglm": {"df": "naive"}}},
            "df is 'naive'",
        ),
        (
            {"Formula": "1 + (1|subject)", "Software": {"groupglm": {"visits": 3}}},
            "has visits 3; it must be the name of a column",
        ),
        (
            {"Formula": "1 + (1|subject)", "Software": {"groupglm": {"groups": "group"}}},
            "groups is given, but it has no effect",
        ),
    ],
)
def test_nodes_that_contradict_themselves(model: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="node 'group_level'") as refusal:
        read_stats_model(model_file(tmp_path, Model={"Type": "glm", **model}))
    assert told in str(refusal.value)


def test_several_maps_in_a_model_of_independent_ones_name_the_way_out(
    study: Path, tmp_path: Path
) -> None:
    refused = run(*given(study, tmp_path / "out"))
    assert refused.exit_code == 1
    told = " ".join(refused.output.split())
    assert "10 of 12 subjects have several effect maps, such as 01" in told
    assert "by --session 01, or fit all of them by --group-model repeated" in told


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~ month + (month | subject)", "has a random slope of 'month', which is not supported"),
        ("~ month + (1 | subject) + (1 | family)", "has crossed random effects"),
    ],
)
def test_random_parts_that_are_not_known_are_refused_first(
    formula: str, told: str, study: Path, tmp_path: Path
) -> None:
    more = ("--formula", formula, "--second-level-contrast", "month")
    refused = run(*given(study, tmp_path / "o", *more))
    assert refused.exit_code != 0
    assert told in " ".join(refused.output.split())


def test_the_time_of_a_table_goes_before_the_number_of_the_session(
    study: Path, tmp_path: Path
) -> None:
    own = tmp_path / "study"
    shutil.copytree(study, own)
    more = ("--formula", "~ time + (1 | subject)", "--second-level-contrast", "time")
    rows = rows_by_hand(study)[1]
    run_well(*given(own, tmp_path / "numbers", *more))
    for table in own.glob("sub-*/sub-*_sessions.tsv"):
        table.write_text(table.read_text().replace("month", "time", 1))
    run_well(*given(own, tmp_path / "months", *more))
    for name, wanted in (
        ("numbers", rows["session_id"].str[-2:].astype(float)),
        ("months", rows["month"]),
    ):
        path = tmp_path / name / f"{STEM}_design.tsv"
        found = pd.read_csv(path, sep="\t")["time"]
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("covariance", [(), ("--covariance", "sandwich")])
def test_runs_of_sessions_are_warned_of(study: Path, tmp_path: Path, covariance: Any) -> None:
    shutil.copytree(study, tmp_path / "study")
    for path in (tmp_path / "study" / "derivatives").rglob("*.nii.gz"):
        for run_id in (1, 2):
            shutil.copy(path, path.with_name(path.name.replace("_cont", f"_run-{run_id}_cont")))
        path.unlink()
    options = ("--formula", "~ month", "--second-level-contrast", "month", "--dry-run")
    more = ("--group-model", "repeated", *covariance)
    done = run_well(*given(tmp_path / "study", tmp_path / "out", *options, *more))
    told = "10 subjects have several runs in several sessions, such as '01'"
    assert (told in " ".join(done.output.split())) == (not covariance)
    one = run_well(*given(tmp_path / "study", tmp_path / "out", *options, *more, "--run", "1"))
    assert "several runs" not in one.output


def test_several_maps_of_one_visit(study: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(study, tmp_path / "study"))
    (path,) = (copied / "derivatives" / "maps").glob("sub-01/ses-01/*")
    shutil.copy(path, path.with_name(path.name.replace("-rest_", "-rest_acq-b_")))
    more = ("--formula", "~ group + (1 | subject)", "--second-level-contrast", "group")
    refused = run(*given(copied, tmp_path / "out", *more))
    assert refused.exit_code == 1
    told = " ".join(refused.output.split())
    assert "1 visit has several effect maps, such as sub-01_ses-01_task-rest_" in told
    assert "they differ in acq" in told


def test_a_long_table_gives_the_rows(study: Path, tmp_path: Path) -> None:
    more = ("--participants", study / "long.tsv", "--second-level-contrast", "month")
    formula = ("--formula", "~ group * month + (1 | subject)")
    run_well(*given(study, tmp_path / "out", *more, *formula))
    check(tmp_path / "out", wanted(study))
    table = pd.read_csv(study / "long.tsv", sep="\t").iloc[1:]
    table.to_csv(tmp_path / "less.tsv", sep="\t", index=False)
    less = ("--participants", tmp_path / "less.tsv", *more[2:], *formula)
    refused = run(*given(study, tmp_path / "o", *less))
    assert refused.exit_code == 1
    assert "maps without a row in the participants table" in " ".join(refused.output.split())
    left = run_well(*given(study, tmp_path / "o", *less, "--allow-partial", "--dry-run"))
    assert "Design: 26 maps of" in left.output


def test_rows_of_sessions_that_are_not_chosen_need_no_map(study: Path, tmp_path: Path) -> None:
    """A session that the options leave out has rows, whose maps nobody misses."""
    copied = Path(shutil.copytree(study, tmp_path / "study"))
    for path in (copied / "derivatives" / "maps").glob("sub-*/ses-01/*"):
        for run_label in ("1", "2"):
            other = path.name.replace("_task-rest_", f"_task-rest_run-{run_label}_")
            shutil.copy(path, path.with_name(other))
        path.unlink()
    formula = ("--formula", "~ month + run + (1 | subject)", "--second-level-contrast", "run")
    shown = run_well(*given(copied, tmp_path / "out", *formula, "--session", "01", "--dry-run"))
    n = len(list(copied.glob("sub-*/sub-*_sessions.tsv")))
    assert f"Design: {2 * n} maps of {n} subjects (2 a subject)" in " ".join(shown.output.split())


def test_the_file_of_sessions_with_a_wrong_row_is_named(study: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(study, tmp_path / "study"))
    path = copied / "sub-03" / "sub-03_sessions.tsv"
    table = pd.read_csv(path, sep="\t")
    more = ("--formula", "~ month + (1 | subject)", "--second-level-contrast", "month", "--dry-run")

    def told(changed: pd.DataFrame) -> str:
        changed.to_csv(path, sep="\t", index=False)
        refused = run(*given(copied, tmp_path / "out", *more))
        assert refused.exit_code == 1
        return " ".join(refused.output.split())

    twice = told(pd.concat([table, table.iloc[:1]]))
    assert f"the table of sessions '{path}' has several rows for 03_ses-01" in twice
    nameless = told(table.assign(session_id=["n/a", *table["session_id"][1:]]))
    assert f"the table of sessions '{path}' has a row of 03 without session_id" in nameless
    # Another name of the column is understood in every file.
    table.rename(columns={"session_id": "session"}).to_csv(path, sep="\t", index=False)
    run_well(*given(copied, tmp_path / "out", *more))
