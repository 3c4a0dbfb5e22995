# SPDX-License-Identifier: BSD-3-Clause
"""Tables and maps of several visits a subject that do not fit each other are refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm.cli.options.maps import collect_maps
from groupglm.cli.options.visits import Visit, maps_by_visit
from groupglm.cli.steps.visit_rows import match_visits
from groupglm.cli.steps.visit_tables import read_participant_rows, read_sessions, session_files
from groupglm.design.formula.building import fixed_design
from groupglm.design.formula.grouping import grouping_labels
from groupglm.spaces.map_files import MapFiles

pytestmark = pytest.mark.quick

LONG = pd.DataFrame(
    {
        "participant_id": ["sub-01", "sub-01", "sub-02", "sub-02", "sub-03"],
        "session_id": ["ses-1", "ses-2", "ses-1", "ses-2", "ses-1"],
        "age": [30, 31, 40, 41, 50],
    }
)
NAMES = ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1", "sub-02_ses-2", "sub-03_ses-1"]


def written(folder: Path, table: pd.DataFrame, name: str = "table.tsv") -> Path:
    table.to_csv(folder / name, sep="\t", index=False, na_rep="n/a")
    return folder / name


def touched(folder: Path, names: list[str]) -> list[Path]:
    paths = [folder / "maps" / f"{name}_effect.nii.gz" for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return paths


def matched(folder: Path, names: list[str], *tables: Any, allow_partial: bool = False) -> Any:
    touched(folder, names)
    maps = collect_maps([str(folder / "maps" / "**" / "*.nii.gz")], None, None)
    return match_visits(maps.files, maps.visits, tables, allow_partial=allow_partial)


def test_visits_are_sorted_by_number_and_named_by_what_they_have(tmp_path: Path) -> None:
    names = ["sub-02_ses-10", "sub-02_ses-9", "sub-01_run-02", "sub-01_run-1", "sub-03"]
    touched(tmp_path, names)
    maps = collect_maps([str(tmp_path / "maps" / "*")], None, None)
    assert list(maps.files) == ["01_run-1", "01_run-2", "02_ses-9", "02_ses-10", "03"]
    assert maps.visits["02_ses-10"] == Visit("02", "10", None)
    assert maps.several


def test_one_map_a_subject_is_labelled_by_the_subject(tmp_path: Path) -> None:
    touched(tmp_path, ["sub-02_ses-1", "sub-01_ses-1"])
    maps = collect_maps([str(tmp_path / "maps" / "*")], None, None)
    assert list(maps.files) == ["01", "02"]
    assert not maps.several


def test_visits_in_folders_count_unless_all_maps_are_there(tmp_path: Path) -> None:
    paths = [MapFiles((tmp_path / f"sub-01/ses-{n}/map.nii",)) for n in (1, 2)]
    assert list(maps_by_visit(paths, ["01", "01"], "MAPS").files) == ["01_ses-1", "01_ses-2"]
    paths = [MapFiles((tmp_path / f"ses-all/sub-0{n}/run-{n}_map.nii",)) for n in (1, 2)]
    found = maps_by_visit(paths, ["01", "02"], "MAPS").visits
    assert found["01"] == Visit("01", None, "1")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["sub-01_a", "sub-01_b"], r"1 subject has several maps, such as 01: .*name visits"),
        (["sub-01_ses-1_a", "sub-01_ses-1_b"], r"several maps of one visit, such as 01 at ses-1: "),
        (["sub-01_run-1", "sub-01_run-01"], "several maps of one visit, such as 01 at run-1"),
    ],
)
def test_maps_of_one_visit_are_refused_by_their_files(
    names: list[str], told: str, tmp_path: Path
) -> None:
    touched(tmp_path, names)
    with pytest.raises(ValueError, match=told) as refusal:
        collect_maps([str(tmp_path / "maps" / "*")], None, None)
    assert all(f"{name}_effect.nii.gz" in str(refusal.value) for name in names)


def test_a_table_of_maps_may_say_the_visits(tmp_path: Path) -> None:
    paths = touched(tmp_path, [f"x{i}" for i in range(4)])
    table = pd.DataFrame(
        {
            "subject_label": ["02", "01", "01", "02"],
            "map_name": "faces",
            "effects_map_path": [str(path) for path in paths],
            "session_id": ["ses-2", "1", "2", "ses-1"],
        }
    )
    maps = collect_maps([str(written(tmp_path, table))], None, None)
    assert [path.name[:2] for path in maps.files.values()] == ["x1", "x2", "x3", "x0"]
    assert list(maps.files) == ["01_ses-1", "01_ses-2", "02_ses-1", "02_ses-2"]
    for name in ("session_id",):
        again = written(tmp_path, table.drop(columns=name))
        with pytest.raises(ValueError, match=r"table of maps .*: 2 subjects have several maps"):
            collect_maps([str(again)], None, None)


def test_a_map_of_two_rows_is_refused_with_both(tmp_path: Path) -> None:
    table = read_participant_rows(written(tmp_path, LONG))
    assert table.by == ("session",)
    names = ["sub-01_run-1", "sub-01_run-2", *NAMES[2:]]
    with pytest.raises(ValueError, match="has no ses- in its name, and") as refusal:
        matched(tmp_path, names, table)
    told = str(refusal.value)
    assert "sub-01_run-1_effect.nii.gz' of subject 01" in told
    assert "rows by session: 01_ses-1, 01_ses-2; name the visit" in told


def test_several_runs_of_a_session_have_its_row(tmp_path: Path) -> None:
    table = read_participant_rows(written(tmp_path, LONG))
    names = [f"{name}_run-{run}" for name in NAMES for run in (1, 2)]
    found = matched(tmp_path, names, table).matched.participants
    assert found["age"].tolist() == [30, 30, 31, 31, 40, 40, 41, 41, 50, 50]
    assert found["run"].tolist() == [1, 2] * 5


def test_rows_by_run_and_session(tmp_path: Path) -> None:
    twice = pd.concat([LONG.assign(run=1), LONG.assign(run="02", age=LONG["age"] + 0.5)])
    table = read_participant_rows(written(tmp_path, twice))
    assert table.by == ("session", "run")
    names = [f"{name}_run-{run}" for name in NAMES for run in ("01", "2")]
    found = matched(tmp_path, names, table).matched.participants
    assert found["age"].tolist()[:4] == [30, 30.5, 31, 31.5]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop(columns="session_id"), "several rows for 01, 02; keep one row a subject"),
        (lambda t: t.assign(session_id="ses-1"), "several rows for 01_ses-1, 02_ses-1; keep one r"),
        (lambda t: t.replace("ses-2", None), "has a row of 01, 02 without session_id; fill it in"),
    ],
)
def test_rows_that_are_not_told_apart(change: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        read_participant_rows(written(tmp_path, change(LONG)))


def test_what_has_no_counterpart_is_refused_or_left_out(tmp_path: Path) -> None:
    table = read_participant_rows(written(tmp_path, LONG.replace("ses-2", "ses-02")))
    with pytest.raises(ValueError, match="maps without a row in") as refusal:
        matched(tmp_path, NAMES, table)
    told = str(refusal.value)
    assert "01_ses-2, 02_ses-2; rows of the participants table" in told
    assert "without a map: 01_ses-02, 02_ses-02; complete them, or add --allow-partial" in told
    assert "'01_ses-2' is near '01_ses-02'" in told
    found = matched(tmp_path, NAMES, table, allow_partial=True)
    assert list(found.visits) == ["01_ses-1", "02_ses-1", "03_ses-1"]
    assert len(found.matched.left_out) == 2


def test_a_column_of_both_tables_is_not_guessed(tmp_path: Path) -> None:
    of_subjects = pd.DataFrame({"participant_id": ["01", "02", "03"], "age": [1, 2, 3]})
    tables = (
        read_participant_rows(written(tmp_path, of_subjects, "participants.tsv")),
        read_sessions([written(tmp_path, LONG)]),
    )
    found = matched(tmp_path, NAMES, *tables)
    assert "age" not in found.matched.participants
    found.check_columns(["session"])
    with pytest.raises(ValueError, match="the column 'age' is in the participants table and in"):
        found.check_columns(["age"])


def test_tables_of_sessions_that_are_none(tmp_path: Path) -> None:
    path = written(tmp_path, LONG.drop(columns="participant_id"), "s.tsv")
    with pytest.raises(ValueError, match="no column 'participant_id', and no sub- is in its name"):
        read_sessions([path])
    path = written(tmp_path, LONG.drop(columns="session_id"))
    with pytest.raises(ValueError, match="has no column 'session_id'; its columns are 'partic"):
        read_sessions([path])
    with pytest.raises(ValueError, match=r"must be a \.tsv .tabs. or \.csv"):
        read_sessions([tmp_path / "x.json"])
    with pytest.raises(ValueError, match="is a folder without sub-"):
        session_files([str(tmp_path)], None)


@pytest.mark.parametrize("text", ["=1+1", "a\tb", "ses-1'; --", "\u200b", "x" * 5000, "${HOME}"])
def test_odd_labels_of_sessions_are_only_labels(text: str, tmp_path: Path) -> None:
    table = LONG.replace("ses-2", text)
    path = tmp_path / "long.csv"
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match="maps without a row"):
        matched(tmp_path, NAMES, read_participant_rows(path))


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~ month", "the table of sessions has no value for 'month' of subject 01_ses-2, which"),
        ("~ age", "the participants table has no value for 'age' of subjects 02_ses-1, 02_ses-2"),
        (
            "~ age + month",
            "the participants table has no value for 'age' of subjects 02_ses-1, 02_ses-2, and the "
            "table of sessions has no value for 'month' of subject 01_ses-2, which",
        ),
        ("~ place", "column 'place' of the table of sessions is 'x' for every subject"),
        ("~ site", "column 'site' of the participants table is 'a' for every subject"),
        ("~ dose", "column 'dose' of the table of sessions holds"),
        (
            "~ months",
            "names 'months', which neither the participants table nor the table of sessions has. "
            "Did you mean 'month'? Their columns are: ",
        ),
    ],
)
def test_errors_name_the_table_of_a_column(tmp_path: Path, formula: str, told: str) -> None:
    """Of sessions, or of participants; columns are checked after the tables are joined."""
    sessions = LONG[["participant_id", "session_id"]].assign(
        month=[1.0, np.nan, 2.0, 3.0, 4.0], place="x", dose=["1", "2", "3", "4", "five"]
    )
    people = pd.DataFrame({"participant_id": ["sub-01", "sub-02", "sub-03"]})
    people = people.assign(age=[1.0, np.nan, 3.0], site="a")
    found = matched(
        tmp_path,
        NAMES,
        read_participant_rows(written(tmp_path, people, "participants.tsv")),
        read_sessions([written(tmp_path, sessions, "sessions.tsv")]),
    )
    rows = found.matched.participants
    with pytest.raises(ValueError, match=re.escape(told)):
        fixed_design(formula, rows)
    with pytest.raises(ValueError, match=r"no column of the participants table or of the table of"):
        grouping_labels(rows, "visit", "--visits")
    alone = matched(tmp_path, NAMES, read_sessions([tmp_path / "sessions.tsv"])).matched
    with pytest.raises(ValueError, match="which the table of sessions does not have"):
        fixed_design("~ age", alone.participants)
