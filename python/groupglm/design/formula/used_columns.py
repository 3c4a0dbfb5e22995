# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a participants table that a design uses: checks of their values."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from groupglm.design.collinearity import quote_names
from groupglm.design.formula.code import columns_of, find_column
from groupglm.design.formula.terms import Factor, read_formula
from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import argument
from groupglm.runtime.naming import listed
from groupglm.tabular.covariates import (
    check_covariates,
    is_text,
    level_counts,
    missing_values,
    tidied,
)
from groupglm.tabular.table_names import table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_used", "declared_categories", "formula_levels", "name_left_out"]

_MAX_SHOWN = 8


def declared_categories(factors: Iterable[Factor]) -> set[str]:
    """Return the columns that a formula names within ``C()`` alone."""
    inside: list[str] = []
    everywhere: list[str] = []
    for factor in factors:
        if factor.tree is None:
            everywhere.append(factor.name)
            continue
        everywhere += columns_of(factor.tree)
        for node in ast.walk(factor.tree):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id == "C":
                inside += columns_of(node)
    return {name for name in inside if inside.count(name) == everywhere.count(name)}


def formula_levels(formula: str, table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the number of subjects at each level of the categories that a formula uses."""
    factors = read_formula(formula).factors
    declared = declared_categories(factors)
    columns = dict.fromkeys(map(str, table.columns))
    found: dict[str, dict[str, int]] = {}
    for factor in factors:
        for name in [factor.name] if factor.tree is None else columns_of(factor.tree):
            column = find_column(name, columns)
            if column is not None and (name in declared or is_text(table[column])):
                found[column] = level_counts(table[column])
    return found


def check_used(
    table: pd.DataFrame,
    shown: str,
    *,
    declared: Collection[str] = (),
    allow_partial: bool = False,
) -> pd.DataFrame:
    """Check the columns that a formula uses."""
    if not len(table.columns):
        return table
    columns = tidied(table)
    absent = missing_values(columns, columns.columns)
    if absent and not allow_partial:
        raise ArgumentError.about(
            "table",
            f"{_lacking(table, absent)}, which the formula {shown} uses",
            "fill them in, or leave these subjects out by " + argument("allow_partial", True),
        )
    if absent:
        without = {label for labels in absent.values() for label in labels}
        columns = tidied(columns[[str(label) not in without for label in columns.index]])
        if len(columns) == 0:
            raise ArgumentError.about(
                "table", f"no subject has a value for each of {quote_names(list(absent))}"
            )
        warn_caller(f"left out subjects without a value for {name_left_out(absent)}")
    for name in columns.columns:
        where = table_of(table, name)
        check_covariates(columns[[name]], where, declared=declared, to_declare="C({})")
    for name in columns.columns:
        _check_levels(name, columns[name], table_of(table, name))
    return columns


def name_left_out(absent: dict[str, list[str]]) -> str:
    """Name columns and the subjects that lack a value and are left out: ``'age': 03``."""
    return "; ".join(f"{name!r}: {listed(labels, _MAX_SHOWN)}" for name, labels in absent.items())


def _lacking(table: pd.DataFrame, absent: dict[str, list[str]]) -> str:
    """Say which table has no value for which columns and subjects."""
    by_table: dict[str, dict[str, list[str]]] = {}
    for name, labels in absent.items():
        by_table.setdefault(table_of(table, name), {})[name] = labels
    return ", and ".join(
        f"{where} has no value for {_name_missing(own)}" for where, own in by_table.items()
    )


def _name_missing(absent: dict[str, list[str]]) -> str:
    """Name columns and the subjects that lack a value: ``'age' of subject 03``."""
    return "; ".join(
        f"{name!r} of subject{'s' if len(labels) > 1 else ''} {listed(labels, _MAX_SHOWN)}"
        for name, labels in absent.items()
    )


def _check_levels(name: str, column: pd.Series[Any], where: str) -> None:
    if not is_text(column):
        return
    levels = column.drop_duplicates()
    if 2 < len(levels) == len(column):
        raise ArgumentError.about(
            "table",
            f"column {name!r} of {where} holds text, and each subject has another one "
            f"({quote_names(column.tolist()[:2])}, ...), so it would take a design column a "
            "subject",
            "make it numeric, or leave it out",
        )
    if len(levels) == 1:
        raise ArgumentError.about(
            "table",
            f"column {name!r} of {where} is {column.iloc[0]!r} for every subject that has a map, "
            "so it has no effect to estimate",
            "leave it out",
        )
