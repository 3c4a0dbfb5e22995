# SPDX-License-Identifier: BSD-3-Clause
"""Tables with several maps a subject: which row of the design belongs to which map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupglm.inputs import make_cohort
from groupglm.inputs.visits import match_maps, visits_in_names, warn_of_runs, without_visits

# Visit by visit; subjects have 3, 2, 2 and 1 maps.
WHO = ["01", "02", "03", "04", "01", "02", "03", "01"]
SES = ["a", "a", "a", "a", "b", "b", "b", "c"]
DAY = np.array([0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 20.0])
SORTED = np.argsort(WHO, kind="stable")  # as a table is kept


def table(folder: Path, *, named: bool = False, **columns: Any) -> pd.DataFrame:
    files = []
    for place, (who, ses) in enumerate(zip(WHO, SES, strict=True)):
        name = f"sub-{who}_ses-{ses}.nii" if named else f"map{place}.nii"
        files.append(folder / name)
        files[-1].touch()
    own = {"subject_label": WHO, "map_name": "m", "effects_map_path": list(map(str, files))}
    return pd.DataFrame({**own, **columns})


def design(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"subject_label": WHO, "day": DAY, "one": 1.0, **columns})


def days(maps: pd.DataFrame, rows: pd.DataFrame) -> list[float]:
    cohort = make_cohort(maps, None, rows, has_visits=True)
    aligned = cohort.aligned(None)
    assert list(aligned.frame.columns) == ["day", "one"]
    assert aligned.subjects == sorted(WHO)
    found: list[float] = aligned.frame["day"].tolist()
    return found


def test_rows_in_the_order_of_the_maps_as_given(tmp_path: Path) -> None:
    assert days(table(tmp_path), design()) == DAY[SORTED].tolist()
    both = table(tmp_path).iloc[SORTED], design().iloc[SORTED]
    assert days(*both) == DAY[SORTED].tolist()


@pytest.mark.parametrize("order", [SORTED, np.arange(8)[::-1]], ids=["sorted", "reversed"])
def test_rows_in_another_order_are_refused(tmp_path: Path, order: Any) -> None:
    """Nothing says which row belongs to which visit."""
    with pytest.raises(ValueError, match=r"subject '01' has several maps, and .* another order"):
        days(table(tmp_path), design().iloc[order])


@pytest.mark.parametrize("of_rows", ["visit_label", "session_label", "session_id", "index"])
@pytest.mark.parametrize("of_maps", ["visit_label", "session", "visit", "names"])
def test_rows_and_maps_with_visits(tmp_path: Path, of_maps: str, of_rows: str) -> None:
    """In any order; ``ses-`` may be there or not."""
    shuffled = np.random.default_rng(3).permutation(8)
    columns = {} if of_maps == "names" else {of_maps: SES}
    maps = table(tmp_path, named=of_maps == "names", **columns)
    labelled = [f"ses-{ses}" for ses in SES]
    rows = design(**{"session_id" if of_rows == "index" else of_rows: labelled})
    if of_rows == "index":
        rows = rows.set_index(["subject_label", "session_id"])
    assert days(maps, rows.iloc[shuffled]) == DAY[SORTED].tolist()


def test_a_map_has_the_row_of_its_visit_in_any_order_of_the_table(tmp_path: Path) -> None:
    maps, rows = table(tmp_path, visit=SES), design(visit_label=SES)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(8)
        cohort = make_cohort(maps.iloc[order], None, rows, has_visits=True)
        files = cohort.given["effects_map_path"].tolist()
        place = [maps["effects_map_path"].tolist().index(file) for file in files]
        assert cohort.aligned(None).frame["day"].tolist() == DAY[place].tolist()


def test_rows_that_are_the_same_for_each_map_of_a_subject(tmp_path: Path) -> None:
    """Age and group of a subject are those of all its maps, in any order."""
    age = pd.Series({"01": 20.0, "02": 30.0, "03": 40.0, "04": 50.0})
    rows = design(day=age[WHO].to_numpy()).iloc[::-1]
    assert days(table(tmp_path), rows) == age[sorted(WHO)].tolist()


VISITS_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "twice": ({"visit_label": ["a", *SES[1:4], "a", *SES[5:]]}, "several rows for visit 'a'"),
    "another": ({"visit_label": [*SES[:-1], "d"]}, r"no row for visit 'c' of subject '01'.*'d' of"),
}


@pytest.mark.parametrize("case", VISITS_REFUSED)
def test_visits_that_do_not_match(tmp_path: Path, case: str) -> None:
    columns, wanted = VISITS_REFUSED[case]
    with pytest.raises(ValueError, match=wanted):
        days(table(tmp_path, visit=SES), design(**columns))
    with pytest.raises(ValueError, match=r"several maps for visit 'a' of subject '01'"):
        days(table(tmp_path, visit=["a"] * 8), design(visit_label=SES))


def test_numbers_of_rows_that_do_not_match(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"subject '03' has 2 maps, .* 1 rows for it"):
        days(table(tmp_path), design().drop(index=6))
    with pytest.raises(ValueError, match=r"subject '01' has 3 maps, .* 1 rows .*3 subjects are"):
        days(table(tmp_path), design().drop_duplicates("subject_label"))
    with pytest.raises(ValueError, match=r"has no row for 04"):
        days(table(tmp_path), design().query("subject_label != '04'"))


def test_a_numeric_column_of_visits_is_a_regressor(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"visit": [0.0, 1.0], "one": 1.0})
    frame, visits = without_visits(numbers)
    assert frame is numbers
    assert visits is None
    rows = design(visit=DAY / 10).drop(columns="day")
    cohort = make_cohort(table(tmp_path), None, rows, has_visits=True)
    assert cohort.first_design.columns.tolist() == ["one", "visit"]


def test_runs_of_sessions_are_warned_of() -> None:
    subjects, visits = ["01"] * 4, ["a run 1", "a run 2", "b run 1", "b run 2"]
    with pytest.warns(UserWarning, match="1 subject has several runs in several sessions.*'01'"):
        warn_of_runs(subjects, visits)
    for others in (["a", "b", "c", "d"], ["a run 1", "b run 1", "c run 1", "d run 1"]):
        warn_of_runs(subjects, others)  # a run each: nothing to say
    warn_of_runs(["01", "01", "02", "02"], ["a run 1", "a run 2"] * 2)  # one session each


def test_visits_in_names_tell_the_files_of_a_subject_apart() -> None:
    names = ["sub-1_ses-a_task-x.nii", "sub-1_ses-a_task-y.nii"]
    assert visits_in_names(names, ["1", "1"]) is None  # not by their visits
    assert visits_in_names(names, ["1", "2"]) == ["a", "a"]
    assert visits_in_names(["ses-1/m.nii", "ses-2/m.nii"], ["1", "1"]) == ["1", "2"]
    assert visits_in_names([None, "ses-2/m.nii"], ["1", "1"]) is None
    assert visits_in_names([], []) is None


@given(
    subjects=st.lists(st.integers(0, 5), min_size=2, max_size=30),
    seed=st.integers(0, 2**31),
)
def test_any_maps_and_rows_with_visits(subjects: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    who = [f"s{subject}" for subject in subjects]
    visits = [str(who[:place].count(own)) for place, own in enumerate(who)]
    frame = pd.DataFrame({"x": rng.normal(size=len(who))})
    order = rng.permutation(len(who))
    rows = match_maps(
        [who[place] for place in order],
        who,
        frame.iloc[order],
        given=list(range(len(who))),
        row_visits=[visits[place] for place in order],
        map_visits=visits,
    ) if len(set(who)) < len(who) else np.argsort(order).tolist()  # fmt: skip
    assert order[rows].tolist() == list(range(len(who)))
