# SPDX-License-Identifier: BSD-3-Clause
"""Open tables of regions and maps of regions; refuse what is no number of a region."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError, in_quotes
from groupglm.messages import argument as named
from groupglm.messages import either
from groupglm.runtime.naming import counted, listed
from groupglm.runtime.paths import given_path
from groupglm.spaces.table.series import FILE, REGION
from groupglm.spaces.table.source import RegionSource
from groupglm.tabular.covariates import is_missing
from groupglm.tabular.files import read_table
from groupglm.tabular.labels import row_labels
from groupglm.tabular.region_tables import (
    TABLE_FILE,
    RegionNames,
    is_table_file,
    naming_file,
    read_regions,
    refuse_repeated,
    region_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "names_in_file",
    "open_rows",
    "open_series",
    "series_of_file",
]

_SHOWN = 5  # cells and regions that a message names
_MAP_COLUMNS = ("map_name", "effects_map_path")
_OF_FILES = (".nii", ".gz", ".gii", ".mgh", ".mgz", ".img", ".hdr")


def open_rows(given: Any, argument: str, at_least: int) -> list[RegionSource]:
    """Open each row of a table as the values of a subject."""
    table = read_regions(given, argument)
    with naming_file(given):
        return _open_rows(table, argument, at_least)


def _open_rows(table: pd.DataFrame, argument: str, at_least: int) -> list[RegionSource]:
    columns = region_columns(table)
    maps = [name for name in _MAP_COLUMNS if name in table.columns]
    if maps:
        raise ArgumentError.about(
            argument,
            f"{argument} has the column {maps[0]!r}, so it is a table of maps, not of regions",
            "read it with pandas.read_csv(..., dtype={'subject_label': str}) and give the data "
            "frame",
        )
    if not columns:
        known = listed(list(map(str, table.columns)))
        raise ArgumentError.about(
            argument,
            named(argument) + " has no column of a region" + (f", only {known}" if known else ""),
            "give one row a subject and one column of numbers a region, or a table of maps with "
            "the columns 'subject_label', 'map_name' and 'effects_map_path'",
        )
    if len(table) < at_least:
        raise ArgumentError.about(
            argument,
            named(argument) + f" has {counted(len(table), 'row')}",
            f"a model needs at least {at_least}, one a subject",
        )
    names = [str(table.columns[place]) for place in columns]
    refuse_repeated(names, argument, argument)
    labels = _row_names(table, argument)
    values = _numbers(table.iloc[:, columns], names, labels, argument)
    regions = RegionNames(tuple(names))
    subjects = row_labels(table.index, None, argument)
    own = [""] * len(labels) if subjects is None else [str(label) for label in subjects]
    file = str(table.attrs.get(TABLE_FILE, ""))
    return [
        RegionSource(name, regions, row, label=label, table_file=file)
        for name, row, label in zip(labels, values, own, strict=True)
    ]


def _row_names(table: pd.DataFrame, argument: str) -> list[str]:
    """Return what messages call each row: its subject, or its number."""
    labels = row_labels(table.index, None, argument)
    if labels is not None and len(set(labels)) == len(labels):
        # The command line names the option and the table itself.
        known = argument == "second_level_input" or argument.startswith("-")
        of = "" if known else f" of {argument}"
        return [f"subject {in_quotes(label)}{of}" for label in labels]
    numbers = [f"row {place} of {argument}" for place in range(1, len(table) + 1)]
    if labels is None:
        return numbers
    return [f"{number} (subject {in_quotes(x)})" for number, x in zip(numbers, labels, strict=True)]


def _numbers(
    frame: pd.DataFrame, names: Sequence[str], rows: Sequence[str], argument: str
) -> NDArray[Any]:
    """Return the numbers of a table, shape (n_rows, n_regions); NaN where they are missing."""
    kinds = {np.dtype(dtype) for dtype in frame.dtypes if isinstance(dtype, np.dtype)}
    if kinds and all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in frame.dtypes):
        wide = np.float32 if kinds == {np.dtype(np.float32)} else np.float64
        values = np.ascontiguousarray(frame.to_numpy(), wide)
    else:
        columns = [
            _numbers_of_column(frame.iloc[:, place], name, rows, argument)
            for place, name in enumerate(names)
        ]
        values = np.ascontiguousarray(np.stack(columns, axis=1))
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0].tolist()
        raise ArgumentError.about(
            argument,
            f"{argument} is infinite in {counted(len(infinite), 'cell')}: {rows[row]}, region "
            f"{names[column]}",
            "correct the value, or leave it empty",
        )
    return values


def _numbers_of_column(
    column: pd.Series[Any], name: str, rows: Sequence[str], argument: str
) -> NDArray[np.float64]:
    """Return the numbers of a column of any type of pandas."""
    import pandas as pd

    absent = is_missing(column)
    types = pd.api.types
    numeric = types.is_any_real_numeric_dtype(column.dtype)
    entries = column.tolist()
    cells = [place for place, lacks in enumerate(absent) if not lacks]
    if not numeric:
        wrong = [place for place in cells if not _is_number(entries[place])]
        if wrong:
            _refuse_words(entries, wrong, cells, name, rows, argument)
    values = np.full(len(entries), np.nan)
    for place in cells:
        try:
            values[place] = float(entries[place])
        except OverflowError:  # of an int, which may have any number of digits
            values[place] = np.inf
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _is_number_in_text(value: object) -> bool:
    """Return whether a text is a number, as all numbers of a file's column with a word are."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _may_be_file(value: object) -> bool:
    """Return whether a cell looks like the name of an image, by its ending."""
    return isinstance(value, str | os.PathLike) and os.fspath(value).lower().endswith(_OF_FILES)


