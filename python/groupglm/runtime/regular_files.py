# SPDX-License-Identifier: BSD-3-Clause
"""The only check of a path before it is opened: that it is a file with its own content.

Opening a pipe waits for a writer, perhaps for ever. A device such as ``/dev/zero`` never ends.
git-annex and Git LFS leave a small pointer in place of content that has not been fetched.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groupglm.errors import ArgumentError, in_quotes

__all__ = [
    "check_file",
    "check_target",
    "is_folder",
    "make_folder",
    "naming",
    "why_broken_link",
    "why_no_folder",
    "why_unreadable",
]

_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe, which can be read only once"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MAX_POINTER = 32 * 1024  # bytes: the limit of git-annex; that of LFS is 1,024
_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = re.compile(rb"/annex/objects/[^\n]+\n?")
_ANNEX_LINK = "annex/objects/"


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry of a folder is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # the link points to itself
        return False


def why_unreadable(path: str | os.PathLike[str]) -> str | None:
    """Return why a path is not a file with its own content.

    Examples
    --------
    >>> why_unreadable(os.devnull)
    'is a device, not a file; give a file'
    """
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each of many files is slow)
    except FileNotFoundError:
        return why_broken_link(path)
    except OSError as error:
        why = why_broken_link(path)
        if why is None and error.errno != errno.ENOTDIR:
            raise
        return why or f"is no file: {why_no_folder(Path(path).parent)}"
    except ValueError as error:  # of a null character
        return f"is no name of a file ({error}); check the name"
    if not stat.S_ISREG(status.st_mode):
        return f"is {_kind(status.st_mode)}, not a file; give a file"
    return _why_pointer(path) if 0 < status.st_size <= _MAX_POINTER else None


def check_file(
    path: str | os.PathLike[str],
    called: str | None = None,
    error: type[ValueError] | None = None,
) -> None:
    """Refuse a path that is not a file with its own content."""
    why = why_unreadable(path)
    if why is not None:
        words = (called or repr(os.fspath(path))) + f" {why}"
        raise ArgumentError.about("path", words) if error is None else error(words)


def check_target(path: Path) -> None:
    """Refuse to replace anything but a file; replacing a device would break it for all users."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is there, or writing will say what is wrong
        why = _why_broken(path)
        if why is None:
            return
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} {why}, and it would be replaced",
            "give the name of a new file",
        ) from None
    if not stat.S_ISREG(mode):
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} is {kind_of(path)}, and a file cannot take its place",
            "give the name of a new file",
        )


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Add a file's name to a system error: reading and writing an open file raise errors without.

    Examples
    --------
    >>> with naming("mask.nii.gz"):
    ...     raise OSError(5, "Input/output error")
    Traceback (most recent call last):
    OSError: [Errno 5] Input/output error: 'mask.nii.gz'
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def kind_of(path: Path) -> str:
    """Return the kind of what exists at a path: "a file", "a socket"."""
    return _kind(path.stat().st_mode).partition(",")[0]


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "of an unknown kind")


def why_broken_link(path: str | os.PathLike[str]) -> str | None:
    """Return where a broken link leads, in words; None if the path is no broken link."""
    why = _why_broken(path)
    if why is None:
        return None
    if _ANNEX_LINK in os.readlink(path).replace(os.sep, "/"):  # noqa: PTH115
        return _annexed(path)
    return f"{why}; copy the file again"


def why_no_folder(folder: Path) -> str | None:
    """Return why no folder is at a path and none can be made; None if the reason is unknown.

    Examples
    --------
    >>> why_no_folder(Path(os.devnull) / "results")
    "'/dev/null' is a device"
    """
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            why = _why_broken(place)
            if why is None and not place.is_dir():
                why = f"is {kind_of(place)}"
            return None if why is None else f"{in_quotes(place)} {why}"
    return None


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, unless it exists."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = why_no_folder(folder)
        if why is None:
            raise
        raise NotADirectoryError(
            f"{in_quotes(folder)} cannot be a folder: {why}; give another place, or move that away"
        ) from error


def _why_broken(path: str | os.PathLike[str]) -> str | None:
    try:
        target = os.readlink(path)  # noqa: PTH115
    except OSError:
        return None
    try:
        os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return f"is a link to {in_quotes(target)}, which does not exist"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return f"is a link that leads back to itself (to {in_quotes(target)})"
        if error.errno == errno.ENOTDIR:
            return f"is a link to {in_quotes(target)}, which lies below a file"
    return None


def _why_pointer(path: str | os.PathLike[str]) -> str | None:
    with naming(path), open(path, "rb") as file:  # noqa: PTH123
        start = file.read(_MAX_POINTER)
    if start.startswith(_LFS):
        return (
            "is a pointer of Git LFS, the content of the file is not on this machine; run "
            "'git lfs pull'"
        )
    return _annexed(path) if _ANNEX.match(start) else None


def _annexed(path: str | os.PathLike[str]) -> str:
    return (
        "is a pointer of git-annex, the content of the file is not on this machine; run "
        f"'git annex get {os.path.basename(path)}', or 'datalad get'"  # noqa: PTH119
    )
