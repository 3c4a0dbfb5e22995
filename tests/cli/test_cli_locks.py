# SPDX-License-Identifier: BSD-3-Clause
"""Two runs at once into one folder, and runs that were killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from groupglm.cli.results.locks import held
from reference.killing import assert_whole, ended_between_steps, environment
from reference.shell import basic, run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and locks of POSIX")
WHERE = "--output 'out'"


@contextmanager
def _running(folder: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that does not end, once it holds its lock."""
    command = [sys.executable, "-m", "groupglm.cli", *map(str, arguments)]
    with subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        try:
            until = time.monotonic() + 60
            while not any(path.stat().st_size for path in folder.glob(".groupglm-*.lock")):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def test_two_studies_at_once(study: Path, tmp_path: Path) -> None:
    """The second run says who runs the first; after a kill the same command can run again."""
    out = tmp_path / "out"
    endless = basic(study, out, "--n-perm", "10000000", "--n-jobs", "1")
    other: list[str | Path] = [
        study / "maps" / "*.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ 1", "--contrast", "mean=intercept", "--output", out,
    ]  # fmt: skip
    with _running(out, "permute", *endless) as first:
        for arguments in (["fit", *other], ["fit", *other, "--overwrite"], ["permute", *endless]):
            refused = run(*arguments)
            assert refused.exit_code == 1
            assert f"--output '{out}' is being written to by another groupglm" in refused.stderr
            assert f"process {first.pid}, since 2" in refused.stderr
            assert "permute" in refused.stderr
            assert "10000000" in refused.stderr
            assert "wait until it has ended, or give another place" in refused.stderr
            assert "Computation" not in refused.output
        aside = run("fit", *other[:-1], tmp_path / "aside")
        assert aside.exit_code == 0, aside.output
        assert run("fit", *other, "--dry-run").exit_code == 0
        first.send_signal(signal.SIGKILL)
        first.wait()
    again = run("permute", *basic(study, out, "--n-perm", "10"))
    assert again.exit_code == 0, again.output
    assert not [path for path in out.iterdir() if path.name.startswith(".groupglm")]


def test_two_demos_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _running(
        out, "demo", "--output", out, "--n-subjects", "900", "--voxel-size", "2"
    ) as first:
        refused = run("demo", "--output", out, "--n-subjects", "4", "--overwrite")
        assert refused.exit_code == 1
        assert f"is being written to by another groupglm (process {first.pid}" in refused.stderr


