# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a Stats Model that change the columns of the participants table.

Their meaning is that of pybids-transforms-v1 (https://bids-standard.github.io/variable-transform).
Those that make sense with one row a subject are supported.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.bids.json_objects import quoted
from groupglm.errors import warn_caller
from groupglm.tabular.covariates import check_covariates
from groupglm.tabular.table_names import columns_are, has_not, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SUPPORTED", "check_instructions", "columns_read", "levels_of", "transform"]

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
    _check_options(given, name, where)
    read = {**given}
    for key in ("Input", "Output"):
        value = given.get(key)
        read[key] = [value] if isinstance(value, str) else value or []
        if not isinstance(read[key], list) or not all(isinstance(x, str) for x in read[key]):
            raise ValueError(f"{where}: {key} is {value!r}; it must be a list of columns")
    if name == "Split":
        read["By"] = [given["By"]] if isinstance(given["By"], str) else given["By"]
    _check_columns(read["Input"], read["Output"], name, where)
    return read


def _check_options(given: Mapping[str, Any], name: str, where: str) -> None:
    """Refuse keys and values that an instruction does not have, and the lack of those it needs."""
    options, _ = SUPPORTED[name]
    unknown = sorted(set(given) - _COMMON - set(options))
    if unknown:
        raise ValueError(f"{where}: {name} has {quoted(unknown)}, which is not supported")
    for key in _NEEDED.get(name, ()):
        if key not in given:
            raise ValueError(f"{where}: {name} has no {key}; add it")
    for key, allowed in options.items():
        if key in given and not _allowed(given[key], allowed):
            raise ValueError(f"{where}: {key} is {given[key]!r}, which is not supported")


def _check_columns(inputs: list[str], outputs: list[str], name: str, where: str) -> None:
    """Refuse an instruction without input, and with another number of outputs than it makes."""
    if not inputs:
        raise ValueError(f"{where}: {name} has no Input; give a list of columns")
    n_wanted = 1 if name == "Product" else len(inputs)
    needed = name in ("Product", "Rename", "Copy")
    if len(set(outputs)) < len(outputs):
        raise ValueError(f"{where}: Output names a column twice ({quoted(outputs)})")
    if outputs and name == "Split":
        raise ValueError(
            f"{where}: Split has Output, but it names its columns itself, such as 'age.sex[f]'"
        )
    if (outputs or needed) and len(outputs) != n_wanted:
        raise ValueError(f"{where}: {name} has {len(outputs)} names in Output; it needs {n_wanted}")


def _allowed(value: Any, allowed: Any) -> bool:
    if isinstance(allowed, type):
        return isinstance(value, allowed)
    return bool(allowed(value)) if callable(allowed) else value in allowed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_names(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return isinstance(names, list) and bool(names) and all(isinstance(n, str) for n in names)


def _are_replacements(value: Any) -> bool:
    """Return whether values stand beside the texts of those that they replace."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(new is None or isinstance(new, str) or _is_number(new) for new in value.values())
    )


def columns_read(instruction: Mapping[str, Any]) -> list[str]:
    """Return the columns that an instruction reads."""
    return [*instruction["Input"], *instruction.get("By", ())]


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
        missing = [name for name in columns_read(instruction) if name not in result.columns]
        if missing:
            raise ValueError(
                f"the instruction {instruction['Name']} names {quoted(missing)}, which "
                f"{has_not(result)}. {columns_are(result)}: "
                f"{quoted([str(name) for name in result.columns])}"
            )
        result = SUPPORTED[instruction["Name"]][1](result, instruction)
    return result


def _numbers(table: pd.DataFrame, name: str, instruction: Mapping[str, Any]) -> pd.Series[Any]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    column: Any = table[name]
    if not is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype):
        check_covariates(
            table[[name]], table_of(table, name), to_declare="the transformation Factor"
        )
        raise ValueError(
            f"the instruction {instruction['Name']} needs numbers, but column {name!r} of "
            f"{table_of(table, name)} holds text"
        )
    numbers: pd.Series[Any] = column.astype("float64")
    return numbers


def levels_of(table: pd.DataFrame, name: str, told: str) -> list[Any]:
    """Return the levels of a column, sorted; refuse one that is no category.

    `told` begins the message: ``the instruction Factor cannot code``.
    """
    column: Any = table[name]
    absent = [str(label) for label in table.index[column.isna()]]
    if absent:
        raise ValueError(
            f"{told} column {name!r} of the participants table: it "
            f"has no value for {', '.join(absent[:8])}; fill it in, or leave these subjects out"
        )
    check_covariates(table[[name]], table_of(table, name), declared=[name], to_declare="")
    levels = sorted(column.unique().tolist(), key=lambda level: (isinstance(level, str), level))
    if 2 < len(levels) == len(table):
        raise ValueError(
            f"{told} column {name!r} of the participants table: "
            "each subject has another value, so it would take a design column a subject"
        )
    return levels


def _factor(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    """Add a column of 0 and 1 for each level, called ``column.level``."""
    drop_one = instruction.get("Constraint", "none") == "drop_one"
    for name in instruction["Input"]:
        column: Any = table[name]
        levels = levels_of(table, name, "the instruction Factor cannot code")
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


def _thresholded(column: Any, instruction: Mapping[str, Any]) -> Any:
    """Return the values beyond a cut-off, and 0 for the others; missing values stay missing."""
    cut = float(instruction.get("Threshold", 0.0))
    if not instruction.get("Signed", True):
        cut, column = abs(cut), column.abs()
    keep = column >= cut if instruction.get("Above", True) else column <= cut
    kept = column.where(keep | column.isna(), 0.0)
    return kept.mask(keep, 1.0) if instruction.get("Binarize", False) else kept


def _replaced(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    """Put values in the place of others; JSON has those to be replaced as text, numbers too."""
    import pandas as pd

    outputs = instruction["Output"] or instruction["Input"]
    for name, output in zip(instruction["Input"], outputs, strict=True):
        column: Any = table[name]
        new = _new_values(column, instruction["Replace"], name)
        values = [new.get(value, value) for value in column.tolist()]
        kinds = {isinstance(value, str) for value in values if not pd.isna(value)}
        if len(kinds) > 1:
            raise ValueError(
                f"column {output!r} of the participants table would have text and numbers after "
                f"the instruction {instruction['Name']}; give all of its values one of the two"
            )
        table[output] = pd.Series(values, index=table.index)
    return table


def _new_values(column: Any, given: Mapping[str, Any], name: str) -> dict[Any, Any]:
    """Return what replaces each value of a column; warn if none of them is there."""
    from pandas.api.types import is_numeric_dtype

    new: dict[Any, Any] = {}
    numeric = is_numeric_dtype(column.dtype)
    for text, value in given.items():
        key: Any = text
        if numeric:
            try:
                key = float(text)
            except ValueError:
                raise ValueError(
                    f"the instruction Replace names {text!r}, but column {name!r} of the "
                    "participants table holds numbers; name numbers, such as '2'"
                ) from None
        new[key] = math.nan if value is None else value
    if not set(new) & set(column.tolist()):
        warn_caller(
            f"the instruction Replace changes nothing in column {name!r} of the participants "
            f"table: it has no {quoted(list(given))}"
        )
    return new


def _split(table: pd.DataFrame, instruction: Mapping[str, Any]) -> pd.DataFrame:
    """Add a column for each combination of levels: the values there, and 0 elsewhere.

    They are called as pybids calls them: ``age.sex[f]``, ``age.sex[f].site[1]``.
    """
    by = instruction["By"]
    levels = [levels_of(table, name, "the instruction Split cannot split by") for name in by]
    for name in instruction["Input"]:
        values = _numbers(table, name, instruction)
        for combination in itertools.product(*levels):
            own = [f"{each}[{level}]" for each, level in zip(by, combination, strict=True)]
            output = ".".join([name, *own])
            inside = np.ones(len(table), dtype=bool)
            for each, level in zip(by, combination, strict=True):
                inside &= (table[each] == level).to_numpy(dtype=bool)
            if output in table.columns:
                raise ValueError(
                    f"the instruction Split would make a second column {output!r} in the "
                    "participants table; rename the one that is there"
                )
            if inside.any():
                table[output] = values.where(inside, 0.0)
    return table


# Keys that an instruction needs besides input and output.
_NEEDED = {"Replace": ("Replace",), "Split": ("By",)}

# For each instruction: its keys besides input and output, and the function that does it.
SUPPORTED: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "Factor": ({"Constraint": ("none", "drop_one"), "RefLevel": object}, _factor),
    "Demean": ({}, _each(lambda column, _: column - column.mean())),
    "Scale": ({"Demean": bool, "Rescale": bool}, _each(_scaled)),
    "Product": ({}, _product),
    "Rename": ({}, _renamed),
    "Copy": ({}, _copied),
    "Replace": ({"Replace": _are_replacements, "Attribute": ("value",)}, _replaced),
    "Split": ({"By": _are_names}, _split),
    "Threshold": (
        {"Threshold": _is_number, "Binarize": bool, "Above": bool, "Signed": bool},
        _each(_thresholded),
    ),
}
