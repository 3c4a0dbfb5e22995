# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a table that group its rows: subjects, families, visits, groups."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groupglm.design.collinearity import quote_names
from groupglm.design.formula.code import find_column
from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.naming import listed
from groupglm.tabular.covariates import is_missing
from groupglm.tabular.labels import LABEL_COLUMNS, labelled, plain_label, row_labels
from groupglm.tabular.table_names import columns_are, no_column_of, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SUBJECT_COLUMNS", "grouping_labels", "rows_by_name", "with_subjects"]

SUBJECT_COLUMNS = ("subject", *LABEL_COLUMNS)
"""What a formula may call the labels of subjects, if the table has no such column."""

_MAX_SHOWN = 8


def rows_by_name(table: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a table in which subjects repeat names of their own, for messages.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"participant_id": ["01", "01", "02"], "time": [1, 2, 1]})
    >>> rows_by_name(table)[["time", "subject"]]
                time subject
    01 (row 1)     1      01
    01 (row 2)     2      01
    02             1      02
    """
    labels = row_labels(table.index, None, "the table")
    if labels is None:
        labels = row_labels(labelled(table).index, None, "the table")
    if labels is None:
        return table.set_axis([f"row {n}" for n in range(1, len(table) + 1)], axis="index")
    counts = Counter(labels)
    names = [
        label if counts[label] == 1 else f"{label} (row {n})"
        for n, label in enumerate(labels, start=1)
    ]
    return with_subjects(table.set_axis(names, axis="index"), labels)


def with_subjects(table: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Add the labels of the rows' subjects as a category, by each of its names that is free."""
    import pandas as pd

    plain = [plain_label(label) for label in labels]
    column = pd.Categorical(plain)
    free = [name for name in SUBJECT_COLUMNS if name not in table.columns]
    return table.assign(**dict.fromkeys(free, column))


def grouping_labels(table: pd.DataFrame, name: str, what: str) -> list[str]:
    """Return the labels in a column, one text a row; `what` names the column, in messages."""
    table = table.set_axis([str(name) for name in table.columns], axis="columns")
    column = table[_column(table, name, what)]
    absent = [str(row) for row in table.index[is_missing(column)]]
    if absent:
        raise ArgumentError.about(
            "table",
            f"{what} is {in_quotes(name)}, which has no value for {listed(absent, _MAX_SHOWN)}",
            "fill it in, or leave these rows and their images out",
        )
    return [_text(value) for value in column]


def _column(table: pd.DataFrame, name: str, what: str) -> str:
    """Return the column that is meant by a name; refuse what the table lacks, or has twice."""
    columns = list(table.columns)
    found = find_column(name, dict.fromkeys(columns))
    if found is None:
        close = difflib.get_close_matches(name[:200], columns, n=2)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ArgumentError.about(
            "table",
            f"{what} is {in_quotes(name)}, which is {no_column_of(table)}.{hint} "
            f"{columns_are(table)}: {quote_names(columns)}.",
        )
    if columns.count(found) > 1:
        raise ArgumentError.about(
            "table",
            f"{table_of(table, found)} has {columns.count(found)} columns that are called "
            f"{found!r}, which is {what}",
            "rename all but one",
        )
    return found


def _text(value: object) -> str:
    """Return a label as text: a whole number of a column with gaps is written without its .0."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
