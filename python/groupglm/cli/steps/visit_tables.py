# SPDX-License-Identifier: BSD-3-Clause
"""Tables with a row a subject or a row a visit, and the row of each map in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.visits import RUNS, SESSIONS, Visit, plain_run, plain_session
from groupglm.runtime.naming import listed
from groupglm.spaces.map_files import MapFiles
from groupglm.tabular.labels import label_in_path, plain_label
from groupglm.tabular.table_names import PARTICIPANTS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "VisitTable",
    "has_time",
    "read_participant_rows",
    "read_sessions",
    "session_files",
    "sessions_below",
]

_SESSION_TABLE = "the table of sessions"
_SHOWN = 8
_LONGEST_HEADER = 2**20  # bytes
_SESSION_FILES = re.compile(r"sub-[0-9A-Za-z]+_sessions\.tsv")


@dataclass(frozen=True, eq=False)
class VisitTable:
    """A table whose rows are found by subject, or by subject and visit.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns, in the order of `keys`.
    keys : list of tuple of str
        The subject of each row, then its session and run if `by` has them.
    by : tuple of str
        Which of "session" and "run" tell the rows of a subject apart.
    where : str
        The table, for messages.
    called : str
        What kind of table it is.
    """

    frame: pd.DataFrame
    keys: list[tuple[str, ...]]
    by: tuple[str, ...]
    where: str
    called: str = PARTICIPANTS

    @classmethod
    def of_rows(
        cls,
        frame: pd.DataFrame,
        where: str,
        *,
        needs_session: bool = False,
        called: str = PARTICIPANTS,
    ) -> VisitTable:
        """Find by which columns the rows of a table, indexed by subject, are told apart."""
        session = next((name for name in SESSIONS if name in frame.columns), None)
        run = next((name for name in RUNS if name in frame.columns), None)
        subjects = [str(label) for label in frame.index]
        columns: dict[str, str] = {}
        if needs_session or len(set(subjects)) < len(subjects):
            columns |= {} if session is None else {"session": session}
            if run is not None and len(set(_keys(frame, columns, where))) < len(subjects):
                columns["run"] = run
        keys = _keys(frame, columns, where)
        repeated = [key for key, n in Counter(keys).items() if n > 1]
        if repeated:
            shown = listed([_shown(key, tuple(columns)) for key in repeated], _SHOWN)
            remedy = (
                "keep one row a visit"
                if columns
                else "keep one row a subject, or add a column session_id that tells visits apart"
            )
            raise ValueError(f"{where} has several rows for {shown}; {remedy}")
        return cls(_with_categories(frame, columns), keys, tuple(columns), where, called)

    def chosen(self, labels: Mapping[str, Collection[str]]) -> VisitTable:
        """Return the rows of some subjects, sessions or runs.

        `labels` are those to keep, by "subject", "session" or "run"; a part that does not tell the
        rows apart chooses none.
        """
        parts = ("subject", *self.by)
        rows = [
            row
            for row, key in enumerate(self.keys)
            if all(own in labels.get(part, (own,)) for part, own in zip(parts, key, strict=True))
        ]
        keys = [self.keys[row] for row in rows]
        return VisitTable(self.frame.iloc[rows], keys, self.by, self.where, self.called)

    @property
    def visits(self) -> list[Visit]:
        """The visit of each row, in their order."""
        parts = [dict(zip(("subject", *self.by), key, strict=True)) for key in self.keys]
        return [Visit(own["subject"], own.get("session"), own.get("run")) for own in parts]

    def label(self, row: int) -> str:
        """Return a row's subject and visit, for messages."""
        return _shown(self.keys[row], self.by)

    def rows_of(
        self, visits: Mapping[str, Visit], files: Mapping[str, MapFiles]
    ) -> tuple[dict[str, int], list[str], list[str]]:
        """Find the row of each map.

        Returns
        -------
        rows : dict of str to int
            By the label of the map, for those that have one.
        maps_alone, rows_alone : list of str
            Labels of maps without a row, and of rows without a map.

        Raises
        ------
        ValueError
            If a map does not name what tells the rows of its subject apart.
        """
        place = {key: row for row, key in enumerate(self.keys)}
        rows, alone = {}, []
        for label, visit in visits.items():
            parts = {"session": visit.session, "run": visit.run}
            own = tuple(part for name in self.by if (part := parts[name]) is not None)
            if len(own) < len(self.by):
                self._refuse_ambiguous(visit, files[label])
            row = place.get((visit.subject, *own))
            if row is None:
                alone.append(label)
            else:
                rows[label] = row
        used = set(rows.values())
        return rows, alone, [self.label(row) for row in range(len(self.keys)) if row not in used]

    def _refuse_ambiguous(self, visit: Visit, file: MapFiles) -> None:
        """Refuse a map that could belong to several rows, or to none that is known."""
        own = [row for row, key in enumerate(self.keys) if key[0] == visit.subject]
        wanted = " and ".join({"session": "ses-", "run": "run-"}[name] for name in self.by)
        shown = listed([self.label(row) for row in own], _SHOWN)
        raise ValueError(
            f"the map '{file}' of subject {visit.subject} has no {wanted} in its name, and "
            f"{self.where} has rows by {' and '.join(self.by)}: {shown or 'none of this subject'}; "
            "name the visit in the file's name, or give a table with one row a subject"
        )


