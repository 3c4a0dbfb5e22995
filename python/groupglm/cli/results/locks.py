# SPDX-License-Identifier: BSD-3-Clause
"""Only one run at a time writes the same results: `held`.

The lock is a lock of the operating system (``flock``) on a file beside the results. This lock file
says who holds the lock. The system frees the lock when the process ends, also if it is killed.

Some file systems have no such locks, or have them within one computer only. There, the content of
the lock file decides. If it names a process of this computer, the lock is held while this process
runs. If it names another computer, the lock is held while the file's time changes: the holder
touches it regularly.

The lock file lists the files that the holder may write. So two commands with different locks do not
write the same file, such as the page of a study.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groupglm.cli.options.typed_command import typed_command
from groupglm.runtime.regular_files import check_target, naming
from groupglm.runtime.sidecars import read_json
from groupglm.runtime.writing import is_running, this_host

__all__ = ["LOCK_PREFIX", "held"]

LOCK_PREFIX = ".groupglm-"
_TOUCHED_EVERY = 30.0  # s
_STALE_AFTER = 300.0  # s


@contextmanager
def held(folder: Path, name: str, where: str, *, files: Collection[str] = ()) -> Iterator[None]:
    """Hold the lock of some results."""
    path = folder / f"{LOCK_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}.lock"
    check_target(path)
    handle = _take(path, where)
    ended = threading.Event()
    toucher = threading.Thread(target=_keep_touching, args=(path, ended), daemon=True)
    try:
        with naming(folder):
            _write_holder(handle, files)
        _refuse_shared(path, files, where)  # of two that start at once, one sees the other
        toucher.start()
        yield
    finally:
        ended.set()
        _give_back(path, handle)


def _take(path: Path, where: str) -> int:
    """Return the locked file; refuse if another run holds it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        handle, is_new = _open(path, flags)
        taken = _lock(handle)
        holder = read_json(path)
        if taken is False or _is_held(holder, path, locked=taken is True, is_new=is_new):
            os.close(handle)
            raise _refusal(holder, path, where)
        try:
            mine, there = os.fstat(handle), path.stat()
        except FileNotFoundError:  # its holder has just removed it
            os.close(handle)
            continue
        if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
            return handle
        os.close(handle)


def _refuse_shared(own: Path, files: Collection[str], where: str) -> None:
    """Refuse if another lock of the folder is held by a run that may write one of these files."""
    for path in own.parent.glob(f"{LOCK_PREFIX}*.lock"):
        holder = read_json(path) if path != own else None
        theirs = holder.get("Files") if holder is not None else None
        if not isinstance(theirs, list) or set(files).isdisjoint(map(str, theirs)):
            continue
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # it has just been released
            continue
        try:
            taken = _lock(handle)
            if taken is False or _is_held(holder, path, locked=taken is True, is_new=False):
                raise _refusal(holder, path, where)
        finally:
            os.close(handle)


def _open(path: Path, flags: int) -> tuple[int, bool]:
    """Open the file; return whether this call made it."""
    try:
        return os.open(path, flags | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags, 0o666), False


def _lock(handle: int) -> bool | None:
    """Lock a file; return whether that worked, or None if the file system has no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the bytes that other runs read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_held(holder: Mapping[str, Any] | None, path: Path, *, locked: bool, is_new: bool) -> bool:
    """Return whether the content of a lock file says that its lock is held."""
    if is_new:
        return False
    if holder is None or not isinstance(holder.get("Process"), int):
        return not locked and _was_touched(path)  # its maker has not yet written its name
    if holder.get("Host") == this_host():
        return not locked and is_running(holder["Process"])
    return _was_touched(path)


def _was_touched(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _STALE_AFTER
    except OSError:
        return False


def _give_back(path: Path, handle: int) -> None:
    """Remove the file while no other run can hold it; release the lock in any case."""
    try:
        if sys.platform != "win32":  # Windows cannot remove an open file
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(handle)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):  # another run may hold it by now
            path.unlink()


def _keep_touching(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_TOUCHED_EVERY):
        with contextlib.suppress(OSError):
            os.utime(path)


def _write_holder(handle: int, files: Collection[str]) -> None:
    facts = {
        "Process": os.getpid(),
        "Host": this_host(),
        "Started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "Command": typed_command(),
        "Files": sorted(files),
    }
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(facts).encode())


def _refusal(holder: Mapping[str, Any] | None, path: Path, where: str) -> ValueError:
    known = holder or {}
    who = f"process {known.get('Process', 'of unknown number')}"
    host = known.get("Host", this_host())
    there = "" if host == this_host() else f" on {host}"
    since = f", since {known['Started']}" if "Started" in known else ""
    command = f": {known['Command']}" if known.get("Command") else ""
    remedy = "wait until it has ended, or give another place"
    if there:
        minutes = round(_STALE_AFTER / 60)
        remedy += f"; if it runs no more, try again in {minutes} minutes, or remove '{path}'"
    return ValueError(
        f"{where} is being written to by another groupglm ({who}{there}{since}{command}); {remedy}"
    )
