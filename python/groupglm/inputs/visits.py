# SPDX-License-Identifier: BSD-3-Clause
"""Several maps of a subject: their visits, and which row of the design belongs to which map."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.messages import argument
from groupglm.runtime.naming import counted, listed
from groupglm.tabular.labels import label_in_path, match_rows
from groupglm.tabular.visit_columns import RUN_WORDS, VISIT_LABELS, VISIT_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = [
    "match_maps",
    "refuse_other_visits",
    "visits_in_names",
    "visits_in_table",
    "warn_of_runs",
    "without_visits",
]

_SESSION = re.compile(r"(?:^|_)ses-([0-9A-Za-z]+)")
_RUN = re.compile(r"(?:^|_)run-(\d+)")


def _plain(label: object) -> str:
    """Return the label of a visit without ``ses-``."""
    return unicodedata.normalize("NFC", str(label).strip()).removeprefix("ses-")


def visits_in_table(table: pd.DataFrame, subjects: Sequence[str]) -> list[str] | None:
    """Return the visit of each row of a table of maps; None without such a column.

    A visit of which a subject has several maps has the run too, if the table has one.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"session_id": ["ses-a", "ses-a"], "run": [1, 2]})
    >>> visits_in_table(table, ["01", "01"])
    ['a run 1', 'a run 2']
    """
    found = _column(table, (*VISIT_LABELS, *VISIT_WORDS))
    if found is None or len(set(zip(subjects, found, strict=True))) == len(found):
        return found
    runs = _column(table, RUN_WORDS)
    if runs is None:
        return found
    return [f"{visit} run {run}" for visit, run in zip(found, runs, strict=True)]


def _column(table: pd.DataFrame, wanted: Sequence[str]) -> list[str] | None:
    """Return the labels in the first of some columns that a table has once, without gaps."""
    names = [str(name) for name in table.columns]
    for name in wanted:
        if names.count(name) == 1 and not table[name].isna().any():
            return [_plain(label) for label in table[name]]
    return None


def without_visits(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str] | None]:
    """Return a design without the column or the level of its index that holds visits, and these.

    Examples
    --------
    >>> import pandas as pd
    >>> design = pd.DataFrame({"age": [30, 31], "session_id": ["ses-1", "ses-2"]})
    >>> without_visits(design)
    (   age
    0   30
    1   31, ['1', '2'])
    """
    import pandas as pd

    names = list(frame.columns)
    for name in (*VISIT_LABELS, *VISIT_WORDS):
        is_label = name in VISIT_LABELS or (
            names.count(name) == 1 and not pd.api.types.is_numeric_dtype(frame[name].dtype)
        )
        if names.count(name) == 1 and is_label and not frame[name].isna().any():
            return frame.drop(columns=name), [_plain(label) for label in frame[name]]
    if isinstance(frame.index, pd.MultiIndex):
        for name in (*VISIT_LABELS, *VISIT_WORDS):
            if name in frame.index.names:
                found = [_plain(label) for label in frame.index.get_level_values(name)]
                return frame.droplevel(name), found
    return frame, None


def visits_in_names(paths: Sequence[Any], subjects: Sequence[str | None]) -> list[str] | None:
    """Return the visit of each file by the entity ``ses`` of its name, and ``run`` if it is needed.

    None if some name lacks them, or if a subject has two files of one visit.

    Examples
    --------
    >>> visits_in_names(["sub-01_ses-a_run-1.nii", "sub-01_ses-b_run-1.nii"], ["01", "01"])
    ['a', 'b']
    >>> visits_in_names(["sub-01_ses-a_run-1.nii", "sub-01_ses-a_run-2.nii"], ["01", "01"])
    ['a run 1', 'a run 2']
    >>> visits_in_names(["sub-01_ses-a.nii", "sub-01.nii"], ["01", "01"])
    """
    if not paths or any(path is None for path in paths):
        return None
    parts: list[list[str]] = []
    for words, search in (("", _SESSION), ("run ", _RUN)):
        found = [label_in_path(PurePath(str(path)), search) for path in paths]
        if not all(found):
            continue
        parts.append([f"{words}{label}" for label in found])
        visits = [" ".join(own) for own in zip(*parts, strict=True)]
        if len(set(zip(subjects, visits, strict=True))) == len(visits):
            return visits
    return None


def warn_of_runs(subjects: Sequence[str], visits: Sequence[str]) -> None:
    """Warn of several runs in several sessions of a subject, told by visits such as 'a run 1'.

    A random intercept takes any two maps of a subject to be alike. Runs of one session mostly are
    more so, and an effect of sessions then has less evidence than their number says.
    """
    sessions = [visit.rpartition(" run ")[0] for visit in visits]
    runs = Counter(zip(subjects, sessions, strict=True))
    n_sessions = Counter(subject for subject, _ in runs)
    torn = {subject: None for (subject, session), n in runs.items()
            if session and n > 1 and n_sessions[subject] > 1}  # fmt: skip
    if not torn:
        return
    warn_caller(
        f"{counted(len(torn), 'subject')} {'has' if len(torn) == 1 else 'have'} several runs in "
        f"several sessions, such as {in_quotes(next(iter(torn)))}: a random intercept takes runs "
        "of one session to be no more alike than runs of two, so that p of what differs between "
        "sessions is too small if they are; give one map a session (such as the mean of its runs), "
        "or " + argument("covariance", "sandwich")
    )


def refuse_other_visits(of_rows: Sequence[str], in_names: Sequence[str]) -> None:
    """Refuse rows that are of other visits than their images, if both have the same labels."""
    if len(of_rows) != len(in_names) or set(of_rows) != set(in_names):
        return
    for place, (own, name) in enumerate(zip(of_rows, in_names, strict=True), start=1):
        if own != name:
            raise ArgumentError.about(
                "design_matrix",
                f"image {place} of second_level_input is of visit {name!r}, as its name says, but "
                f"row {place} of design_matrix is of visit {own!r}",
                "bring both into one order",
            )


def match_maps(
    found: Sequence[str],
    wanted: Sequence[str],
    frame: pd.DataFrame,
    *,
    given: Sequence[int],
    row_visits: Sequence[str] | None = None,
    map_visits: Sequence[str] | None = None,
) -> list[int]:
    """Find the row of each map by the labels of subjects, of whom some may have several maps.

    The maps of such a subject are told apart by their visits, if maps and rows have them. Else rows
    must be in the order in which the maps were given, or those of a subject must be the same.

    Parameters
    ----------
    found, wanted : sequence of str
        The subject of each row, and of each map.
    frame : pandas.DataFrame
        The rows.
    given : sequence of int
        The number of each map among the maps as they were given.
    row_visits, map_visits : sequence of str, optional
        The visit of each row, and of each map.
    """
    rows, maps = Counter(found), Counter(wanted)
    if max(maps.values(), default=0) < 2 or set(rows) != set(maps):
        return match_rows(found, wanted, "design_matrix")
    if row_visits is not None and map_visits is not None:
        return _by_visit(found, wanted, row_visits, map_visits)
    uneven = [label for label in maps if rows[label] != maps[label]]
    if uneven:
        raise ArgumentError.about(
            "design_matrix",
            f"subject {uneven[0]!r} has {maps[uneven[0]]} maps, and design_matrix has "
            f"{rows[uneven[0]]} rows for it"
            + (f" ({len(uneven)} subjects are so)" if len(uneven) > 1 else ""),
            "give one row for each map",
        )
    as_given = [wanted[place] for place in sorted(range(len(given)), key=given.__getitem__)]
    if list(found) == as_given:
        return list(given)
    if _rows_are_alike(found, frame):
        first = {label: row for row, label in reversed(list(enumerate(found)))}
        return [first[label] for label in wanted]
    several = next(label for label in wanted if maps[label] > 1)
    raise ArgumentError.about(
        "design_matrix",
        f"subject {several!r} has several maps, and the rows of design_matrix are in another order "
        "than the maps: which row belongs to which map of a subject is not known",
        "bring both into one order, or give both the visit of each map: a column 'visit_label' of "
        "second_level_input and of design_matrix",
    )


def _rows_are_alike(labels: Sequence[str], frame: pd.DataFrame) -> bool:
    """Return whether all rows of each subject are the same."""
    seen: dict[str, tuple[Any, ...]] = {}
    rows = map(tuple, frame.to_numpy().tolist())
    return all(seen.setdefault(label, row) == row for label, row in zip(labels, rows, strict=True))


def _by_visit(
    found: Sequence[str],
    wanted: Sequence[str],
    row_visits: Sequence[str],
    map_visits: Sequence[str],
) -> list[int]:
    rows, maps = (
        list(zip(*own, strict=True)) for own in ((found, row_visits), (wanted, map_visits))
    )
    for what, pairs in (("design_matrix has several rows", rows), ("there are several maps", maps)):
        twice = [pair for pair, n in Counter(pairs).items() if n > 1]
        if twice:
            raise ArgumentError.about(
                "design_matrix", f"{what} for {_said(twice)}", "give each visit a label of its own"
            )
    absent, surplus = ([p for p in a if p not in set(b)] for a, b in ((maps, rows), (rows, maps)))
    told = [f"has no row for {_said(absent)}"] if absent else []
    told += [f"has rows without a map: {_said(surplus)}"] if surplus else []
    if told:
        raise ArgumentError.about(
            "design_matrix",
            f"design_matrix {'; '.join(told)}",
            "give one row for each map, with the same labels of visits",
        )
    place = {pair: row for row, pair in enumerate(rows)}
    return [place[pair] for pair in maps]


def _said(pairs: Sequence[tuple[str, str]]) -> str:
    return listed([f"visit {visit!r} of subject {subject!r}" for subject, visit in pairs])