def _keys(frame: pd.DataFrame, columns: Mapping[str, str], where: str) -> list[tuple[str, ...]]:
    subjects = [str(label) for label in frame.index]
    parts = []
    for part, name in columns.items():
        lacks = frame[name].isna()
        absent = [subject for subject, lack in zip(subjects, lacks, strict=True) if lack]
        if absent:
            raise ValueError(
                f"{where} has a row of {listed(absent, _SHOWN)} without {name}; fill it in"
            )
        plain = plain_session if part == "session" else plain_run
        parts.append([plain(value) for value in frame[name]])
    return [*zip(subjects, *parts, strict=True)]


def _shown(key: tuple[str, ...], by: tuple[str, ...]) -> str:
    parts = dict(zip(by, key[1:], strict=True))
    return Visit(key[0], parts.get("session"), parts.get("run")).label


def _with_categories(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Make sessions categories, also where their labels are numbers."""
    import pandas as pd

    session = columns.get("session")
    if session is None:
        return frame
    return frame.assign(**{session: pd.Categorical([plain_session(x) for x in frame[session]])})


def read_participant_rows(
    path: Path, label: str | None = None, *, what: str = "participants table"
) -> VisitTable:
    """Read a participants table, with a row a subject or a row a visit.

    `label`: the column of the subjects in a formula's random part, if the table has no other.
    """
    from groupglm.inputs.matching import read_rows

    frame = read_rows(path, what=what, label=label)
    where = f"the {what} '{path}'"
    if frame.index.is_unique:
        return VisitTable.of_rows(frame, where, called=f"the {what}")
    frame = read_rows(path, what=what, as_text=(*SESSIONS, *RUNS), label=label)
    return VisitTable.of_rows(frame, where, called=f"the {what}")


def session_files(given: Sequence[str], files: Any) -> list[Path]:
    """Return the files that ``--sessions`` names; a folder stands for BIDS' files of its subjects.

    `files` finds the files of a path or a glob.
    """
    from groupglm.cli.options.paths import expand

    found: dict[Path, None] = {}
    for text in given:
        folder = expand(text)
        if text and folder.is_dir():
            own = sessions_below(folder)
            if not own:
                raise ValueError(
                    f"--sessions '{text}' is a folder without sub-*/sub-*_sessions.tsv; give the "
                    "BIDS data set, or a table with participant_id and session_id"
                )
            found.update(dict.fromkeys(own))
        else:
            found.update(dict.fromkeys(files(text, "--sessions")))
    return list(found)


def sessions_below(folder: Path) -> list[Path]:
    """Return the tables of sessions of a BIDS data set, a file a subject."""
    paths = sorted(folder.glob("sub-*/sub-*_sessions.tsv"))
    return [path for path in paths if _SESSION_FILES.fullmatch(path.name)]


def has_time(paths: Iterable[Path]) -> bool:
    """Return whether one of BIDS' tables of sessions has a column time."""
    for path in paths:
        with path.open("rb") as file:
            names = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace")
        if "time" in (name.strip() for name in names.split("\t")):
            return True
    return False


def read_sessions(paths: Iterable[Path]) -> VisitTable:
    """Read tables of sessions: one with participant_id, or BIDS' with one file a subject."""
    import pandas as pd

    paths = list(paths)
    frames = [_sessions_of(path) for path in paths]
    tables = [
        VisitTable.of_rows(
            frame, f"{_SESSION_TABLE} '{path}'", needs_session=True, called=_SESSION_TABLE
        )
        for frame, path in zip(frames, paths, strict=True)
    ]
    if len(tables) == 1:
        return tables[0]
    session = SESSIONS[0]
    frames = [
        frame if session in frame.columns else frame.rename(columns={SESSIONS[1]: session})
        for frame in frames
    ]
    where = f"{_SESSION_TABLE} in {len(paths)} files ('{paths[0]}', ...)"
    return VisitTable.of_rows(pd.concat(frames), where, needs_session=True, called=_SESSION_TABLE)


def _sessions_of(path: Path) -> pd.DataFrame:
    """Read one table of sessions, indexed by subject."""
    import pandas as pd

    from groupglm.inputs.matching import read_rows
    from groupglm.tabular.files import SEPARATORS, read_table
    from groupglm.tabular.labels import LABEL, LABEL_COLUMNS

    called = f"table of sessions '{path}'"
    if path.suffix.lower() not in SEPARATORS:
        raise ValueError(f"the {called} must be a .tsv (tabs) or .csv (commas) file")
    text = (*LABEL_COLUMNS, *SESSIONS, *RUNS)
    frame = read_table(path, called, as_text=text)
    if not set(SESSIONS) & set(frame.columns):
        raise ValueError(
            f"the {called} has no column 'session_id'; its columns are "
            f"{', '.join(repr(str(name)) for name in frame.columns)}"
        )
    if set(LABEL_COLUMNS) & set(frame.columns):
        return read_rows(path, what="table of sessions", as_text=text)
    subject = label_in_path(path)
    if not subject:
        raise ValueError(
            f"the {called} has no column 'participant_id', and no sub- is in its name; whose "
            "sessions are these?"
        )
    return frame.set_axis(pd.Index([plain_label(subject)] * len(frame), name=LABEL), axis=0)
