# SPDX-License-Identifier: BSD-3-Clause
"""Tables in files: the only reader of designs, participants and maps.

A .tsv has tabs, a .csv commas. A table is refused if reading it would silently shift, rename or
drop a value: rows of another length than the header, repeated names, another separator or encoding.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEPARATORS", "read_cells", "read_table", "read_text"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons"}
_MAX_FIELD = 1_000_000  # characters, far above those of any value


def read_table(
    path: Path, called: str, *, as_text: Iterable[str] = (), as_names: Iterable[str] = ()
) -> pd.DataFrame:
    r"""Read a table from a file.

    Columns of `as_text` hold text whatever it looks like; in those of `as_names`, even a word that
    elsewhere stands for a missing value, such as NA, is a name.

    Notes
    -----
    Time and memory are linear in the size of the file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "people.tsv"
    >>> _ = path.write_text("participant_id\tage\n01\t31\n\n02\tn/a\n")
    >>> read_table(path, "the table", as_text=["participant_id"])
      participant_id   age
    0             01  31.0
    1             02   NaN
    """
    import pandas as pd

    rows = read_cells(path, called)
    header = rows[0]
    # Values get the types that pandas infers from the text of a column, as everywhere else.
    plain = io.StringIO()
    csv.writer(plain, lineterminator="\n").writerows(rows)
    plain.seek(0)
    text: dict[str, type] = {name: str for name in as_text if name in header}
    frame: pd.DataFrame = pd.read_csv(plain, dtype=text, index_col=False, low_memory=False)
    for name in set(as_names) & set(header):
        column = header.index(name)
        frame[name] = [row[column] for row in rows[1:]]
    return frame


def read_cells(path: Path, called: str) -> list[list[str]]:
    """Read a table as text: the header, then the rows, all of one length.

    A value that is ``n/a`` is empty. Empty rows are left out.
    """
    separator = SEPARATORS[path.suffix.lower()]
    rows = _rows(path, read_text(path, called), separator, called)
    if not rows:
        raise ArgumentError.about(
            "path",
            called + " cannot be read as a table: it is empty",
            "it needs a header line and then one line a row.",
        )
    return rows


def read_text(path: Path, called: str) -> str:
    """Read a file of text in UTF-8; another encoding is refused."""
    check_file(path, called)
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ArgumentError.about(
            "path", called + " is in UTF-16", "save it as 'CSV UTF-8', or as text in UTF-8."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ArgumentError.about(
            "path",
            called + f" is not in UTF-8: line {line} has the byte 0x{data[error.start]:02x}, "
            "perhaps a letter in Latin-1",
            "save it as 'CSV UTF-8', or as text in UTF-8.",
        ) from error


def _rows(path: Path, text: str, separator: str, called: str) -> list[list[str]]:
    """Return the header and the rows, all of one length; empty rows are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    limit = csv.field_size_limit(_MAX_FIELD)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if not any(value.strip() for value in row):
                continue
            rows.append([_without_word(value) for value in row] if rows else row)
            if len(rows) == 1:
                _check_header(row, called)
            if len(rows) == 2:
                _refuse_other_separator(rows, path, separator, called)
            if len(row) != len(rows[0]):
                raise ArgumentError.about(
                    "path", _another_length(row, rows[0], reader.line_num, called)
                )
    except csv.Error as error:
        raise ArgumentError.about(
            "path",
            called + f" cannot be read as a table: line {reader.line_num}: {error}",
            "each line needs as many values as the header, and a quotation mark its counterpart.",
        ) from error
    finally:
        csv.field_size_limit(limit)
    return rows


def _without_word(value: str) -> str:
    """Return "" for n/a in any case and between blanks, which pandas would take for text."""
    return "" if value.strip().casefold() == "n/a" else value


def _check_header(header: Sequence[str], called: str) -> None:
    repeated = sorted(name for name, n in Counter(header).items() if n > 1 and name)
    if repeated:  # which of them is meant is unknown
        raise ArgumentError.about(
            "path",
            called + f" has the column {', '.join(map(repr, repeated[:8]))} more than once",
            "give each column a name of its own.",
        )


def _another_length(row: Sequence[str], header: Sequence[str], line: int, called: str) -> str:
    if len(row) > len(header):
        return (
            called + f" has more values in a row than names in its header: line {line} has "
            f"{len(row)}, the header {len(header)}; name every column, and end no line with a "
            "separator."
        )
    return (
        called + f" has fewer values in a row than names in its header: line {line} has "
        f"{len(row)}, the header {len(header)}; write n/a where a value is missing."
    )


def _refuse_other_separator(
    rows: Sequence[Sequence[str]], path: Path, separator: str, called: str
) -> None:
    """Refuse a file whose first two lines show another separator than its suffix."""
    if len(rows[0]) > 1:
        return
    header, first = rows[0][0], separator.join(rows[1])
    for other, name in _NAMES.items():
        if other != separator and 0 < header.count(other) == first.count(other):
            comma = " and a decimal point" if other == ";" and "," in first else ""
            raise ArgumentError.about(
                "path",
                called + f" is separated by {name}, but its suffix {path.suffix} stands for "
                f"{_NAMES[separator]}",
                f"save it with {_NAMES[separator]}{comma}, such as by "
                f"to_csv(..., sep={separator!r}, index=False).",
            )
