# SPDX-License-Identifier: BSD-3-Clause
"""Covariates of subjects before they become a design; values that deceive are refused.

Formulas, confounds and Stats Models all pass their tables here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["check_covariates", "is_missing", "is_text", "level_counts", "missing_values", "tidied"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+,\d+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d+)?")
# The words that pandas reads from a file as missing, without those that may be levels (None, NULL,
# null).
_MISSING_WORDS = frozenset(
    {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "1.#ind", "1.#qnan", "-nan", "nan"}
    | {"<na>", "n/a"}
)
_MAX_SHOWN = 8


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Return covariates with missing values marked as such, and without unused categories."""
    import pandas as pd

    columns: list[pd.Series[Any]] = [_tidied(table.iloc[:, j]) for j in range(table.shape[1])]
    if not columns:
        return table.copy()
    return pd.concat(columns, axis="columns")


def _tidied(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    absent = is_missing(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        used: pd.Series[Any] = column.mask(absent).cat.remove_unused_categories()
        return used
    if is_text(column):
        return column.astype(np.object_).mask(absent)
    # The numpy types of pandas' and Arrow's own types.
    dtype: Any = getattr(column.dtype, "numpy_dtype", column.dtype)
    if pd.api.types.is_object_dtype(dtype):
        return _numbers_of_objects(column, absent)
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif (pd.api.types.is_integer_dtype(dtype) or _is_bool(column)) and not absent.any():
        values = column.to_numpy(dtype=dtype)
    else:
        return column
    return pd.Series(values, index=column.index, name=column.name)


def _is_bool(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_bool_dtype(column.dtype))


def _numbers_of_objects(column: pd.Series[Any], absent: NDArray[np.bool_]) -> pd.Series[Any]:
    """Return a column of objects as numbers, if all are; else `check_covariates` decides."""
    import pandas as pd

    present = column[~absent]
    if not len(present) or not all(map(_is_number, present)):
        return column
    try:
        numbers = [np.nan if lacks else float(x) for x, lacks in zip(column, absent, strict=True)]
    except OverflowError:
        return column
    return pd.Series(numbers, index=column.index, name=column.name, dtype=np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def is_text(column: pd.Series[Any]) -> bool:
    """Return whether a column is a category by its type: text, or pandas' own categories."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return True
    if pd.api.types.is_object_dtype(dtype):
        return any(isinstance(v, str) for v in column)
    return bool(pd.api.types.is_string_dtype(dtype))  # of any backend


def is_missing(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Return where a column has no value, only blanks, or a word such as ``n/a``."""
    import pandas as pd

    absent: NDArray[np.bool_] = column.isna().to_numpy(dtype=bool)
    if is_text(column):
        absent = absent | np.array([isinstance(v, str) and _says_missing(v) for v in column], bool)
    elif pd.api.types.is_float_dtype(column.dtype):  # in some types NaN is not a missing value
        absent = absent | np.isnan(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return absent


def _says_missing(entry: str) -> bool:
    text = entry.strip()
    return text == "NA" or text.casefold() in _MISSING_WORDS


def missing_values(table: pd.DataFrame, names: Iterable[str]) -> dict[str, list[str]]:
    """Return, for each column, the subjects without a value."""
    found = {name: [str(x) for x in table.index[is_missing(table[name])]] for name in names}
    return {name: labels for name, labels in found.items() if labels}


def level_counts(column: pd.Series[Any]) -> dict[str, int]:
    """Return the number of subjects at each level, in sorted or declared order."""
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
    """Refuse columns of text that were meant as numbers, and levels that are meant as one."""
    import pandas as pd

    for name in map(str, table.columns):
        column: pd.Series[Any] = table[name]
        _refuse_other_types(column, name, where)
        if not is_text(column):
            continue
        present = column[~is_missing(column)]
        entries = [str(value) for value in present]
        labels = [str(label) for label in present.index]
        called = f"column {name!r} of {where}"
        if name not in declared and not isinstance(column.dtype, pd.CategoricalDtype):
            _refuse_numbers(entries, labels, called, to_declare.format(name))
        _refuse_twin_levels(entries, labels, called)


def _refuse_other_types(column: pd.Series[Any], name: str, where: str) -> None:
    """Refuse dates, complex numbers, lists and everything else but numbers and levels."""
    import pandas as pd

    types = pd.api.types
    dtype = column.dtype
    called = f"column {name!r} of {where}"
    if types.is_object_dtype(dtype):
        present = column[~is_missing(column)]
        flags = [isinstance(value, bool | np.bool_) for value in present]
        texts = [isinstance(value, str) for value in present]
        for label, value, flag in zip(present.index, present, flags, strict=True):
            odd = not (flag or isinstance(value, str | Real | Decimal)) or (
                flag and not all(flags) and not any(texts)
            )
            if odd or (isinstance(value, Real) and not _is_within_float(value)):
                shown = f"{value!r:.40} (of type {type(value).__name__}) for subject {label}"
                raise ArgumentError.about(
                    "table",
                    f"{called} holds {shown}",
                    "make its values numbers, or all of them text",
                )
    elif not (is_text(column) or types.is_any_real_numeric_dtype(dtype) or _is_bool(column)):
        raise ArgumentError.about(
            "table",
            f"{where} has non-numeric columns: {name!r}, which holds {dtype}",
            "make its values numbers or text",
        )


def _is_within_float(value: Any) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


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
        raise ArgumentError.about(
            "table",
            f"{called} holds numbers written as text, such as {entries[0]!r}",
            f"if they are "
            f"measurements, convert them with pandas.to_numeric, if they are codes of a category, "
            f"say so by {to_declare}",
        )
    shown = listed([f"{entries[p]!r} for subject {labels[p]}" for p in strays], _MAX_SHOWN)
    commas = [entries[p].strip() for p in strays if kinds[p] == "comma"]
    advice = "correct the entry, or write n/a where the value is missing"
    if "decorated" in kinds:
        advice = "write digits, a minus sign of the keyboard (-) and a decimal point alone"
    if commas:
        advice = f"write a decimal point ({commas[0].replace(',', '.')} for {commas[0]})"
        advice += "" if len(commas) == len(strays) else ", and n/a where the value is missing"
    raise ArgumentError.about(
        "table",
        f"{called} holds numbers, but {shown}, so that it would be a category of "
        f"{len(levels)} levels",
        f"{advice}. If its values are codes of a category, say so by {to_declare}",
    )


def _kind(entry: str) -> str:
    text = entry.strip()
    if _NUMBER.fullmatch(text):
        return "number"
    if _COMMA.fullmatch(text):
        return "comma"
    bare = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").rstrip("% ")
    return "decorated" if _NUMBER.fullmatch(bare) or _GROUPED.fullmatch(bare) else "word"


def _refuse_twin_levels(entries: Sequence[str], labels: Sequence[str], called: str) -> None:
    by_key: dict[Hashable, dict[str, list[str]]] = {}
    for entry, label in zip(entries, labels, strict=True):
        by_key.setdefault(_level_key(entry), {}).setdefault(entry, []).append(label)
    for spellings in by_key.values():
        if len(spellings) > 1:
            told = " and ".join(
                f"{entry!r} ({_subjects(who)})"
                for entry, who in sorted(spellings.items(), key=lambda item: -len(item[1]))
            )
            raise ArgumentError.about(
                "table",
                f"{called} has levels that differ in case or blanks alone, or in how one character "
                f"or number is written: {told}",
                "write them alike",
            )


def _level_key(entry: str) -> Hashable:
    """Return a level without its case, blanks, invisible characters and composed accents."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", entry).casefold())
    text = "".join(c for c in text if not (c.isspace() or unicodedata.category(c) == "Cf"))
    if _NUMBER.fullmatch(text):
        try:
            return Decimal(text)
        except InvalidOperation:  # the exponent is beyond any number
            pass
    return text


def _subjects(labels: Sequence[str]) -> str:
    noun = "subject" if len(labels) == 1 else "subjects"
    return f"{noun} {listed(labels, _MAX_SHOWN)}"