def test_a_terminated_run_gives_its_lock_back(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    endless = basic(study, out, "--n-perm", "10000000", "--n-jobs", "1")
    with _running(out, "permute", *endless) as first:
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 143
        assert not list(out.glob(".groupglm-*"))


HOLD = """
import sys, time
from pathlib import Path
from groupglm.cli.results.locks import held
with held(Path(sys.argv[1]), sys.argv[2], "there"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_commands_for_one_file(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("fit", *basic(study, out, "--save-model")).exit_code == 0
    z = out / "contrast-age_stat-z_statmap.nii.gz"
    commands: dict[str, list[str | Path]] = {
        "o.nii.gz": ["threshold", z, "--at", "3"],
        "o.tsv": ["clusters", z, "--threshold", "3"],
        "o.html": ["report", out],
    }
    for name, arguments in commands.items():
        with subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
            [sys.executable, "-c", HOLD, str(tmp_path), name],
            stdout=subprocess.PIPE,
            env=environment(),
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            refused = run(*arguments, "--output", tmp_path / name)
            assert refused.exit_code == 1
            assert f"--output '{tmp_path / name}' is being written to" in refused.stderr
            beside = run(*arguments, "--output", tmp_path / f"beside_{name}")
            assert beside.exit_code == 0, beside.output
            child.kill()
        assert run(*arguments, "--output", tmp_path / name).exit_code == 0


HOLD_STUDY = """
import sys, time
import groupglm.cli.steps.fit_study as fitting
from groupglm.cli import main

def run(*arguments):
    print("held", flush=True)
    time.sleep(60)

fitting.run = run
main(sys.argv[1:])
"""


def test_a_fit_and_a_command_for_one_of_its_files(study: Path, tmp_path: Path) -> None:
    """Whichever starts first, the other is refused; both may write other files into one folder."""
    out = tmp_path / "out"
    fit = ["fit", *basic(study, out, "--save-model", "--report", "--correct", "fdr:0.05")]
    assert run(*fit).exit_code == 0
    z = out / "contrast-age_stat-z_statmap.nii.gz"
    fdr = "contrast-age_stat-z_desc-fdr0p05"
    commands: dict[str, list[str | Path]] = {
        "report.html": ["report", out / "model.groupglm"],
        f"{fdr}_statmap.nii.gz": ["threshold", z, "--at", "3"],
        f"{fdr}_statmap.nii": ["threshold", z, "--at", "3"],  # of which the sidecar is one's
        "design_matrix.tsv": ["clusters", z, "--threshold", "3"],
    }
    with _child(HOLD_STUDY, *map(str, fit)) as first:
        for name, arguments in commands.items():
            refused = run(*arguments, "--output", out / name, "--overwrite")
            assert refused.exit_code == 1
            assert f"--output '{out / name}' is being written to" in refused.stderr
            assert f"process {first.pid}, since 2" in refused.stderr
        aside = run("report", out / "model.groupglm", "--output", out / "aside.html")
        assert aside.exit_code == 0, aside.output
    hold = HOLD.replace('"there"', '"there", files=[sys.argv[2]]')
    with _child(hold, str(out), "report.html") as first:
        refused = run(*fit)
        assert f"--output '{out}' is being written to by another" in refused.stderr
        assert f"process {first.pid}, since 2" in refused.stderr
        without = [each for each in fit if each != "--report"]
        assert run(*without).exit_code == 0
    assert run(*fit).exit_code == 0


@contextmanager
def _child(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python until it says that it holds its lock."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, env=environment()
    ) as child:
        try:
            assert child.stdout is not None
            assert b"held\n" in child.stdout
            yield child
        finally:
            child.kill()


def test_one_of_many_holds_a_lock(tmp_path: Path) -> None:
    """Each holder removes the file: nobody may lock a file that has been removed."""
    inside, most, taken = [0], [0], [0]

    def try_often(_thread: int) -> None:
        for _ in range(60):
            try:
                with held(tmp_path, "a", WHERE):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    taken[0] += 1
                    time.sleep(0.0005)
                    inside[0] -= 1
            except ValueError:
                time.sleep(0.0002)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_often, range(8)))
    assert most[0] == 1
    assert taken[0] > 10
    assert list(tmp_path.iterdir()) == []


def _left_by(folder: Path, **facts: Any) -> Path:
    """Make the lock file that another run has left, or holds."""
    with held(folder, "a", WHERE):
        (path,) = folder.iterdir()
        found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **facts}))
    return path


def _ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_lock_of_another_computer(tmp_path: Path) -> None:
    """Its process cannot be seen, but it touches the file as long as it runs."""
    path = _left_by(tmp_path, Host="node7", Process=4711, Command="groupglm fit")
    with pytest.raises(ValueError, match="another groupglm") as refused, held(tmp_path, "a", WHERE):
        pass
    assert "(process 4711 on node7, since 2" in str(refused.value)
    assert f"try again in 5 minutes, or remove '{path}'" in str(refused.value)
    old = time.time() - 301
    os.utime(path, (old, old))
    with held(tmp_path, "a", WHERE):
        assert json.loads(path.read_text())["Process"] == os.getpid()


def test_a_holder_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupglm.cli.results.locks._TOUCHED_EVERY", 0.01)
    with held(tmp_path, "a", WHERE):
        (path,) = tmp_path.iterdir()
        os.utime(path, (0, 0))
        until = time.monotonic() + 30
        while path.stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def flock(_handle: int, _operation: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        held(tmp_path, "a", WHERE),
        pytest.raises(ValueError, match=f"process {os.getpid()}, since"),
        held(tmp_path, "a", WHERE),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    _left_by(tmp_path, Process=_ended_process())
    with held(tmp_path, "a", WHERE):
        pass
    path = _left_by(tmp_path)
    path.write_text("")  # made a moment ago, by a run that has not yet written its name
    with pytest.raises(ValueError, match="of unknown number"), held(tmp_path, "a", WHERE):
        pass
    os.utime(path, (0, 0))
    with held(tmp_path, "a", WHERE):
        pass


@pytest.mark.parametrize("overwrite", [False, True])
def test_kills_between_the_steps(study: Path, tmp_path: Path, overwrite: bool) -> None:
    """SIGKILL between two steps: the same run again succeeds, with the bits of a fresh one."""
    more = ("--save-model", "--overwrite") if overwrite else ("--save-model",)
    *given, _, _ = basic(study, Path(), *more)[: -len(more)]
    out, before = tmp_path / "out", tmp_path / "before"
    out.mkdir()
    if overwrite:  # the results of another study
        other = basic(study, before, "--save-model", "--fwhm", "20")
        assert run("fit", *other).exit_code == 0
    ends = ended_between_steps(
        ["fit", *map(str, [*given, *more, "--output"])],
        out,
        signal.SIGKILL,
        step=13 if overwrite else 9,
        before=before if overwrite else None,
    )
    assert len(ends) > 4
    assert_whole(ends, out)
