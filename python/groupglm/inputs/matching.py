# SPDX-License-Identifier: BSD-3-Clause
"""Match files of maps with the rows of a participants table by subject label, never by order."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.design.formula.used_columns import name_left_out
from groupglm.errors import ArgumentError, in_quotes
from groupglm.inputs.time_limit import time_limit
from groupglm.messages import argument
from groupglm.runtime.naming import counted, listed
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import check_file
from groupglm.spaces.map_files import MapFiles
from groupglm.tabular.covariates import missing_values
from groupglm.tabular.files import SEPARATORS, read_table
from groupglm.tabular.labels import (
    LABEL,
    SUBJECT_PATTERN,
    label_in_path,
    near_labels,
    near_words,
    plain_label,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Matched",
    "label_paths",
    "match_subjects",
    "read_participants",
    "read_rows",
    "subjects_of_paths",
]

_SECONDS = 5.0  # time to search for a pattern; a hundred thousand names take less than one
_ID_COLUMNS = ("participant_id", LABEL)


def read_participants(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a participants table.

    Parameters
    ----------
    path : path
        ``.tsv`` or ``.csv`` with a column ``participant_id`` (as in BIDS) or ``subject_label``.

    Returns
    -------
    pandas.DataFrame
        The other columns, indexed by subject label without ``sub-``; missing where the file has
        ``n/a`` or nothing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such table, or a subject has several rows or no label.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "participants.tsv"
    >>> _ = path.write_text("participant_id\tage\nsub-01\t31\nsub-02\tn/a\n")
    >>> read_participants(path)["age"].to_dict()
    {'01': 31.0, '02': nan}
    """
    frame = read_rows(path)
    repeated = sorted(label for label, n in Counter(frame.index).items() if n > 1)
    if repeated:
        raise ArgumentError.about(
            "path",
            f"participants table {in_quotes(path)} has several rows for {listed(repeated)}",
            "keep one row a subject",
        )
    return frame


def read_rows(
    path: str | os.PathLike[str],
    *,
    what: str = "participants table",
    as_text: Sequence[str] = (),
    label: str | None = None,
) -> pd.DataFrame:
    """Read a table as `read_participants` does, in which a subject may have several rows.

    `label`: the column that holds the labels if the usual one is not there; it stays a column.
    """
    import pandas as pd

    path = given_path("path", path)
    called = f"{what} {in_quotes(path)}"
    if path.suffix.lower() not in SEPARATORS:
        raise ArgumentError.about("path", f"{called} must be a .tsv (tabs) or .csv (commas) file")
    check_file(path, called)
    if not path.is_file():
        raise FileNotFoundError(f"{called} does not exist; give its path")
    own = () if label is None else (label,)
    frame = read_table(path, called, as_text=(*_ID_COLUMNS, *as_text, *own))
    column = next((name for name in (*_ID_COLUMNS, *own) if name in frame.columns), None)
    if column is None:
        raise ArgumentError.about(
            "path",
            f"{called} has no column 'participant_id' (or 'subject_label')",
            f"its columns are {', '.join(repr(str(name)) for name in frame.columns)}",
        )
    absent = frame[column].isna()
    if absent.any():
        row = frame[absent].iloc[0].dropna()
        holds = ", ".join(f"{name} {value}" for name, value in list(row.items())[:5])
        raise ArgumentError.about("path", f"{called}: the row that holds {holds} has no {column}")
    labels = [plain_label(each) for each in frame[column]]
    if column in _ID_COLUMNS:
        frame = frame.drop(columns=column)
    return frame.set_axis(pd.Index(labels, name=LABEL), axis=0)


def label_paths(paths: Sequence[Path], pattern: str = SUBJECT_PATTERN) -> dict[str, Path]:
    """Find the subject of each file; each has one."""
    found: dict[str, list[Path]] = {}
    for label, path in zip(subjects_of_paths(paths, pattern), paths, strict=True):
        found.setdefault(label, []).append(path)
    several = {label: files for label, files in found.items() if len(files) > 1}
    if several:
        label, files = next(iter(sorted(several.items())))
        raise ArgumentError.about(
            "subject_pattern",
            f"{counted(len(several), 'subject')} {'has' if len(several) == 1 else 'have'} several "
            f"maps, such as {label}: "
            f"{listed([str(file) for file in files])}",
            "give one map a subject (a narrower glob), "
            "or a " + argument("subject_pattern") + " that tells them apart",
        )
    return {label: found[label][0] for label in sorted(found)}


