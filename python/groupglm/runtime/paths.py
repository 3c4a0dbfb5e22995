# SPDX-License-Identifier: BSD-3-Clause
"""The gate for paths that a caller gives: `given_path`; and which are one file: `refuse_inputs`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes, printable
from groupglm.messages import argument as name_argument

__all__ = [
    "check_path",
    "file_identity",
    "file_names",
    "given_path",
    "refuse_inputs",
    "why_no_path",
]

# Most bytes of a name, and of a path, in nearly every file system and system.
_LONGEST_NAME = 255
_LONGEST_PATH = 4095
_SHOWN = 40  # characters shown of a longer path
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # one letter is a drive of Windows


def given_path(argument: str, value: object) -> Path:
    """Return a path that a caller gave, with ``~`` expanded.

    Examples
    --------
    >>> given_path("path", "")
    Traceback (most recent call last):
    groupglm.errors.ArgumentError: path is an empty path; give a file or a folder by its name
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ArgumentTypeError(
            argument, f"a {type(value).__name__}", "a path, a str or os.PathLike"
        )
    check_path(argument, text)
    if not _is_encodable(text):
        raise ArgumentError(
            argument,
            f"{text[:_SHOWN]!r}, which holds half of a character",
            remedy="check the name",
        )
    path = Path(os.path.expanduser(text))  # noqa: PTH111 (a Path would drop the ./ of ./~)
    if "\0" in text:
        raise ArgumentError(
            argument, f"{text[:_SHOWN]!r}, which holds a null character", remedy="check the name"
        )
    longest = max((_n_bytes(part) for part in path.parts), default=0)
    for what, found, most in (
        ("a name", longest, _LONGEST_NAME),
        ("a path", _n_bytes(str(path)), _LONGEST_PATH),
    ):
        if found > most:
            raise ArgumentError(
                argument,
                (
                    f"'{printable(text[:_SHOWN])}...' with {what} of {found} bytes, and file "
                    f"systems take {most}"
                ),
                remedy="give a shorter one",
            )
    return path


def why_no_path(text: str) -> str | None:
    """Return why a text cannot be a path; None if it can. The file system is not asked.

    Examples
    --------
    >>> why_no_path("https://example.org/map.nii")
    'is an address, and nothing is fetched: download the file, and give its path'
    """
    if not text:
        return "is an empty path; give a file or a folder by its name"
    if _ADDRESS.match(text):  # a Path would become a file in a folder "https:"
        return "is an address, and nothing is fetched: download the file, and give its path"
    return None


def check_path(
    argument: str, text: str, error: type[ValueError] | None = None, *, item: str = ""
) -> None:
    """Refuse an empty path, or an address of the web, by the name of its argument.

    `item` says which of several it is, as ``"item 1 of "``.
    """
    why = why_no_path(text)
    if why is not None:
        shown = "" if not text else f" {in_quotes(text[:_SHOWN])}, which"
        words = f"{' is' if shown else ''}{shown} {why}"
        if error is None:
            raise ArgumentError.about(argument, name_argument(argument) + words)
        raise error(item + name_argument(argument) + words)


def _is_encodable(text: str) -> bool:
    """Return whether a text can name a file; Python can name bytes that are not UTF-8, too."""
    try:
        _n_bytes(text)
    except UnicodeEncodeError:
        return False
    return True


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def file_identity(path: str | os.PathLike[str]) -> tuple[int, int] | str | None:
    """Return the identity of a file, equal under all its names and links; None if it is missing."""
    try:
        facts = os.stat(os.path.expanduser(path))  # noqa: PTH111, PTH116 (a Path would rewrite it)
    except (OSError, ValueError):
        return None
    # Some file systems of Windows do not number files.
    return (facts.st_dev, facts.st_ino) if facts.st_ino else os.path.realpath(path)


def file_names(given: Any) -> list[str]:
    """Return the name of the file of an image or a table, if it has one."""
    if isinstance(given, str | os.PathLike):
        return [str(given)]
    get = getattr(given, "get_filename", None)  # nibabel's images have it
    name = get() if callable(get) else None
    return [name] if isinstance(name, str) else []


def refuse_inputs(argument: str, path: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to overwrite a file that was read, under any name or link."""
    own = file_identity(path)
    if own is None:
        return
    for given in inputs:
        if file_identity(given) == own:
            raise ArgumentError(
                argument,
                f"{in_quotes(path)}, which is an input of this model "
                f"({in_quotes(os.fspath(given))})",
                remedy="it would be replaced: give the name of a new file",
            )
