# SPDX-License-Identifier: BSD-3-Clause
"""The visit of each map: the entities ``ses-`` and ``run-`` of its name, or columns of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groupglm.errors import ArgumentError
from groupglm.messages import argument
from groupglm.runtime.naming import counted, listed
from groupglm.spaces.map_files import MapFiles

__all__ = ["RUNS", "SESSIONS", "Visit", "VisitMaps", "maps_by_visit", "plain_run", "plain_session"]

SESSIONS = ("session_id", "session")
"""Columns of a table that hold sessions; the first is BIDS' name."""

RUNS = ("run_id", "run")
"""Columns of a table that hold runs."""

_SESSION = re.compile(r"(?<![0-9A-Za-z])ses-([0-9A-Za-z]+)")
_RUN = re.compile(r"(?<![0-9A-Za-z])run-([0-9A-Za-z]+)")
_SHOWN = 6


@dataclass(frozen=True)
class Visit:
    """Whose map a file is, and of which visit.

    Parameters
    ----------
    subject : str
        The label of the subject.
    session, run : str or None
        The labels of session and run, without ``ses-`` and ``run-``; None if the map has none.
    """

    subject: str
    session: str | None = None
    run: str | None = None

    @property
    def name(self) -> str:
        """The visit without the subject: ``ses-1_run-2``; empty if it is not named."""
        session = [] if self.session is None else [f"ses-{self.session}"]
        return "_".join([*session, *([] if self.run is None else [f"run-{self.run}"])])

    @property
    def label(self) -> str:
        """The visit with its subject: ``01_ses-1_run-2``."""
        return "_".join([self.subject, *filter(None, [self.name])])

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it is in the order of maps: by subject, session and run, 2 before 10."""
        return self.subject, _natural(self.session), _natural(self.run), self.label


def _natural(label: str | None) -> list[tuple[int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", label or "")
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


@dataclass(frozen=True, eq=False)
class VisitMaps:
    """The maps that a user means, each with its visit, sorted by these.

    Parameters
    ----------
    files : dict of str to MapFiles
        By subject; by subject and visit (``01_ses-1``) if a subject has several maps.
    visits : dict of str to Visit
        By the same labels.
    in_order : tuple of str
        The labels in the order in which the maps are given.
    """

    files: dict[str, MapFiles]
    visits: dict[str, Visit]
    in_order: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def several(self) -> bool:
        """Whether a subject has several maps."""
        return len({visit.subject for visit in self.visits.values()}) < len(self.visits)


def maps_by_visit(
    maps: Sequence[MapFiles],
    subjects: Sequence[str],
    what: str,
    *,
    given: Sequence[tuple[str | None, str | None]] | None = None,
    by_visit: bool = False,
    in_table: bool = False,
) -> VisitMaps:
    """Find the visit of each map; refuse two maps of one visit of a subject.

    Parameters
    ----------
    maps : sequence of MapFiles
        The maps.
    subjects : sequence of str
        The subject of each.
    what : str
        What the maps are given as, for messages.
    given : sequence of (str or None, str or None), optional
        Session and run of each, as a table says; by default those of its name, or of its folders.
    by_visit : bool
        Whether labels name the visit also if each subject has one map.
    in_table : bool
        Whether the maps are rows of one table.
    """
    if given is None:
        paths = [files.first for files in maps]
        given = [*zip(_entities(paths, _SESSION), _entities(paths, _RUN), strict=True)]
    visits = [
        Visit(subject, session, None if run is None else plain_run(run))
        for subject, (session, run) in zip(subjects, given, strict=True)
    ]
    by_visit |= len(set(subjects)) < len(subjects)
    labels = [visit.label if by_visit else visit.subject for visit in visits]
    found: dict[str, list[MapFiles]] = {}
    named = {}
    for visit, files in sorted(zip(visits, maps, strict=True), key=lambda pair: pair[0].place):
        label = visit.label if by_visit else visit.subject
        found.setdefault(label, []).append(files)
        named[label] = visit
    _refuse_same_visit(found, named, what, in_table=in_table)
    return VisitMaps({label: own[0] for label, own in found.items()}, named, tuple(labels))


def _entities(paths: Sequence[Path], search: re.Pattern[str]) -> list[str | None]:
    """Return an entity of each path: of its name, else of its nearest folder that has it."""
    names = [_last(search, path.name) for path in paths]
    if all(name is not None for name in names):
        return names
    folders = [_of_folder(search, path) for path in paths]
    if len(set(folders)) == 1:  # a folder above all maps says nothing of a visit
        return names
    return [name or folder for name, folder in zip(names, folders, strict=True)]


def _of_folder(search: re.Pattern[str], path: Path) -> str | None:
    folders = reversed(path.absolute().parts[:-1])
    return next((found for part in folders if (found := _last(search, part))), None)


def _last(search: re.Pattern[str], text: str) -> str | None:
    found = search.findall(text)
    return str(found[-1]) if found else None


def plain_session(label: object) -> str:
    """Return the label of a session without ``ses-``."""
    return str(label).strip().removeprefix("ses-")


def plain_run(label: object) -> str:
    """Return the label of a run without ``run-`` and without leading zeros, as an index has none.

    Examples
    --------
    >>> plain_run("run-01"), plain_run(2), plain_run(2.0), plain_run("b")
    ('1', '2', '2', 'b')
    """
    text = str(label).strip().removeprefix("run-").removesuffix(".0")
    return str(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else text


def _refuse_same_visit(
    found: Mapping[str, list[MapFiles]],
    visits: Mapping[str, Visit],
    what: str,
    *,
    in_table: bool,
) -> None:
    several = {label: files for label, files in found.items() if len(files) > 1}
    if not several:
        return
    label, files = next(iter(several.items()))
    shown = listed([str(file) for file in files], _SHOWN)
    subjects = {visits[label].subject for label in several}
    rows = "row" if in_table else "map"
    if in_table:
        remedy = "give each row a visit of its own, by columns session_id and run"
    else:
        remedy = (
            "give one map a visit (a narrower glob), or a "
            + argument("subject_pattern")
            + " that tells them apart"
        )
        if not visits[label].name:
            remedy = "name visits by ses- or run- in the names of files, " + remedy
    of = f" at {visits[label].name}" if visits[label].name else ""
    raise ArgumentError.about(
        "subject_pattern",
        ("" if what == "MAPS" else f"{what}: ")
        + f"{counted(len(subjects), 'subject')} {'has' if len(subjects) == 1 else 'have'} several "
        f"{rows}s{' of one visit' if of else ''}, such as {visits[label].subject}{of}"
        + ("" if in_table else f": {shown}"),
        remedy,
    )
