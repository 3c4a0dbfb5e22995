# SPDX-License-Identifier: BSD-3-Clause
"""Tables of the names of labels, from files of several programs: `read_label_table`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import check_file, naming
from groupglm.runtime.xml_elements import Element, XmlError, parse_xml

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["label_table"]

_LONGEST_NAME = 1000  # characters; each row of a table of clusters may have it
_MOST_BYTES = 10_000_000  # a table of names has some kB
_ENDINGS = (".tsv", ".csv", ".xml", ".txt", ".ctab", ".lut")
_NUMBERS = ("index", "value", "number", "label_id", "id", "key", "roi", "no", "label")
_NAMES = ("name", "label", "region", "label_name", "structure", "roi_name", "difumo_names")
# 17  Left-Hippocampus  220 216 20 0
_LINE = re.compile(r"\s*(-?\d{1,9})[\s,;]+(\S.*?)(?:(?:\s+\d{1,3}){3,4})?\s*")


def label_table(given: Any, argument: str = "labels") -> dict[int, str]:
    """Return the names of labels by number, of a file, a data frame or a mapping.

    Raises
    ------
    ValueError
        If it holds no names, two names of one number, or a very long one.
    """
    import pandas as pd

    if isinstance(given, Mapping):
        pairs = [
            (_number(number, argument), "" if name is None else str(name))
            for number, name in given.items()
        ]
    elif isinstance(given, pd.DataFrame):
        pairs = _of_frame(given, argument, argument)
    elif isinstance(given, str | os.PathLike):
        pairs = _of_file(given_path(argument, given), argument)
    else:
        raise ArgumentTypeError(
            argument,
            f"a {type(given).__name__}",
            "a file (.tsv, .csv, .xml, .txt), a DataFrame with the columns index and name, or a "
            "mapping of numbers to names",
            "a list does not say which number a name is of",
        )
    names: dict[int, str] = {}
    for number, text in pairs:
        name = " ".join(text.split())
        if len(name) > _LONGEST_NAME:
            raise ArgumentError(
                argument,
                f"a name of {len(name)} characters, that of the label {number}",
                remedy=f"give names of at most {_LONGEST_NAME}",
                verb="has",
            )
        if names.setdefault(number, name) != name:
            raise ArgumentError(
                argument,
                f"two names of the label {number}, {in_quotes(names[number])} and "
                f"{in_quotes(name)}",
                remedy="give each number one name",
                verb="has",
            )
    if not any(names.values()):
        called = f" of {in_quotes(given)}" if isinstance(given, str | os.PathLike) else ""
        raise ArgumentError.about(
            argument, f"the table of labels{called} names no label", "give a table with names"
        )
    return {number: name for number, name in names.items() if name}


def _of_file(path: Path, argument: str) -> list[tuple[int, str]]:
    ending = path.suffix.lower()
    called = f"the table of labels {in_quotes(path)}"
    if ending not in _ENDINGS:
        raise ArgumentError.about(
            argument,
            f"{called} has the ending {in_quotes(ending)}",
            "give a .tsv or .csv with the columns index and name, an .xml of FSL, or a .txt of "
            "FreeSurfer",
        )
    if not path.exists() and not path.is_symlink():
        raise ArgumentError.about(argument, f"{called} does not exist", "check the name")
    check_file(path, called)
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ArgumentError.about(
            argument,
            f"{called} has {size} bytes, and at most {_MOST_BYTES} are read",
            "give the table of names alone",
        )
    if ending in (".tsv", ".csv"):
        from groupglm.tabular.files import read_table

        return _of_frame(read_table(path, called, as_names=_name_columns()), called, argument)
    with naming(path):
        data = path.read_bytes()
    return _of_xml(data, called, argument) if ending == ".xml" else _of_text(data, called, argument)


def _name_columns() -> list[str]:
    """Return the columns of names in any case, so that a region called NA keeps its name."""
    return [written for name in _NAMES for written in (name, name.capitalize(), name.upper())]


def _of_frame(frame: pd.DataFrame, called: str, argument: str) -> list[tuple[int, str]]:
    """Return numbers and names of the columns that hold them."""
    columns = {str(name).strip().lower(): name for name in reversed(list(frame.columns))}
    number_at = next((columns[name] for name in _NUMBERS if name in columns), None)
    name_at = next(
        (columns[name] for name in _NAMES if name in columns and columns[name] != number_at), None
    )
    if number_at is None or name_at is None:
        raise ArgumentError.about(
            argument,
            f"{called} has the columns {', '.join(map(in_quotes, list(frame.columns)[:8]))}",
            "it needs one of numbers, called index, and one called name",
        )
    return [
        (_number(number, argument), str(name))
        for number, name in zip(frame[number_at], frame[name_at], strict=True)
        if isinstance(name, str)
    ]


def _number(given: Any, argument: str) -> int:
    """Return a label's number; refuse what is no whole number."""
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number) or number != round(number) or abs(number) >= 2**31:
        raise ArgumentError(
            argument,
            f"{str(given)[:40]!r} where a label's number is wanted",
            remedy="give whole numbers, as in the image",
            verb="has",
        )
    return int(number)


def _of_xml(data: bytes, called: str, argument: str) -> list[tuple[int, str]]:
    """Return the labels of an .xml of FSL, or of AAL's.

    FSL counts labels from 0. The numbers in its images of the most probable label are larger by
    one; those of an atlas of the type Label are the same.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:  # FSL's say that they are in Latin-1
        data = data.decode("latin-1").encode("utf-8")
    try:
        root = parse_xml(data)
    except XmlError as error:
        raise ArgumentError.about(
            argument, f"{called} cannot be read: {error}", "copy it again from its source"
        ) from error
    body = root.first("data")
    if root.name != "atlas" or body is None:
        raise ArgumentError.about(
            argument, f"{called} is no atlas of FSL", "give its .xml, or a .tsv"
        )
    header = root.first("header")
    kind = None if header is None else header.first("type")
    first = 0 if kind is not None and kind.text.strip().lower().startswith("label") else 1
    found = [_of_element(label, first, argument) for label in body.named("label")]
    return _some(found, called, argument)


def _of_element(label: Element, first: int, argument: str) -> tuple[int, str]:
    index, name = label.first("index"), label.first("name")
    if index is not None and name is not None:  # of AAL: the number in the image
        return _number(index.text.strip(), argument), name.text
    return _number(label.attributes.get("index", ""), argument) + first, label.text


def _of_text(data: bytes, called: str, argument: str) -> list[tuple[int, str]]:
    """Return the labels of FreeSurfer's table of colours, or of lines of a number and a name."""
    found = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        text = line.partition("#")[0]
        if not text.strip():
            continue
        match = _LINE.fullmatch(text[:2000])
        if match is None:
            raise ArgumentError.about(
                argument,
                f"{called}: line {number} is {in_quotes(line[:60])}",
                "each line needs a number and a name, and may have a colour: 17 Left-Hippocampus "
                "220 216 20 0",
            )
        found.append((int(match[1]), match[2]))
    return _some(found, called, argument)


def _some(found: list[tuple[int, str]], called: str, argument: str) -> list[tuple[int, str]]:
    if not found:
        raise ArgumentError.about(argument, f"{called} names no label", "check the file")
    return found
