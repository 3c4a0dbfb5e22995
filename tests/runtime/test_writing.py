# SPDX-License-Identifier: BSD-3-Clause
"""Files written whole or not at all, and what a killed process leaves of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groupglm.runtime.writing import append, clean_drafts, draft_folder, whole_or_not, write_whole

posix = pytest.mark.skipif(os.name == "nt", reason="sends a signal of POSIX")

KILLED = """
import os, sys, time
from pathlib import Path
from groupglm.runtime.writing import draft_folder, whole_or_not
out = Path(sys.argv[1])
with draft_folder(out) as folder, whole_or_not(out / "a.txt") as file:
    (folder / "b.txt").write_text("half")
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    time.sleep(60)
"""


def _kill_while_writing(folder: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", KILLED, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGKILL)


@posix
def test_drafts_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", b"whole")
    _kill_while_writing(tmp_path)
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    left = {path.name for path in tmp_path.iterdir()} - {"a.txt"}
    assert len(left) == 2
    with draft_folder(tmp_path) as own, whole_or_not(tmp_path / "c.txt") as file:
        file.write(b"c")
        assert set(clean_drafts(tmp_path)) == left
        assert own.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "c.txt"]


def test_drafts_of_another_computer_go_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("groupglm.runtime.writing.this_host", lambda: "another")
        with draft_folder(tmp_path) as folder:
            name = folder.name
    draft = tmp_path / name
    draft.write_text("half")
    assert clean_drafts(tmp_path) == []
    os.utime(draft, (0, 0))
    assert clean_drafts(tmp_path) == [name]


def test_files_with_similar_names_stay(tmp_path: Path) -> None:
    for name in (".groupglm-notes.tmp", ".a.nii.gz.0123456789ab.tmp", "groupglm.tmp", "a.tmp"):
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    assert clean_drafts(tmp_path) == []
    assert clean_drafts(tmp_path / "absent") == []


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 251}.txt"  # 255
    assert write_whole(path, b"whole").read_bytes() == b"whole"
    with pytest.raises(OSError, match="too long"):
        write_whole(tmp_path / f"{'n' * 252}.txt", b"whole")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power failure finds: content, then the name, then the folder's list of names."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        fsync(handle)

    def rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    write_whole(tmp_path / "a.txt", b"whole")
    if sys.platform == "linux":
        assert done == ["file", "rename", "folder"]


def test_a_file_system_that_cannot_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_handle: int) -> None:
        raise OSError(22, "Invalid argument")

    def fail(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", sync)
    assert write_whole(tmp_path / "a.txt", b"whole").read_bytes() == b"whole"
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(tmp_path / "a.txt", b"other")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


def test_bytes_are_appended_to_regular_files_only(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    append(path, b"one\n")
    path.write_bytes(path.read_bytes() + b"\xff\n")
    append(path, b"two\n")
    assert path.read_bytes() == b"one\n\xff\ntwo\n"
    with pytest.raises(OSError, match=r"irectory|Permission"):
        append(tmp_path, b"")
    if sys.platform == "linux":
        with pytest.raises(OSError, match="not a regular file"):
            append(Path("/dev/null"), b"")
