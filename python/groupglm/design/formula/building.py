# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices from a formula and a participants table.

`terms` parses the formula into terms. `code` computes function calls and braces from their syntax
tree. No part of a formula is ever executed as Python, so a stranger's formula cannot open files or
start programs. formulaic codes categories, makes splines and polynomials, and finds the columns
that the terms need.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groupglm.design.collinearity import quote_names
from groupglm.design.formula.code import columns_of, find_column
from groupglm.design.formula.columns import design_of_terms
from groupglm.design.formula.random_part import RandomPart, RandomPartError
from groupglm.design.formula.terms import Factor, Formula, read_formula
from groupglm.design.formula.used_columns import check_used, declared_categories
from groupglm.design.origins import with_origins
from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.runtime.arguments import check_text, check_truth
from groupglm.tabular.labels import labelled, row_labels
from groupglm.tabular.levels import factor_levels, with_levels
from groupglm.tabular.table_names import columns_are, has_not, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "check_table",
    "design_from_columns",
    "design_from_formula",
    "fixed_design",
    "formula_columns",
    "random_part",
]

_MAX_CHARACTERS_SHOWN = 200


def design_from_formula(
    formula: str, table: pd.DataFrame, *, allow_partial: bool = False
) -> pd.DataFrame:
    """Expand a formula over a table into a design matrix.

    Parameters
    ----------
    formula : str
        The right-hand side in Wilkinson's notation, such as ``"~ age + C(group)"``; an intercept is
        added unless it says ``0 +`` or ``- 1``. Text columns, and what is in ``C()``, are coded
        by treatment contrasts with the first level in sorted order as the reference.
    table : pandas.DataFrame
        One row for each subject, with the labels of the subjects as index, or in a column
        ``subject_label`` or ``participant_id``.
    allow_partial : bool, default=False
        Whether to leave out subjects that lack a value, with a warning that names them. Leave out
        their maps too, as ``SecondLevelModel.fit(..., allow_partial=True)`` does.

    Returns
    -------
    pandas.DataFrame
        float64, with one row for each row of `table` that is not left out. Its index has the
        labels, by which `SecondLevelModel.fit` finds the row of each map.

    Raises
    ------
    ValueError
        If the formula cannot be read, names an unknown column, would execute code beyond the
        transforms above, uses a column with missing values, or gives values that are not finite;
        if it has a random part such as ``(1 | subject)``, which `repeated_from_formula` takes; if a
        column of text is mostly numbers and not within ``C()``, such as one with ``26,5`` or
        ``unknown`` among ages; if levels differ in case, blanks or the way of writing a character
        or a number alone; or if a column holds neither numbers nor text, such as dates.

    Warns
    -----
    UserWarning
        Which subjects are left out; of a power of a single column, which is the column itself.

    Notes
    -----
    The notation is R's, with R's precedence: ``:`` before ``%in%`` before ``*`` and ``/`` before
    ``+`` and ``-``. formulaic finds which columns of a category a term needs:
    https://matthewwardrop.github.io/formulaic. Transforms that learn from the data, such as
    ``center`` and ``scale``, use the rows of `table` only. A formula may have 5,000 characters,
    brackets within brackets up to 20 deep, powers to 20, interactions of 6 columns, and 1,000
    terms.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [20.0, 30, 40], "group": ["b", "a", "b"]},
    ...                      index=["01", "02", "03"])
    >>> design_from_formula("~ age + group", table)
        Intercept   age  group[T.b]
    01        1.0  20.0         1.0
    02        1.0  30.0         0.0
    03        1.0  40.0         1.0
    """
    allow_partial = check_truth("allow_partial", allow_partial)
    check_text("formula", formula, optional=False)
    check_table(table)
    random = _read(formula).random
    if random is not None:
        raise ArgumentError.about(
            "formula",
            f"formula {_shown(formula)} has the random part {random}, which is no part of a design "
            "but of a model of several images a subject",
            "make both by repeated_from_formula(formula, table), or leave the random part out",
        )
    return fixed_design(formula, _with_labels(table), allow_partial=allow_partial)


def fixed_design(formula: str, table: pd.DataFrame, *, allow_partial: bool = False) -> pd.DataFrame:
    """Expand the fixed part of a formula, as `design_from_formula` does; its labels are unique."""
    read = _read(formula)
    for power in read.idle_powers:
        warn_caller(
            f"{power} in a formula is {power.rpartition('**')[0]} itself, as in R, where a power "
            f"adds interactions; write I({power}) for numbers to that power"
        )
    return _design(formula, read, table, allow_partial=allow_partial)


def _read(formula: str) -> Formula:
    try:
        return read_formula(formula)
    except ValueError as error:
        raise _invalid(formula, error) from error


