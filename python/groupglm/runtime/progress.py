# SPDX-License-Identifier: BSD-3-Clause
"""Reports to the user during long work: `Progress`, and `plain_lines` for a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from groupglm.runtime.terminal import show

__all__ = ["Progress", "plain_lines", "remark"]

_SECONDS = 10.0  # seconds before the first plain line, and between two lines at least
_SHARE = 0.05  # of the time so far, so that long work prints fewer lines


@dataclass(frozen=True)
class _Plain:
    """The destination of plain lines, and their clock."""

    write: Callable[[str], object]
    clock: Callable[[], float]


_PLAIN: ContextVar[_Plain | None] = ContextVar("plain lines", default=None)


@contextmanager
def plain_lines(write: Callable[[str], object], clock: Callable[[], float]) -> Iterator[None]:
    """Print lines instead of bars, for an error output that is not a terminal."""
    token = _PLAIN.set(_Plain(write, clock))
    try:
        yield
    finally:
        _PLAIN.reset(token)


def remark(text: str) -> None:
    """Print a remark during long work, where plain lines go, or else to the error output."""
    plain = _PLAIN.get()
    if plain is None:
        show(text, sys.stderr)
    else:
        plain.write(text)


class Progress:
    """Lines and bars by the level that the user asked for.

    Parameters
    ----------
    verbose : int, default=0
        0: silent. From 1 on: results, one line each, and a bar while something runs, if the error
        output is a terminal (a log holds lines only; see `plain_lines`). From 2 on: each stage.
    """

    def __init__(self, verbose: int = 0) -> None:
        from groupglm.runtime.arguments import (
            check_verbose,
        )  # it needs numpy, without which the commands start

        self._verbose = check_verbose(verbose)

    def result(self, text: str) -> None:
        """Print a result, from level 1 on."""
        if self._verbose >= 1:
            show(text)

    def stage(self, text: str) -> None:
        """Print the name of a step that begins, from level 2 on."""
        if self._verbose >= 2:
            show(text)

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        """Show the progress of the work."""
        if self._verbose < 1:
            yield _ignore
            return
        if not sys.stderr.isatty():
            plain = _PLAIN.get()
            yield _ignore if plain is None else _Lines(total, what, plain).update
            return
        from tqdm import tqdm

        with tqdm(total=total, unit=f" {what}", leave=False, file=sys.stderr) as shown:
            yield shown.update


class _Lines:
    """Occasional lines that report progress; work that is done soon has none."""

    def __init__(self, total: int, what: str, plain: _Plain) -> None:
        self._total = total
        self._what = what
        self._plain = plain
        self._done = 0
        self._start = self._last = plain.clock()

    def update(self, steps: int) -> None:
        self._done += steps
        now = self._plain.clock()
        spent = now - self._start
        if now - self._last < max(_SECONDS, _SHARE * spent) or not 0 < self._done < self._total:
            return
        self._last = now
        left = spent * (self._total - self._done) / self._done
        self._plain.write(f"{self._what}: {self._done} of {self._total}, {_in_words(left)} left")


def _in_words(seconds: float) -> str:
    if seconds < 10:
        return "less than 10 s"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} h"


def _ignore(steps: int) -> None:
    del steps