def subjects_of_paths(paths: Sequence[Path], pattern: str = SUBJECT_PATTERN) -> list[str]:
    """Return the subject of each file."""
    try:
        search = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ArgumentError.about(
            "subject_pattern",
            f"the subject pattern {pattern!r} is not a regular expression: {error}",
        ) from error
    places = [path.absolute() for path in paths]
    try:
        with time_limit(_SECONDS):
            labels = [label_in_path(place, search) for place in places]
    except TimeoutError:
        raise ArgumentError.about(
            "subject_pattern",
            f"the subject pattern {pattern!r} takes more than {_SECONDS:g} s to be searched for in "
            f"{len(places)} names",
            "write it without a repetition inside a repetition, as in (a+)+",
        ) from None
    without = [str(path) for path, label in zip(paths, labels, strict=True) if not label]
    if without:
        raise ArgumentError.about(
            "subject_pattern",
            f"no subject label is in {listed(without)}",
            f"the pattern is {pattern!r}: give another "
            "one, with the label in parentheses, by " + argument("subject_pattern"),
        )
    found = [label or "" for label in labels]
    broken = next((i for i, x in enumerate(found) if x != x.encode(errors="ignore").decode()), None)
    if broken is not None:
        raise ArgumentError.about(
            "subject_pattern",
            f"the subject label {found[broken]!r} of {in_quotes(paths[broken])} is not text in "
            "UTF-8, so no table can hold it",
            "rename the file",
        )
    return found


@dataclass(frozen=True, eq=False)
class Matched:
    """Maps and rows that belong together.

    Parameters
    ----------
    maps : dict of str to MapFiles
        The map of each subject, sorted by label.
    participants : pandas.DataFrame
        The row of each of these subjects, in the same order.
    left_out : tuple of str
        Maps and rows that were left out, in words.
    """

    maps: dict[str, MapFiles]
    participants: pd.DataFrame
    left_out: tuple[str, ...]

    def with_values(self, names: Iterable[str]) -> Matched:
        """Return the match without subjects that lack a value in some columns."""
        known = [name for name in dict.fromkeys(names) if name in self.participants.columns]
        absent = missing_values(self.participants, known)
        without = {label for labels in absent.values() for label in labels}
        if not without or len(without) == len(self.maps):  # all: the formula refuses
            return self
        kept = [label for label in self.maps if label not in without]
        return Matched(
            {label: self.maps[label] for label in kept},
            self.participants.loc[kept],
            (*self.left_out, f"subjects without a value for {name_left_out(absent)}"),
        )


def match_subjects(
    maps: dict[str, MapFiles],
    participants: pd.DataFrame,
    *,
    allow_partial: bool = False,
    noun: str = "participants table",
) -> Matched:
    """Bring maps and rows together."""
    rows = [str(label) for label in participants.index]
    maps_alone = sorted(set(maps) - set(rows))
    rows_alone = sorted(set(rows) - set(maps))
    both = sorted(set(maps) & set(rows))
    told = []
    if maps_alone:
        told.append(f"maps without a row in the {noun}: {listed(maps_alone)}")
    if rows_alone:
        told.append(f"rows of the {noun} without a map: {listed(rows_alone)}")
    near = near_words(near_labels(maps_alone, rows_alone))
    if not both:
        raise ArgumentError.about(
            "subject_pattern",
            f"no map belongs to a row of the {noun}; {'; '.join(told)}",
            "check the labels, or give a " + argument("subject_pattern") + near,
        )
    if told and not allow_partial:
        raise ArgumentError.about(
            "allow_partial",
            f"{'; '.join(told)}",
            "complete them, or add " + argument("allow_partial", True) + near,
        )
    if near:
        told[-1] += near
    return Matched({label: maps[label] for label in both}, participants.loc[both], tuple(told))
