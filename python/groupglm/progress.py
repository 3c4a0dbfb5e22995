# SPDX-License-Identifier: BSD-3-Clause
"""What long work tells the user while it runs: `Progress`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Progress"]


class Progress:
    """Lines and bars by the level that the user asked for.

    Parameters
    ----------
    verbose : int, default=0
        0: silent. From 1 on: results, one line each, and a bar while something runs, if the error
        output is a terminal (a log holds lines only). From 2 on: each stage.
    """

    def __init__(self, verbose: int = 0) -> None:
        self._verbose = int(verbose)

    def result(self, text: str) -> None:
        """Print what was done, from level 1 on."""
        if self._verbose >= 1:
            print(text, flush=True)  # noqa: T201  (what verbose asks for)

    def stage(self, text: str) -> None:
        """Print what begins, from level 2 on."""
        if self._verbose >= 2:
            print(text, flush=True)  # noqa: T201

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        """Show how far the work has come.

        Parameters
        ----------
        total : int
            How many steps there are.
        what : str
            What they are, for instance "images".

        Yields
        ------
        callable
            To be called with the number of steps that have just been done.
        """
        if self._verbose < 1 or not sys.stderr.isatty():
            yield _ignore
            return
        from tqdm import tqdm

        with tqdm(total=total, unit=f" {what}", leave=False, file=sys.stderr) as shown:
            yield shown.update


def _ignore(steps: int) -> None:
    del steps
