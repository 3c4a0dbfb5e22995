# SPDX-License-Identifier: BSD-3-Clause
"""Write files whole or not at all: `write_whole`, `whole_or_not`, `draft_folder`.

A draft has another name until it is whole. The name says which process of which
computer writes it, so that a draft which a killed process left can be told from others.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from groupglm.runtime.regular_files import check_target, make_folder

__all__ = [
    "append",
    "clean_drafts",
    "draft_folder",
    "is_running",
    "sync_folder",
    "this_host",
    "whole_or_not",
    "write_whole",
]

_DRAFT = re.compile(r"\.groupglm-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.tmp")
_A_DAY = 86_400.0  # s
# What file systems answer that cannot do it, or not for a folder.
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EBADF}


@contextmanager
def whole_or_not(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of another once all is on the disk."""
    check_target(path)
    # Beside the target, because a rename is atomic only within one file system; opened by name
    # and not by tempfile, whose files nobody else may read.
    draft = path.with_name(_draft_name())
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            if durable:
                _sync(file.fileno())
        draft.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(draft)):
            # What cannot be written for want of space names no file, and no draft is the user's.
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: Path, data: bytes | bytearray) -> Path:
    """Write a file so that a reader always sees all of it, or the file before it."""
    make_folder(path.parent)
    with whole_or_not(path) as file:
        file.write(data)
    return path


def append(path: Path, data: bytes) -> None:
    """Append to a regular file, whoever else does so.

    A file with other names is left alone: it may be one that is read. A pipe is not waited for.
    """
    if path.is_symlink():
        raise OSError(errno.EINVAL, "it is a link", str(path))
    flags = ("O_NOFOLLOW", "O_WRONLY", "O_APPEND", "O_CREAT", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
    handle = os.open(path, sum(getattr(os, flag, 0) for flag in flags), 0o666)
    with open(handle, "ab") as file:  # noqa: PTH123 (an open file has no path)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if os.fstat(handle).st_nlink > 1:
            raise OSError(errno.EINVAL, "it has another name, by a hard link", str(path))
        file.write(data)


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for drafts that keep their names, within another; it is removed at the end."""
    drafts = folder / _draft_name()
    drafts.mkdir()
    try:
        yield drafts
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def clean_drafts(folder: Path) -> list[str]:
    """Remove the drafts that killed processes left in a folder; return their names.

    That is known of processes of this computer. A draft of another computer goes after a day.
    """
    removed = []
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _DRAFT.fullmatch(path.name)
        if found is None or not _is_left(path, found["host"], int(found["process"])):
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path.name)
    return removed


def _is_left(draft: Path, host: str, process: int) -> bool:
    if host == _host_digest() and not is_running(process):
        return True
    try:
        return time.time() - draft.lstat().st_mtime > _A_DAY
    except OSError:
        return False


def is_running(process: int) -> bool:
    """Tell whether a process of this computer runs; True where that cannot be known."""
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True


def this_host() -> str:
    """Return the name of this computer."""
    return socket.gethostname()


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on the disk, where the system can do that."""
    if os.name == "nt":  # has no such call
        return
    with contextlib.suppress(PermissionError):  # a folder that may be written but not read
        handle = os.open(folder, os.O_RDONLY)
        try:
            _sync(handle)
        finally:
            os.close(handle)


def _sync(handle: int) -> None:
    """Have a file's content on the disk, so that a power failure after its rename loses nothing."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _draft_name() -> str:
    # Of one length, however long the target's name is: a file system takes 255 bytes.
    return f".groupglm-{_host_digest()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _host_digest() -> str:
    return hashlib.sha256(this_host().encode()).hexdigest()[:8]
