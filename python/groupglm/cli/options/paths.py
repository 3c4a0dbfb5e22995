# SPDX-License-Identifier: BSD-3-Clause
"""Paths in options: `` `` is expanded here, once; no shell expands it in ``--output= /r``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from groupglm.runtime.paths import why_no_path
from groupglm.runtime.regular_files import why_broken_link, why_unreadable

__all__ = ["FILE", "FOLDER", "PLACE", "TO_FILE", "TO_FOLDER", "TO_PLACE", "expand"]


def expand(text: str) -> Path:
    """Return the path that a user means; a path in a folder called `` `` is made absolute.

    Examples
    --------
    >>> expand("~/results") == Path.home() / "results"
    True
    >>> expand("./~/results") == Path.cwd() / "~" / "results"
    True
    """
    path = Path(os.path.expanduser(text))  # noqa: PTH111 (a Path would drop the ./ of ./~)
    # Functions that write files expand   for users of Python; so no   may be left at the beginning.
    return Path.cwd() / path if str(path).startswith("~") else path


class _ExpandedPath(click.Path):
    """A path that is not empty; Python would take an empty one for the working directory.

    A file to read must be a file with content. The message says what it is instead, such as a
    pointer of git-annex.
    """

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            self.fail("the path is empty; give a path, or . for the working directory", param, ctx)
        why = why_no_path(value) if isinstance(value, str) else None
        if why is not None:
            self.fail(f"{value!r} {why}", param, ctx)
        path = expand(value) if isinstance(value, str) else value
        why = self._why_not(Path(path))
        if why is not None:
            self.fail(why, param, ctx)
        return super().convert(path, param, ctx)

    def _why_not(self, path: Path) -> str | None:
        """Return why a path cannot be read or written; None if click itself says it."""
        if not self.exists:
            broken = None if self.dir_okay else why_broken_link(path)
            return broken and f"{os.fspath(path)!r} {broken.partition(';')[0]}; give another name"
        if not self.file_okay:
            broken = why_broken_link(path)
            return broken and f"{os.fspath(path)!r} {broken.partition(';')[0]}; give a folder"
        if self.dir_okay and path.is_dir():
            return None
        why = why_unreadable(path)
        return why and f"{os.fspath(path)!r} {why}"


FILE = _ExpandedPath(exists=True, dir_okay=False, path_type=Path)
FOLDER = _ExpandedPath(exists=True, file_okay=False, path_type=Path)
PLACE = _ExpandedPath(exists=True, path_type=Path)  # a file or a folder
TO_FILE = _ExpandedPath(dir_okay=False, path_type=Path)
TO_FOLDER = _ExpandedPath(file_okay=False, path_type=Path)
TO_PLACE = _ExpandedPath(path_type=Path)
