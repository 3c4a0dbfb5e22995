# SPDX-License-Identifier: BSD-3-Clause
"""FSL's text files of numbers: design.mat, design.con and design.fts.

Lines that begin with ``/`` say what follows; below ``/Matrix`` is one line of numbers a row::

    /ContrastName1  patients > controls
    /NumWaves       2
    /NumContrasts   1
    /PPheights      1.0
    /RequiredEffect 0.5

    /Matrix
    -1 1
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groupglm.design.number_texts import numbers_of, read_number_text
from groupglm.errors import ArgumentError, shown
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FSL_DESIGN", "FslMatrix", "read_fsl_matrix"]

FSL_DESIGN = ".mat"
"""The ending of FSL's design matrices."""

_KNOWN = ("NumWaves", "NumPoints", "NumContrasts", "PPheights", "RequiredEffect", "Matrix")
_NAME = re.compile(r"ContrastName([1-9]\d{0,5})")
_COUNTS = {"NumWaves": (1, "column"), "NumPoints": (0, "row"), "NumContrasts": (0, "row")}


@dataclass(frozen=True, eq=False)
class FslMatrix:
    """The numbers of a file of FSL, and what its header says.

    Parameters
    ----------
    numbers : array, shape (n_rows, n_columns)
        The matrix.
    names : mapping of int to str
        The names of its rows, by their number from 1; those of contrasts have some.
    """

    numbers: NDArray[np.float64]
    names: Mapping[int, str]


def read_fsl_matrix(path: Path, called: str) -> FslMatrix:
    r"""Read a design or a list of contrasts in FSL's format.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "design.con"
    >>> _ = path.write_text("/ContrastName1\tage\n/NumWaves\t2\n/NumContrasts\t1\n/Matrix\n0 1\n")
    >>> read_fsl_matrix(path, "the file")
    FslMatrix(numbers=array([[0., 1.]]), names={1: 'age'})
    """
    lines = read_number_text(path, called).splitlines()
    header: dict[str, str] = {}
    start = 0
    while "Matrix" not in header:
        if start == len(lines):
            raise ArgumentError.about(
                "path",
                called + " has no line /Matrix, below which FSL's files have their numbers",
                "give a file as FSL's Glm or Text2Vest writes it",
            )
        key, text = _header_line(lines[start], called + f", line {start + 1},", header)
        header |= {key: text} if key else {}
        start += 1
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start:], start + 1):
        if line.strip():
            wanted = len(rows[0]) if rows else None
            where = called + f", line {number},"
            rows.append(numbers_of(line.split(), where, wanted, "in the rows above"))
    if not rows:
        raise ArgumentError.about(
            "path", called + " has no number below /Matrix", "give one line of numbers for each row"
        )
    values = np.array(rows)
    for key, (axis, noun) in _COUNTS.items():
        if key in header and header[key] != str(values.shape[axis]):
            raise ArgumentError.about(
                "path",
                called + f" says /{key} {shown(header[key], 40)}, but below /Matrix it has "
                f"{counted(values.shape[axis], noun)}",
                "correct one of the two, or copy the file again",
            )
    found = {_NAME.fullmatch(key): text for key, text in header.items()}
    names = {int(match[1]): text for match, text in found.items() if match is not None and text}
    if names and max(names) > len(values):
        raise ArgumentError.about(
            "path",
            called + f" has /ContrastName{max(names)}, but {counted(len(values), 'contrast')}",
            "correct one of the two, or copy the file again",
        )
    return FslMatrix(values, names)


def _header_line(line: str, where: str, header: Mapping[str, str]) -> tuple[str, str]:
    """Return what a line above the matrix says; "" of an empty line."""
    words = line.split(maxsplit=1)
    if not words:
        return "", ""
    key = words[0].removeprefix("/")
    if not words[0].startswith("/"):
        raise ArgumentError.about(
            "path",
            where + f" is {shown(line.strip(), 60)}, but lines above /Matrix begin with / in FSL's "
            "files",
            "give a file as FSL's Glm or Text2Vest writes it; numbers alone can be a .txt file",
        )
    if key not in _KNOWN and not _NAME.fullmatch(key):
        known = ", ".join(f"/{each}" for each in ("ContrastName1", *_KNOWN))
        raise ArgumentError.about(
            "path",
            where + f" is {shown('/' + key, 60)}, which is not known",
            f"known are {known}; leave it out if it says nothing about the numbers",
        )
    if key in header:
        raise ArgumentError.about(
            "path", where + f" is /{key} for the second time", "keep one of the lines"
        )
    return key, words[1].strip() if len(words) > 1 else ""
