# SPDX-License-Identifier: BSD-3-Clause
"""Which table a column is from, if rows of several tables are joined: for messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FILE_NAMES",
    "PARTICIPANTS",
    "columns_are",
    "has_not",
    "named_tables",
    "no_column_of",
    "table_of",
]

PARTICIPANTS = "the participants table"
"""What a table is called of which nothing else is known."""

FILE_NAMES = "the names of the maps"
"""Where the columns of subjects, sessions and runs come from that no table has."""

_KEY = "groupglm tables"


def named_tables(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a joined table that knows the table of each of its columns.

    Examples
    --------
    >>> import pandas as pd
    >>> joined = named_tables(pd.DataFrame({"dose": [1]}), {"dose": "the table of sessions"})
    >>> table_of(joined[["dose"]], "dose"), has_not(joined)
    ('the table of sessions', 'the table of sessions does not have')
    """
    named = frame.copy(deep=False)
    named.attrs[_KEY] = dict(columns)
    return named


def table_of(frame: pd.DataFrame, column: str) -> str:
    """Return the table of a column."""
    found: str = _known(frame).get(column, PARTICIPANTS)
    return found


def has_not(frame: pd.DataFrame) -> str:
    """Return the words for a column that no table has: ``the participants table does not have``."""
    tables = _tables(frame)
    if len(tables) == 1:
        return f"{tables[0]} does not have"
    return f"neither {' nor '.join(tables)} has"


def no_column_of(frame: pd.DataFrame) -> str:
    """Return the words for such a column: ``no column of the participants table``."""
    return f"no column of {' or of '.join(_tables(frame))}"


def columns_are(frame: pd.DataFrame) -> str:
    """Return the words before a list of all columns: ``Its columns are``."""
    return "Its columns are" if len(_tables(frame)) == 1 else "Their columns are"


def _known(frame: pd.DataFrame) -> Mapping[str, str]:
    known: Mapping[str, str] = frame.attrs.get(_KEY, {})
    return known


def _tables(frame: pd.DataFrame) -> list[str]:
    found = dict.fromkeys(_known(frame).values())
    return [name for name in found if name != FILE_NAMES] or [PARTICIPANTS]
