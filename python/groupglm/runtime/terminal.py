# SPDX-License-Identifier: BSD-3-Clause
"""Text for terminals that may be closed or lack characters: `show`, `ready_streams`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from groupglm.errors import printable

__all__ = ["ready_streams", "show"]


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a line on any terminal; print nothing if it is closed."""
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
    """Let a program use all three standard streams, even if some were closed at its start.

    A closed stream is connected to the null device. Otherwise a file opened later would get its
    number, and receive what others print. Characters that the terminal lacks are written as
    escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
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
