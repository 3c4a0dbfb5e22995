# SPDX-License-Identifier: BSD-3-Clause
"""Write files whole or not at all: `write_whole`, `whole_or_not`, `draft_folder`.

A draft has another name than its file until it is whole. The name tells which process of which
computer writes it, so that a draft left by a killed process can be recognised.
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
# Errors of file systems that cannot do it, or cannot do it for a folder.
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EBADF}


@contextmanager
def whole_or_not(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces another file once all of it is on the disk."""
    check_target(path)
    # Beside the target, because a rename is atomic only within one file system. Opened by name,
    # because nobody else could read a file of tempfile's.
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
            # A write without space names no file, and a draft's name means nothing to the user.
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: Path, data: bytes | bytearray) -> Path:
    """Write a file so that a reader always sees all of it, or the file before it."""
    make_folder(path.parent)
    with whole_or_not(path) as file:
        file.write(data)
    return path


def append(path: Path, data: bytes) -> None:
    """Append to a regular file; several processes may do so at once.

    A file with other names (links) is left alone, because it may be an input. A pipe is not waited
    for.
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

    Only processes of this computer can be known to be dead. A draft of another computer is removed
    after a day.
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
    """Return whether a process of this computer runs; True if that cannot be known."""
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
    """Write a folder's entries to the disk, if the system can do that."""
    if os.name == "nt":  # Windows has no such call
        return
    with contextlib.suppress(PermissionError):  # a folder with permission to write but not to read
        handle = os.open(folder, os.O_RDONLY)
        try:
            _sync(handle)
        finally:
            os.close(handle)


def _sync(handle: int) -> None:
    """Write a file's content to the disk: a power failure after its rename then loses nothing."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _draft_name() -> str:
    # Of fixed length, whatever the target's name: a file system takes 255 bytes.
    return f".groupglm-{_host_digest()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _host_digest() -> str:
    return hashlib.sha256(this_host().encode()).hexdigest()[:8]
