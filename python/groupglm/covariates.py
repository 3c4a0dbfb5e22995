# SPDX-License-Identifier: BSD-3-Clause
"""Covariates of subjects, before a design is made of them: what is not what it seems is refused.

Formulas, confounds and Stats Models all begin here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["check_covariates", "is_missing", "is_text", "level_counts", "missing_values", "tidied"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+,\d+")
_MAX_SHOWN = 8


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Return covariates without what has no meaning.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a subject.

    Returns
    -------
    pandas.DataFrame
        A copy. Categories lose the levels that nobody has, which would be empty columns; objects
        that are all numbers become numbers; entries of blanks alone are missing.
    """
    import pandas as pd

    columns: list[pd.Series[Any]] = [_tidied(table.iloc[:, j]) for j in range(table.shape[1])]
    if not columns:
        return table.copy()
    return pd.concat(columns, axis="columns")


def _tidied(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        unused: pd.Series[Any] = column.cat.remove_unused_categories()
        return unused
    absent = is_missing(column)
    if pd.api.types.is_object_dtype(column.dtype):
        present = column[~absent]
        if len(present) and all(isinstance(v, Real) and not isinstance(v, bool) for v in present):
            return column.astype(np.float64)
    return column.mask(absent) if is_text(column) and absent.any() else column


def is_text(column: pd.Series[Any]) -> bool:
    """Tell whether a column is a category unless it is declared otherwise: text, or pandas' own."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        return True
    return pd.api.types.is_object_dtype(dtype) and any(isinstance(v, str) for v in column)


def is_missing(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Tell where a column has no value, or blanks alone."""
    absent: NDArray[np.bool_] = column.isna().to_numpy(dtype=bool)
    if is_text(column):
        absent = absent | np.array([isinstance(v, str) and not v.strip() for v in column])
    return absent


def missing_values(table: pd.DataFrame, names: Iterable[str]) -> dict[str, list[str]]:
    """Return which subjects have no value, by column.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a subject, with the labels as index.
    names : iterable of str
        Columns.

    Returns
    -------
    dict of str to list of str
        Only of columns that lack a value.
    """
    found = {name: [str(x) for x in table.index[is_missing(table[name])]] for name in names}
    return {name: labels for name, labels in found.items() if labels}


def level_counts(column: pd.Series[Any]) -> dict[str, int]:
    """Return the number of subjects at each level, in sorted or declared order.

    Parameters
    ----------
    column : pandas.Series
        A category.

    Returns
    -------
    dict of str to int
        Of the levels that occur.
    """
    import pandas as pd

    counts = Counter(column[~is_missing(column)].tolist())
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [level for level in column.cat.categories.tolist() if level in counts]
    else:
        levels = sorted(counts, key=lambda level: (isinstance(level, str), level))
    return {str(level): counts[level] for level in levels}


def check_covariates(
    table: pd.DataFrame, where: str, *, declared: Collection[str] = (), to_declare: str
) -> None:
    """Refuse columns of text that are meant as numbers, and levels that are one.

    Parameters
    ----------
    table : pandas.DataFrame
        The columns that are used, a row a subject, with the labels as index.
    where : str
        What has the columns, for messages.
    declared : collection of str
        Columns that are said to be categories.
    to_declare : str
        How that is said, with ``{}`` for the column.

    Raises
    ------
    ValueError
        If a column that is not declared a category is mostly numbers, or levels differ in case or
        blanks alone. The message names the entries and their subjects.
    """
    import pandas as pd

    for name in map(str, table.columns):
        column: pd.Series[Any] = table[name]
        if not is_text(column):
            continue
        present = column[~is_missing(column)]
        entries = [str(value) for value in present]
        labels = [str(label) for label in present.index]
        called = f"column {name!r} of {where}"
        if name not in declared and not isinstance(column.dtype, pd.CategoricalDtype):
            _refuse_numbers(entries, labels, called, to_declare.format(name))
        _refuse_twin_levels(entries, labels, called)


def _refuse_numbers(
    entries: Sequence[str], labels: Sequence[str], called: str, to_declare: str
) -> None:
    kinds = [_kind(entry) for entry in entries]
    levels = {entry.strip(): kind for entry, kind in zip(entries, kinds, strict=True)}
    n_numbers = sum(kind != "word" for kind in kinds)
    n_levels = sum(kind != "word" for kind in levels.values())
    if 2 * n_numbers <= len(entries) and 2 * n_levels <= len(levels):
        return
    strays = [place for place, kind in enumerate(kinds) if kind != "number"]
    if not strays:
        raise ValueError(
            f"{called} holds numbers written as text, such as {entries[0]!r}; if they are "
            f"measurements, convert them with pandas.to_numeric, if they are codes of a category, "
            f"say so by {to_declare}"
        )
    shown = ", ".join(f"{entries[p]!r} for subject {labels[p]}" for p in strays[:_MAX_SHOWN])
    more = f" and {len(strays) - _MAX_SHOWN} more" if len(strays) > _MAX_SHOWN else ""
    commas = [entries[p].strip() for p in strays if kinds[p] == "comma"]
    advice = "correct the entry, or write n/a where the value is missing"
    if commas:
        advice = f"write a decimal point ({commas[0].replace(',', '.')} for {commas[0]})"
        advice += "" if len(commas) == len(strays) else ", and n/a where the value is missing"
    raise ValueError(
        f"{called} holds numbers, but {shown}{more}, so that it would be a category of "
        f"{len(levels)} levels; {advice}. If its values are codes of a category, say so by "
        f"{to_declare}"
    )


def _kind(entry: str) -> str:
    text = entry.strip()
    if _NUMBER.fullmatch(text):
        return "number"
    return "comma" if _COMMA.fullmatch(text) else "word"


def _refuse_twin_levels(entries: Sequence[str], labels: Sequence[str], called: str) -> None:
    by_key: dict[str, dict[str, list[str]]] = {}
    for entry, label in zip(entries, labels, strict=True):
        key = "".join(entry.casefold().split())
        by_key.setdefault(key, {}).setdefault(entry, []).append(label)
    for spellings in by_key.values():
        if len(spellings) > 1:
            told = " and ".join(
                f"{entry!r} ({_subjects(who)})"
                for entry, who in sorted(spellings.items(), key=lambda item: -len(item[1]))
            )
            raise ValueError(
                f"{called} has levels that differ in case or blanks alone: {told}; write them alike"
            )


def _subjects(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MAX_SHOWN} more" if len(labels) > _MAX_SHOWN else ""
    noun = "subject" if len(labels) == 1 else "subjects"
    return f"{noun} {', '.join(labels[:_MAX_SHOWN])}{more}"
