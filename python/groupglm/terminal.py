# SPDX-License-Identifier: BSD-3-Clause
"""Text for a terminal that may be closed, odd or of few characters: `printable`, `show`.

Names of columns, files and contrasts come from files: what they hold must not drive a terminal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = ["printable", "ready_streams", "show"]

# Control characters but tab and line feed; what reverses the direction of text, or ends a line.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Write the characters out that would drive a terminal instead of being shown.

    Parameters
    ----------
    text : str
        Any; tabs and ends of lines stay.

    Returns
    -------
    str
        The same, but for control characters.

    Examples
    --------
    >>> print(printable("age\x1b[2J"))
    age\x1b[2J
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a line, whatever the terminal is; nothing where it is closed.

    Parameters
    ----------
    text : str
        The line, without its end.
    stream : file, optional
        Where to; standard output by default.

    Raises
    ------
    OSError
        If it cannot be written; the error names the stream.
    """
    stream = sys.stdout if stream is None else stream
    if stream is None or stream.closed:
        return
    line = f"{printable(text)}\n"
    try:
        try:
            stream.write(line)
        except UnicodeEncodeError as error:
            stream.write(line.encode(error.encoding, "backslashreplace").decode(error.encoding))
        stream.flush()
    except OSError as error:
        if error.errno is None or isinstance(error, BrokenPipeError):
            raise
        name = getattr(stream, "name", "")
        called = {"<stdout>": "standard output", "<stderr>": "error output"}.get(name, "output")
        raise type(error)(error.errno, error.strerror, called) from error


@contextmanager
def ready_streams() -> Iterator[None]:
    """Let a program write to all three standard streams, whatever it was started with.

    One that is closed leads to nowhere: a file opened later would get its number, and with it what
    others print. Characters that the terminal does not have are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    opened: dict[str, Any] = {}
    changed: list[tuple[Any, str]] = []
    try:
        for name in ("stdin", "stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                mode = "r" if name == "stdin" else "w"
                opened[name] = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115
                setattr(sys, name, opened[name])
            elif name != "stdin" and hasattr(stream, "reconfigure"):
                changed.append((stream, stream.errors))
                stream.reconfigure(errors="backslashreplace")
        yield
    finally:
        for stream, errors in changed:
            if not stream.closed:
                stream.reconfigure(errors=errors)
        for name, stream in opened.items():
            setattr(sys, name, None)
            stream.close()
