# SPDX-License-Identifier: BSD-3-Clause
"""The variables from which a design's columns were computed, stored with the design.

A design of ``poly(age, 2)`` has no column of ages, but the picture of the fit is drawn over age.
The ages are therefore stored with the design. They are found again by the values of the columns, so
that the order of the rows may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from groupglm.design.expressions import lexemes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["origins_of", "recorded_origins", "with_origins", "with_recorded", "words_in"]

_KEY = "groupglm_origins"
_PLAIN_CODES = frozenset((-1.0, 0.0, 1.0))  # of codings whose columns are named by levels
_MOST_VALUES = 1_000_000  # of a variable; pandas copies them with each copy of the design


def words_in(name: str) -> frozenset[str]:
    """Return the names in a column's name: ``age`` of ``poly(age, 2)[1]``; no text in quotes."""
    return frozenset(word.strip("`") for word in lexemes(name) if word[0] not in "\"'")


def with_origins(design: pd.DataFrame, table: pd.DataFrame, used: Iterable[str]) -> pd.DataFrame:
    """Store with a design the variables that cannot be read from its columns.

    Examples
    --------
    >>> import pandas as pd
    >>> design = pd.DataFrame({"np.log(age)": [3.0, 3.4], "dose": [1.0, 2.0]})
    >>> table = pd.DataFrame({"age": [20, 30], "dose": [1.0, 2.0]})
    >>> origins_of(with_origins(design, table, ["age", "dose"]))
    {'age': [20.0, 30.0]}
    """
    import pandas as pd

    names = [str(name) for name in design.columns]
    values = design.to_numpy(dtype=float)
    used = list(used)
    wanted = frozenset(used)
    found: dict[str, dict[str, Any]] = {}
    for variable in used:
        mentioned = [words_in(name) & wanted for name in names]
        places = [place for place, own in enumerate(mentioned) if own == {variable}]
        places = places or [place for place, own in enumerate(mentioned) if variable in own]
        column = table[variable]
        is_number = pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != bool
        if not places or (is_number and variable in names):
            continue
        if len(values) * len(places) > _MOST_VALUES:
            continue
        if not is_number and set(values[:, places].ravel().tolist()) <= _PLAIN_CODES:
            continue
        origin = [float(value) if is_number else str(value) for value in column]
        rows = [tuple(row) for row in values[:, places].tolist()]
        by_row = dict(zip(rows, origin, strict=True))
        if all(by_row[row] == value for row, value in zip(rows, origin, strict=True)):
            found[variable] = {
                "columns": [names[place] for place in places],
                "rows": [list(row) for row in by_row],
                "values": list(by_row.values()),
            }
    return with_recorded(design, found)


def with_recorded(design: pd.DataFrame, recorded: Mapping[str, Any]) -> pd.DataFrame:
    """Store with a design what `recorded_origins` has returned."""
    design.attrs[_KEY] = dict(recorded)
    return design


def recorded_origins(design: pd.DataFrame) -> dict[str, Any]:
    """Return the variables stored with a design, as lists and numbers; empty without any."""
    recorded = design.attrs.get(_KEY)
    return recorded if isinstance(recorded, dict) else {}


def origins_of(design: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the values of the variables stored with a design, one a row of the design.

    A variable is left out if the design's columns are no longer those with which it was stored.
    """
    found = {}
    for variable, kept in recorded_origins(design).items():
        if not set(kept["columns"]) <= set(design.columns):
            continue
        by_row = {
            tuple(row): value for row, value in zip(kept["rows"], kept["values"], strict=True)
        }
        rows = [tuple(row) for row in design[kept["columns"]].to_numpy(dtype=float).tolist()]
        if all(row in by_row for row in rows):
            found[variable] = [by_row[row] for row in rows]
    return found
