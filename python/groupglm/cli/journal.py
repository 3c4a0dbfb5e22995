# SPDX-License-Identifier: BSD-3-Clause
"""The messages of a command, on the terminal and in a log."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, cast

import click

from groupglm.cli.wording import as_options
from groupglm.errors import printable
from groupglm.runtime.progress import plain_lines
from groupglm.runtime.rounding import for_json
from groupglm.runtime.terminal import show
from groupglm.runtime.writing import append

__all__ = ["Journal"]


class Journal:
    """Lines for the user and for the log, and at the end one summary for a program.

    Parameters
    ----------
    as_json : bool
        Whether the output is for a program: lines then go to the error output, so that the output
        holds the summary and nothing else.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # The streams as they are now, because `listening` replaces the standard output.
        self._output = sys.stdout
        self._stream = sys.stderr if as_json else sys.stdout
        self._log: list[str] = []
        self._warnings: set[str] = set()

    def say(self, text: str = "") -> None:
        """Show lines, and keep them for the log."""
        show(text, self._stream)
        self._keep(text)

    def warn(self, text: str) -> None:
        """Show a warning on the error output, and keep it for the log; each only once."""
        line = f"Warning: {' '.join(text.split())}"
        if line in self._warnings:  # the fit and the permutation test read the same images
            return
        self._warnings.add(line)
        show(line, sys.stderr)
        self._keep(line)

    def _progress(self, line: str) -> None:
        """Show the progress of long work, where a terminal would have a bar."""
        show(line, sys.stderr)
        self._keep(line)

    def _keep(self, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self._log.extend(f"{now}  {line}" for line in printable(text).split("\n"))

    def summary(self, facts: dict[str, Any]) -> None:
        """Print the summary, if it is for a program."""
        if self.as_json:
            show(json.dumps(for_json(facts), indent=2, allow_nan=False), self._output)

    def _append_to(self, log: Path) -> None:
        """Append to the log; failing to write it is a warning, not an error."""
        text = "".join(f"{line}\n" for line in self._log)
        try:
            append(log, text.encode(errors="backslashreplace"))
        except OSError as error:
            why = error.strerror or str(error)
            show(f"Warning: the log '{log}' cannot be written: {why}", sys.stderr)

    @contextlib.contextmanager
    def listening(self, log: Path | None = None) -> Iterator[None]:
        """Catch the package's output and warnings; append all to a log, also after an error.

        Long work reports its progress in lines, unless a terminal shows a bar.
        """
        said = cast("Any", _Lines(self))
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(said),
                plain_lines(self._progress, monotonic),
            ):
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = lambda message, *_args, **_options: self.warn(
                    _as_options(message)
                )
                yield
        except BaseException as error:
            self._keep(
                f"Stopped: {type(error).__name__} {' '.join(_as_options(error).split())}".rstrip()
            )
            raise
        finally:
            if log is not None and log.parent.is_dir():
                self._append_to(log)


def _as_options(said: Warning | BaseException | str) -> str:
    """Return a message with options in place of the package's arguments."""
    context = click.get_current_context(silent=True)
    return as_options(said, None if context is None else context.info_name)


class _Lines(io.TextIOBase):
    """The standard output while the package works: each line goes to the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._open = (self._open + text).split("\n")
        for line in whole:
            self._journal.say(line)
        return len(text)