def random_part(formula: str) -> RandomPart | None:
    """Return the random part of a formula; None if it has none."""
    return _read(formula).random


def check_table(table: object) -> None:
    """Refuse what is no table."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise ArgumentTypeError.about(
            "table",
            f"table must be a pandas DataFrame, not {type(table).__name__}",
            "read a file with pandas.read_csv(path, sep='\\t', dtype={'participant_id': str})",
        )


def _with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Label rows that are only numbered by a column of labels; a formula may use the column too."""
    if table.index.nlevels > 1 or row_labels(table.index, None, "the table") is not None:
        return table
    return table.set_axis(labelled(table).index, axis="index")


def design_from_columns(
    names: Sequence[str], table: pd.DataFrame, *, intercept: bool
) -> pd.DataFrame:
    """Return columns of a table as a design matrix; their names may have any characters."""
    factors = tuple(Factor(name) for name in names)
    read = Formula(tuple((factor,) for factor in factors), intercept, True, factors)
    return _design(" + ".join(["~ 1" if intercept else "~ 0", *names]), read, table)


def _design(
    formula: str, read: Formula, table: pd.DataFrame, *, allow_partial: bool = False
) -> pd.DataFrame:
    table = table.set_axis([str(name) for name in table.columns], axis="columns")
    used = _used_columns(formula, read, table)
    columns = check_used(
        table[used],
        _shown(formula),
        declared=declared_categories(read.factors),
        allow_partial=allow_partial,
    )
    try:
        matrix = design_of_terms(read, columns)
    except Exception as error:  # a transform may raise anything; the message has the reason
        raise _invalid(formula, error) from error
    if matrix.shape[1] == 0:
        raise ArgumentError.about(
            "formula",
            f"formula {_shown(formula)} gives no column",
            "'~ 1' is the mean of all subjects",
        )
    _check_finite(formula, matrix, columns)
    return with_origins(with_levels(matrix, factor_levels(columns, used)), columns, used)


def formula_columns(formula: str) -> tuple[list[str], bool]:
    """Return the columns that the fixed part names, and whether it has the term 0 or 1."""
    read = _read(formula)
    return _named_columns(read), read.says_intercept


def _named_columns(read: Formula) -> list[str]:
    return list(
        dict.fromkeys(
            name
            for factor in read.factors
            for name in ([factor.name] if factor.tree is None else columns_of(factor.tree))
        )
    )


def _used_columns(formula: str, read: Formula, table: pd.DataFrame) -> list[str]:
    """Return the table's columns that a formula uses; refuse names that the table lacks."""
    columns = list(table.columns)
    named = {name: find_column(name, dict.fromkeys(columns)) for name in _named_columns(read)}
    unknown = [name for name, column in named.items() if column is None]
    if unknown:
        close = difflib.get_close_matches(unknown[0][:200], columns, n=2)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ArgumentError.about(
            "formula",
            f"formula {_shown(formula)} names {quote_names(unknown)}, which {has_not(table)}."
            f"{hint} {columns_are(table)}: {quote_names(columns)}.",
        )
    used = [column for column in named.values() if column is not None]
    twice = [name for name in used if list(columns).count(name) > 1]
    if twice:
        raise ArgumentError.about(
            "table",
            f"{table_of(table, twice[0])} has {columns.count(twice[0])} columns that are called "
            f"{twice[0]!r}, which formula {_shown(formula)} names",
            "rename all but one",
        )
    return used


def _check_finite(formula: str, design: pd.DataFrame, table: pd.DataFrame) -> None:
    bad = ~np.isfinite(design.to_numpy())
    if not bad.any():
        return
    row, column = (int(place[0]) for place in np.nonzero(bad))
    name, n_more = str(design.columns[column]), int(bad.sum()) - 1
    remedy = "choose a transform that is defined for all its values"
    if name in table.columns:  # a column of the table, not of a transform
        remedy = f"correct {name!r} in the table, or write n/a where the value is missing"
    raise ArgumentError.about(
        "formula",
        f"formula {_shown(formula)} gives {design.to_numpy()[row, column]} in column {name!r} for "
        f"subject {design.index[row]}{f' (and {n_more} more)' if n_more else ''}",
        f"{remedy}",
    )


def _shown(formula: str) -> str:
    return repr(formula if len(formula) <= _MAX_CHARACTERS_SHOWN else formula[:80] + "...")


def _invalid(formula: str, error: BaseException) -> ArgumentError:
    told = f"formula {_shown(formula)} cannot be used: {' '.join(str(error).split())}"
    if not isinstance(error, RandomPartError):
        told += (
            " Write it as '~ age + C(group)', with backticks around a column whose name has other "
            "characters than letters, digits and underscores."
        )
    return ArgumentError.about("formula", told)
