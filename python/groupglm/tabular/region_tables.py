# SPDX-License-Identifier: BSD-3-Clause
"""Tables with one row a subject and one column a region: reading them, and their regions' names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError, in_quotes
from groupglm.runtime.naming import listed
from groupglm.runtime.paths import given_path
from groupglm.tabular.files import SEPARATORS, read_table
from groupglm.tabular.labels import LABEL, LABEL_COLUMNS, labelled
from groupglm.tabular.visit_columns import RUN_WORDS, VISIT_LABELS, VISIT_WORDS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "DEGREES",
    "TABLE_FILE",
    "RegionNames",
    "is_table_file",
    "naming_file",
    "read_regions",
    "refuse_repeated",
    "region_columns",
]

DEGREES = "groupglm_df"
"""The key, in the attributes of a table of maps, of the degrees of freedom of all its regions."""

TABLE_FILE = "groupglm_table_file"
"""The key, in the attributes of a table that was read here, of its file."""

_SHOWN = 5  # regions that a message names


@dataclass(frozen=True, eq=False)
class RegionNames:
    """The names of the regions of a table, each once.

    Parameters
    ----------
    names : sequence of str
        In the order of the table's columns.

    Examples
    --------
    >>> left, right = RegionNames(("V1", "V2")), RegionNames(("V2", "V1"))
    >>> left.difference(right), right.order_in(left)
    (None, array([1, 0]))
    >>> RegionNames(("V1", "V3")).difference(left)
    'it lacks the region V2, and has V3, which is not there'
    """

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The position of each region."""
        return {name: number for number, name in enumerate(self.names)}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.names,)

    def is_like(self, other: RegionNames) -> bool:
        """Return whether another table has the same regions in the same order."""
        return self is other or self.names == other.names

    def order_in(self, other: RegionNames) -> NDArray[np.intp]:
        """Return the position of each of these regions among those of another table."""
        return np.array([other.numbers[name] for name in self.names], np.intp)

    def difference(self, other: RegionNames) -> str | None:
        """Say which regions this table lacks of another, and has besides; None if neither."""
        if self.is_like(other) or self.numbers.keys() == other.numbers.keys():
            return None
        absent = [name for name in other.names if name not in self.numbers]
        more = [name for name in self.names if name not in other.numbers]
        told = []
        if absent:
            told.append(f"it lacks the region{'s' * (len(absent) > 1)} {listed(absent)}")
        if more:
            verb = "is" if len(more) == 1 else "are"
            it = "" if absent else "it "
            told.append(f"{it}has {listed(more)}, which {verb} not there")
        return ", and ".join(told)


def is_table_file(given: object) -> bool:
    """Return whether an object is the name of a table by its ending."""
    return isinstance(given, str | os.PathLike) and os.fspath(given)[-4:].lower() in SEPARATORS


def read_regions(given: Any, argument: str) -> pd.DataFrame:
    """Return a table of regions as a data frame, whose index is the subjects if they are known.

    Parameters
    ----------
    given : pandas.DataFrame, path, or sequence of pandas.Series
        One row a subject; each Series is a row.
    argument : str
        What messages call it.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return labelled(given)
    if is_table_file(given):
        path = given_path(argument, given)
        frame = _read_file(path, argument)
        with naming_file(path):
            return labelled(frame)
    items = list(given) if isinstance(given, list | tuple) else [given]
    for place, item in enumerate(items, start=1):
        if not isinstance(item, pd.Series):
            what = in_quotes(item) if is_table_file(item) else f"a {type(item).__name__}"
            raise ArgumentTypeError.about(
                argument,
                f"item {place} of {argument} is {what}, not a Series of the regions of a subject",
                "give one table of all subjects, a DataFrame or a file, with one row a subject and "
                "one column a region",
            )
    return _stacked(items, argument)


def _stacked(rows: Sequence[pd.Series[Any]], argument: str) -> pd.DataFrame:
    """Return rows of the same regions as one table; their names are the subjects, if all differ."""
    import pandas as pd

    first = RegionNames(tuple(map(str, rows[0].index)))
    for place, row in enumerate(rows, start=1):
        refuse_repeated(list(map(str, row.index)), f"item {place} of {argument}", argument)
        difference = RegionNames(tuple(map(str, row.index))).difference(first)
        if difference is not None:
            raise ArgumentError.about(
                argument,
                f"item {place} of {argument} has other regions than item 1: {difference}",
                "give each subject all regions, NaN where a value is missing",
            )
    subjects = [row.name for row in rows]
    known = all(isinstance(name, str) for name in subjects) and len(set(subjects)) == len(rows)
    index = pd.Index(subjects, name=LABEL) if known else pd.RangeIndex(len(rows))
    values = []
    for row in rows:
        own = RegionNames(tuple(map(str, row.index)))
        values.append(row.to_numpy() if own.is_like(first) else row.to_numpy()[first.order_in(own)])
    return pd.DataFrame(np.stack(values), index, list(first.names))


def _read_file(path: Path, argument: str) -> pd.DataFrame:
    called = in_quotes(path)
    if not path.is_file():
        raise ImageError(f"{path}: File not found: check the name of the table of {argument}")
    labels = (*LABEL_COLUMNS, *VISIT_LABELS, *VISIT_WORDS, *RUN_WORDS)
    frame = read_table(path, called, as_text=labels)
    if str(frame.columns[0]) == "Unnamed: 0":
        raise ArgumentError.about(
            argument,
            f"the first column of {called} has no name",
            "call it participant_id if it holds the subjects, and leave it out if it holds row "
            "numbers (to_csv(..., index=False))",
        )
    frame.attrs[TABLE_FILE] = str(path)
    return frame


def region_columns(table: pd.DataFrame) -> list[int]:
    """Return the positions of a table's columns that are regions, not the visit of a row."""
    others = {*LABEL_COLUMNS, *VISIT_LABELS, *VISIT_WORDS, *RUN_WORDS}
    return [place for place, name in enumerate(table.columns) if str(name) not in others]


@contextmanager
def naming_file(given: Any) -> Iterator[None]:
    """Have errors about a table that is in a file begin with the name of the file."""
    try:
        yield
    except ArgumentError as error:
        if is_table_file(given):
            error.args = (f"{in_quotes(os.fspath(given))}: " + error.args[0],)
        raise


def refuse_repeated(names: Sequence[str], called: str, argument: str) -> None:
    """Refuse regions of the same name; `called` is what messages call what has them."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ArgumentError.about(
            argument,
            f"{called} has the region {listed([repr(name) for name in twice], _SHOWN)} more than "
            "once",
            "give each region a name of its own",
        )