def _refuse_words(
    entries: Sequence[Any],
    wrong: Sequence[int],
    cells: Sequence[int],
    name: str,
    rows: Sequence[str],
    argument: str,
) -> None:
    words = [place for place in wrong if not _is_number_in_text(entries[place])]
    wrong = words or wrong  # in a file, the numbers of such a column are text too
    shown = listed([f"{entries[place]!r:.40} ({rows[place]})" for place in wrong], _SHOWN)
    is_all = len(wrong) == len(cells)
    # As in the tables that FreeSurfer makes of its volumes, whose first column names the subjects.
    are_names = len(words) == len(entries) == len(set(map(str, entries)))
    if is_all and all(_may_be_file(entries[place]) for place in wrong):
        remedy: str = (
            "a table of maps names its files in the column 'effects_map_path', beside "
            "'subject_label' and 'map_name'"
        )
    elif are_names and "(subject" not in rows[0]:
        remedy = f"if {name!r} holds the subjects, call it 'participant_id'"
    elif is_all:
        remedy = (
            f"if {name!r} is no region, leave the column out of the table (what is known of "
            "subjects belongs into "
            + either("design_matrix or confounds", "the table of participants")
            + "); numbers written as text are made numbers by pandas.to_numeric"
        )
    else:
        remedy = "write a number with a decimal point, or n/a where the value is missing"
    raise ArgumentError.about(
        argument, f"the column {name!r} of {argument} holds no numbers: {shown}", remedy
    )


def open_series(given: Any, name: str) -> RegionSource:
    """Open one map of regions: a Series, or a file with a column of names and one of numbers."""
    series = series_of_file(given_path(name, given), name) if is_table_file(given) else given
    import pandas as pd

    if isinstance(series, pd.DataFrame):
        raise ArgumentTypeError.about(
            name,
            f"{name} is a DataFrame with the columns {listed(list(map(str, series.columns)))}",
            "give one column of it, such as maps['z_score']",
        )
    if not isinstance(series, pd.Series):
        raise ArgumentTypeError.about(
            name,
            f"{name} is a {type(series).__name__}",
            "give a Series with one number a region, or its .tsv file",
        )
    names = list(map(str, series.index))
    file = series.attrs.get(FILE)
    called = file if isinstance(file, str) else name
    with naming_file(called):
        refuse_repeated(names, name, name)
        if not names:
            raise ArgumentError.about(name, f"{name} has no region", "give one number a region")
    # Infinite statistics exist: of an effect without residual variance.
    with naming_file(called):
        rows = [f"region {x}" for x in names]
        values = _numbers_of_column(series, str(series.name), rows, name)
    if series.dtype == np.float32:
        return RegionSource(called, RegionNames(tuple(names)), values.astype(np.float32))
    return RegionSource(called, RegionNames(tuple(names)), values)


def names_in_file(path: Path) -> list[str] | None:
    """Return the names of regions that a file lists; None if it is a map, or does not exist."""
    if not path.is_file():
        return None
    table = read_table(path, in_quotes(path), as_names=(REGION,))
    return table[REGION].tolist() if list(table.columns) == [REGION] else None


def series_of_file(path: Path, name: str) -> pd.Series[Any]:
    """Read a map that `groupglm.spaces.table.saving.save_table` wrote."""
    if not path.is_file():
        raise ImageError(f"{path}: File not found: check the name")
    table = read_table(path, in_quotes(path), as_names=(REGION,))
    if REGION not in table.columns or table.shape[1] != 2:
        raise ArgumentError.about(
            name,
            f"{in_quotes(path)} is no map of regions: its columns are "
            f"{listed(list(map(str, table.columns)))}",
            f"give a table with the column {REGION!r} and one column of numbers",
        )
    series = table.set_index(REGION).iloc[:, 0]
    series.attrs[FILE] = str(path)
    return series
