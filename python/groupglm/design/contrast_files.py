# SPDX-License-Identifier: BSD-3-Clause
"""Lists of contrasts in files: FSL's .con and .fts, vectors as SPM has them, and tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.collinearity import quote_names
from groupglm.design.column_names import ColumnNames
from groupglm.design.contrasts import contrast_matrix
from groupglm.design.fsl_files import FSL_DESIGN, FslMatrix, read_fsl_matrix
from groupglm.design.matrix import load_design_matrix
from groupglm.design.number_texts import check_text_file, numbers_of, read_number_text
from groupglm.errors import ArgumentError, in_quotes, renamed, shown
from groupglm.messages import text_of
from groupglm.runtime.naming import counted
from groupglm.runtime.paths import given_path
from groupglm.tabular.files import read_cells
from groupglm.tabular.labels import near_labels, near_words

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["F_TESTS", "load_contrasts"]

F_TESTS = ".fts"
"""The ending of FSL's F tests, which are sets of the contrasts of another file."""

_Rows = list[list[float]]
_COMMENT = re.compile(r"[%#].*")


def load_contrasts(
    path: str | PathLike[str],
    design_matrix: pd.DataFrame | str | PathLike[str] | Sequence[str],
    *,
    f_tests: str | PathLike[str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    r"""Read a list of contrasts from a file of another program, or from a table.

    Parameters
    ----------
    path : path
        The format follows the ending.

        - ``.con``: contrasts as FSL writes them, also with the ending ``.mat``. The names are those
          of ``/ContrastName1`` and so on.
        - ``.txt``: a line a contrast, as vectors of SPM: ``1 -1 0``, with ``;`` between the rows of
          an F contrast (``1 -1 0; 0 1 -1``). Brackets around it, and a name before an equals sign,
          may be there; ``%`` and ``#`` begin comments.
        - ``.tsv``, ``.csv``: the first column holds the names, and each other column the weights of
          the column of the design with its name, in any order. Rows with the same name are the
          rows of one F contrast.

        Contrasts without a name are called t1, t2 or F1, F2, by their place in the file.
    design_matrix : pandas.DataFrame, path or sequence of str
        The design, or the names of its columns. Numbers in the formats of FSL and SPM are in the
        order of these columns.
    f_tests : path, optional
        FSL's ``.fts`` beside a ``.con``: each row is an F contrast of the contrasts that have a 1.
        They are called F1, F2 and so on, and come after the others.

    Returns
    -------
    dict of str to array
        By name, in the order of the file: shape (n_columns,) for t, (n_rows, n_columns) for F. Each
        is a contrast for `SecondLevelModel.compute_contrast`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of these formats, its numbers are not those of the design's columns, are
        not finite or all zero, or two contrasts have one name.

    Notes
    -----
    Nothing in the file is executed. A vector shorter than the design, which SPM would fill up with
    zeros, is refused.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "contrasts.txt").write_text("patients > controls = [-1 1 0]\n0 0 1 % age\n")
    >>> load_contrasts(folder / "contrasts.txt", ["control", "patient", "age"])
    {'patients > controls': array([-1.,  1.,  0.]), 't2': array([0., 0., 1.])}
    """
    file = given_path("path", path)
    columns = _columns(design_matrix)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        own = "it holds F tests: give it as f_tests, beside its .con; " * (file.suffix == F_TESTS)
        raise ArgumentError(
            "path",
            in_quotes(file),
            "a file of contrasts that ends in .con, .mat (both of FSL), .txt, .tsv or .csv",
            f"{own}save it in one of these formats",
        )
    called = f"the file of contrasts {in_quotes(file)}"
    if not os.path.lexists(file):
        raise FileNotFoundError(f"{called} does not exist; check the name")
    found = read(file, called, columns)
    if f_tests is not None:
        with renamed(path="f_tests"):
            found += _f_tests(given_path("f_tests", f_tests), found, file)
    return _checked(found, called, columns)


def _columns(design_matrix: Any) -> list[str]:
    if isinstance(design_matrix, (list, tuple)):
        return [str(name) for name in design_matrix]
    return [str(name) for name in load_design_matrix(design_matrix).columns]


def _checked(
    found: list[tuple[str, _Rows, bool]], called: str, columns: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return the contrasts by name, each checked as one that a user gives."""
    contrasts: dict[str, NDArray[np.float64]] = {}
    for name, rows, is_f in found:
        if name in contrasts:
            raise ArgumentError.about(
                "path",
                f"{called} has several contrasts called {in_quotes(name)}",
                "give each a name of its own",
            )
        try:
            checked = [contrast_matrix(row, columns) for row in rows]
        except ValueError as error:
            message = f"{called}: contrast {in_quotes(name)}: " + text_of(error)
            raise ArgumentError.about("path", message) from error
        contrasts[name] = np.stack(checked) if is_f else checked[0]
    return contrasts


def _read_fsl(path: Path, called: str, columns: Sequence[str]) -> list[tuple[str, _Rows, bool]]:
    matrix = read_fsl_matrix(path, called)
    _check_width(matrix, called, columns)
    rows = matrix.numbers.tolist()
    return [(matrix.names.get(i, f"t{i}"), [row], False) for i, row in enumerate(rows, 1)]


def _check_width(matrix: FslMatrix, called: str, columns: Sequence[str]) -> None:
    if matrix.numbers.shape[1] != len(columns):
        raise ArgumentError.about(
            "path",
            f"{called} has {counted(matrix.numbers.shape[1], 'number')} a contrast, but the design "
            f"has {counted(len(columns), 'column')}, {quote_names(columns)}",
            "give one number for each, in this order; 0 leaves a column out",
        )


def _f_tests(
    path: Path, contrasts: Sequence[tuple[str, _Rows, bool]], file: Path
) -> list[tuple[str, _Rows, bool]]:
    """Read which contrasts of a file are tested together."""
    called = f"the file of F tests {in_quotes(path)}"
    if path.suffix.lower() != F_TESTS or file.suffix.lower() != ".con":
        raise ArgumentError(
            "path", in_quotes(path), "FSL's .fts, of the contrasts in a .con", "give both files"
        )
    sets = read_fsl_matrix(path, called).numbers
    if sets.shape[1] != len(contrasts):
        raise ArgumentError.about(
            "path",
            f"{called} has {counted(sets.shape[1], 'number')} a row, but {in_quotes(file)} has "
            f"{counted(len(contrasts), 'contrast')}",
            "give the two files of one design",
        )
    if not np.isin(sets, (0.0, 1.0)).all():
        other = sets[~np.isin(sets, (0.0, 1.0))][0]
        raise ArgumentError.about(
            "path",
            f"{called} has the number {other:g}",
            "write 1 for a contrast that belongs to the F test, 0 for one that does not",
        )
    tests = []
    for number, members in enumerate(sets.astype(bool), 1):
        if not members.any():
            raise ArgumentError.about(
                "path",
                f"{called}: F test {number} holds no contrast",
                "write 1 for a contrast that belongs to it, or leave the row out",
            )
        rows = [contrasts[i][1][0] for i in np.flatnonzero(members).tolist()]
        tests.append((f"F{number}", rows, True))
    return tests


def _read_vectors(path: Path, called: str, columns: Sequence[str]) -> list[tuple[str, _Rows, bool]]:
    """Read vectors as SPM has them, a statement a line; brackets may go over several lines."""
    found: list[tuple[str, _Rows, bool]] = []
    pending, first = "", 0
    for number, line in enumerate(read_number_text(path, called).splitlines(), 1):
        text = _COMMENT.sub("", line).strip()
        if not text:
            continue
        pending, first = (f"{pending};{text}", first) if pending else (text, number)
        if pending.count("[") > pending.count("]"):
            continue
        where = f"{called}, line {first},"
        found.append(_vector(pending, where, len(found) + 1, columns))
        pending = ""
    if pending:
        raise ArgumentError.about(
            "path",
            f"{called}, line {first}, opens a bracket that is not closed",
            "write [1 -1 0], with ; between the rows of an F contrast",
        )
    if not found:
        raise ArgumentError.about("path", f"{called} has no contrast", "give a line of numbers")
    return found


def _vector(text: str, where: str, number: int, columns: Sequence[str]) -> tuple[str, _Rows, bool]:
    name, _, numbers = text.rpartition("=")
    numbers = numbers.strip().removesuffix(";").strip()
    if numbers.startswith("[") and numbers.endswith("]"):
        numbers = numbers[1:-1]
    if "[" in numbers or "]" in numbers:
        raise ArgumentError.about(
            "path",
            f"{where} is {shown(text, 60)}, with brackets inside of it",
            "write [1 -1 0], with ; between the rows of an F contrast",
        )
    of = f"columns of the design, {quote_names(columns)}"
    parts = [part.replace(",", " ").split() for part in numbers.split(";")]
    rows = [numbers_of(part, where, len(columns), of) for part in parts if part]
    if not rows:
        raise ArgumentError.about("path", f"{where} has no number", "write a vector, or leave it")
    is_f = len(rows) > 1
    return name.strip() or f"{'F' if is_f else 't'}{number}", rows, is_f


def _read_table(path: Path, called: str, columns: Sequence[str]) -> list[tuple[str, _Rows, bool]]:
    """Read a table whose header names the columns of the design."""
    check_text_file(path, called)
    header, *lines = read_cells(path, called)
    order = _order(header, called, columns)
    rows: dict[str, _Rows] = {}
    for number, line in enumerate(lines, 1):
        name = line[0].strip()
        if not name:
            raise ArgumentError.about(
                "path", f"{called}, row {number}, has no name in its first column", "give it one"
            )
        given = numbers_of([word.strip() for word in line[1:]], f"{called}, row {number},", None)
        rows.setdefault(name, []).append([given[place] for place in order])
    if not rows:
        raise ArgumentError.about(
            "path", f"{called} has a header, and no row below it", "give one row for each contrast"
        )
    return [(name, own, len(own) > 1) for name, own in rows.items()]


def _order(header: Sequence[str], called: str, columns: Sequence[str]) -> list[int]:
    """Return where the table has the weights of each column of the design."""
    known = ColumnNames(columns)
    meant = [known.column(name.strip()) for name in header[1:]]
    if header[0].strip() in columns and None not in meant:
        raise ArgumentError.about(
            "path",
            f"{called} has {in_quotes(header[0])} as its first column, a column of the design",
            "give the names of the contrasts in the first column",
        )
    unknown = [name for name, column in zip(header[1:], meant, strict=True) if column is None]
    absent = [name for name in columns if name not in meant]
    if unknown or absent:
        told = []
        if unknown:
            told.append(f"has {quote_names(unknown)}, which the design does not have")
        if absent:
            told.append(f"lacks the design's {quote_names(absent)}")
        raise ArgumentError.about(
            "path",
            f"{called} {', and '.join(told)}",
            "give a column for each column of the design, with 0 where it is left out"
            + near_words(near_labels(absent, unknown)),
        )
    twice = [name for name in columns if meant.count(name) > 1]
    if twice:
        raise ArgumentError.about(
            "path", f"{called} has several columns for {quote_names(twice)}", "keep one of each"
        )
    return [meant.index(name) for name in columns]


_READERS: dict[str, Callable[[Path, str, Sequence[str]], list[tuple[str, _Rows, bool]]]] = {
    ".con": _read_fsl,
    FSL_DESIGN: _read_fsl,
    ".txt": _read_vectors,
    ".tsv": _read_table,
    ".csv": _read_table,
}
