# SPDX-License-Identifier: BSD-3-Clause
"""Texts of numbers that other programs write: checked before they are read, a number at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from groupglm.errors import ArgumentError, shown
from groupglm.runtime.naming import counted
from groupglm.runtime.regular_files import check_file
from groupglm.tabular.files import read_text

__all__ = ["check_text_file", "numbers_of", "read_number_text"]

_MOST_BYTES = 2**26  # 64 MiB, some 4 million numbers as FSL writes them
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BINARY = (
    (b"MATLAB 5.0 MAT-file", "a binary file of MATLAB, such as SPM.mat"),
    (b"MATLAB 7.3 MAT-file", "a binary file of MATLAB, such as SPM.mat"),
    (b"\x89HDF", "a binary file (HDF5)"),
    (b"PK\x03\x04", "a binary file (a spreadsheet, or another archive)"),
    (b"\x1f\x8b", "a compressed file"),
)
_SHOWN = 60  # characters of what is no number


def check_text_file(path: Path, called: str) -> None:
    """Refuse a file that is too large for a text of numbers, or is binary, before it is read."""
    check_file(path, called)
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ArgumentError.about(
            "path",
            called + f" has {size} bytes, more than {_MOST_BYTES}",
            "give the text file of a design or of its contrasts",
        )
    with path.open("rb") as file:
        start = file.read(4096)
    what = next((what for mark, what in _BINARY if start.startswith(mark)), None)
    if what is None and b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        what = "a binary file"
    if what is not None:
        raise ArgumentError.about(
            "path", called + f" is {what}", "write its numbers into a text file, a line a row"
        )


def read_number_text(path: Path, called: str) -> str:
    """Read a file of numbers in text."""
    check_text_file(path, called)
    text = read_text(path, called)
    if not text.strip():
        raise ArgumentError.about("path", called + " is empty", "give a file with numbers")
    return text


def numbers_of(words: Sequence[str], where: str, n_wanted: int | None, of: str = "") -> list[float]:
    """Return the numbers of a row; refuse words, NaN, infinity, and another number of them.

    Parameters
    ----------
    words : sequence of str
        The row.
    where : str
        What the row is called in messages: ``file 'a.con', line 3,``.
    n_wanted : int or None
        The number of values it must have.
    of : str
        What they are the numbers of: ``"columns of the design"``.

    Examples
    --------
    >>> numbers_of(["1", "-1e0", ".5"], "line 1", 3)
    [1.0, -1.0, 0.5]
    """
    if n_wanted is not None and len(words) != n_wanted:
        raise ArgumentError.about(
            "path",
            where + f" has {counted(len(words), 'number')}, but there are {n_wanted} {of}",
            "give one number for each; 0 leaves one out",
        )
    values = []
    for place, word in enumerate(words, 1):
        value = float(word) if _NUMBER.fullmatch(word) else float("nan")
        if not abs(value) < float("inf"):  # NaN too
            found = shown(word, _SHOWN) if word.strip() else "nothing"
            comma = "; decimals have a point, not a comma" if "," in word else ""
            raise ArgumentError.about(
                "path",
                where + f" has {found} as number {place}",
                f"give a finite number{comma}",
            )
        values.append(value)
    return values
