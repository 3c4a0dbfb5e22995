# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a Stats Model that change the columns of the participants table.

Their meaning is that of pybids-transforms-v1 (https://bids-standard.github.io/variable-transform).
Those that make sense with one row a subject are supported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groupglm.bids.json_objects import quoted
from groupglm.design.formula.used_columns import WHERE
from groupglm.tabular.covariates import check_covariates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SUPPORTED", "check_instructions", "transform"]

_COMMON = frozenset({"Name", "Input", "Output", "Description"})


def check_instructions(instructions: Sequence[Any], where: str) -> tuple[dict[str, Any], ...]:
    """Refuse instructions that are not supported, before anything is read."""
    return tuple(_checked(given, f"{where}[{i}]") for i, given in enumerate(instructions))


def _checked(given: Any, where: str) -> dict[str, Any]:
    name = given.get("Name") if isinstance(given, dict) else None
    if not isinstance(name, str) or name not in SUPPORTED:
        raise ValueError(
            f"{where}: the instruction {name!r} is not supported; supported are "
            f"{', '.join(SUPPORTED)}. Add a column to the participants table instead"
        )
    options, _ = SUPPORTED[name]
    unknown = sorted(set(given) - _COMMON - set(options))
    if unknown:
        raise ValueError(f"{where}: {name} has {quoted(unknown)}, which is not supported")
    read = {**given}
    for key in ("Input", "Output"):
        value = given.get(key)
        read[key] = [value] if isinstance(value, str) else value or []
        if not isinstance(read[key], list) or not all(isinstance(x, str) for x in read[key]):
            raise ValueError(f"{where}: {key} is {value!r}; it must be a list of columns")
    if not read["Input"]:
        raise ValueError(f"{where}: {name} has no Input; give a list of columns")
    n_wanted = 1 if name == "Product" else len(read["Input"])
    needed = name in ("Product", "Rename", "Copy")
    if len(set(read["Output"])) < len(read["Output"]):
        raise ValueError(f"{where}: Output names a column twice ({quoted(read['Output'])})")
    if (read["Output"] or needed) and len(read["Output"]) != n_wanted:
        raise ValueError(
            f"{where}: {name} has {len(read['Output'])} names in Output; it needs {n_wanted}"
        )
    for key, allowed in options.items():
        if key in given and not _allowed(given[key], allowed):
            raise ValueError(f"{where}: {key} is {given[key]!r}, which is not supported")
    return read


def _allowed(value: Any, allowed: type | tuple[Any, ...]) -> bool:
    return isinstance(value, allowed) if isinstance(allowed, type) else value in allowed


def transform(table: pd.DataFrame, instructions: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Apply instructions to a table.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [20.0, 30.0], "sex": ["f", "m"]})
    >>> transform(table, check_instructions([{"Name": "Factor", "Input": ["sex"]}], "x"))
        age  sex.f  sex.m
    0  20.0    1.0    0.0
    1  30.0    0.0    1.0
    """
    result = table.copy()
    for instruction in instructions:
        missing = [name for name in instruction["Input"] if name not in result.columns]
        if missing:
            raise ValueError(
                f"the instruction {instruction['Name']} names {quoted(missing)}, which the "
                "participants table does not have. Its columns are: "
                f"{quoted([str(name) for name in result.columns])}"
            )
        result = SUPPORTED[instruction["Name"]][1](result, instruction)
    return result


def _numbers(table: pd.DataFrame, name: str, instruction: Mapping[str, Any]) -> pd.Series[Any]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    column: Any = table[name]
    if not is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype):
        check_covariates(table[[name]], WHERE, to_declare="the transformation Factor")
        raise ValueError(
            f"the instruction {instruction['Name']} needs numbers, but column {name!r} of the "
            "participants table holds text"
        )
    numbers: pd.Series[Any] = column.astype("float64")
    return numbers


def _factor(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    """Add a column of 0 and 1 for each level, called ``column.level``."""
    drop_one = instruction.get("Constraint", "none") == "drop_one"
    for name in instruction["Input"]:
        column: Any = table[name]
        absent = [str(label) for label in table.index[column.isna()]]
        if absent:
            raise ValueError(
                f"the instruction Factor cannot code column {name!r} of the participants table: it "
                f"has no value for {', '.join(absent[:8])}; fill it in, or leave these subjects out"
            )
        check_covariates(table[[name]], WHERE, declared=[name], to_declare="")
        levels = sorted(column.unique().tolist(), key=lambda level: (isinstance(level, str), level))
        if 2 < len(levels) == len(table):
            raise ValueError(
                f"the instruction Factor cannot code column {name!r} of the participants table: "
                "each subject has another value, so it would take a design column a subject"
            )
        reference = instruction.get("RefLevel", levels[0])
        if drop_one and reference not in levels:
            raise ValueError(
                f"the instruction Factor has RefLevel {reference!r}, but column {name!r} has "
                f"{quoted([str(level) for level in levels])}"
            )
        for level in levels:
            if f"{name}.{level}" in table.columns:
                raise ValueError(
                    f"the instruction Factor would make a second column '{name}.{level}' in the "
                    "participants table; rename the one that is there"
                )
            if not (drop_one and level == reference):
                table[f"{name}.{level}"] = (column == level).astype("float64")
        table = table.drop(columns=name)
    return table


def _each(change: Callable[[Any, Mapping[str, Any]], Any]) -> Callable[..., pd.DataFrame]:
    """Make an instruction from a function that changes one column of numbers."""

    def apply(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
        outputs = instruction["Output"] or instruction["Input"]
        for name, output in zip(instruction["Input"], outputs, strict=True):
            table[output] = change(_numbers(table, name, instruction), instruction)
        return table

    return apply


def _scaled(column: Any, instruction: Mapping[str, Any]) -> Any:
    if column.max() == column.min():
        raise ValueError(
            f"the instruction Scale cannot scale column {column.name!r} of the participants table: "
            "it is the same for all subjects"
        )
    if instruction.get("Demean", True):
        column = column - column.mean()
    return column / column.std() if instruction.get("Rescale", True) else column


def _product(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    factors = [_numbers(table, name, instruction) for name in instruction["Input"]]
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    table[instruction["Output"][0]] = product
    return table


def _renamed(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    taken = [name for name in instruction["Output"] if name in table.columns]
    if taken:
        raise ValueError(
            f"the instruction Rename would make a second column {quoted(taken)} in the "
            "participants table; choose another name"
        )
    return table.rename(columns=dict(zip(instruction["Input"], instruction["Output"], strict=True)))


def _copied(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    for name, output in zip(instruction["Input"], instruction["Output"], strict=True):
        table[output] = table[name]
    return table


# For each instruction: its keys besides input and output, and the function that does it.
SUPPORTED: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "Factor": ({"Constraint": ("none", "drop_one"), "RefLevel": object}, _factor),
    "Demean": ({}, _each(lambda column, _: column - column.mean())),
    "Scale": ({"Demean": bool, "Rescale": bool}, _each(_scaled)),
    "Product": ({}, _product),
    "Rename": ({}, _renamed),
    "Copy": ({}, _copied),
}
