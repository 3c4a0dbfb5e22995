# SPDX-License-Identifier: BSD-3-Clause
"""Commands that a signal ends between any two of their steps, and the run after that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# The steps are what changes a folder: names given, files removed, folders made.
CHILD = """
import datetime, os, shutil, signal, sys, types
from pathlib import Path
import nibabel, pandas, scipy.stats, sklearn.base, formulaic  # before the forks
from groupglm.cli import main
import groupglm.estimator.second_level, groupglm.cli.steps.fit_study, groupglm.inference.peaks
import groupglm.report.generating, groupglm.bids, groupglm.cli.steps.bids_studies
import groupglm.report.page as page

class Noon(datetime.datetime):  # a page says when it was made, and all shall be alike
    @classmethod
    def now(cls, zone=None):
        return cls(2026, 1, 1, 12, tzinfo=zone)

page.datetime = types.SimpleNamespace(datetime=Noon, UTC=datetime.UTC)
number, step, before, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
command, calls = [*sys.argv[5:], "out"], [0]

def counted(method):
    def call(*given, **options):
        calls[0] += 1
        if calls[0] == ending:  # once: what is removed on the way out is removed
            os.kill(os.getpid(), number)
        return method(*given, **options)
    return call

def child(place, n_steps):
    global ending
    pid = os.fork()
    if pid == 0:
        os.chdir(place)  # so that each is typed alike
        sys.stdout = sys.stderr = open(os.devnull, "w")
        ending = n_steps + 1
        if n_steps >= 0:
            for name in ("replace", "unlink", "mkdir"):
                setattr(Path, name, counted(getattr(Path, name)))
        try:
            main(command, standalone_mode=True)
        except SystemExit as ended:
            os._exit(ended.code or 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def drafts(place):
    return sum(path.name.startswith(".groupglm-") for path in place.rglob("*"))

def drafts_but_locks(place):  # a lock that is just being given back may stay: it holds nobody
    return sum(path.match(".groupglm-*.tmp") for path in place.rglob("*"))

for n in range(0, 10000, step):
    place = out / str(n)
    place.mkdir(parents=True)
    if before:
        shutil.copytree(before, place / "out")
    first = child(place, n)
    left = drafts_but_locks(place)
    orphans = [p.name for p in place.rglob("*.nii.gz") if ".tmp" not in str(p.parent)
               and not p.with_name(p.name[:-7] + ".json").exists()]
    again = child(place, -1)
    print(n, first, left, len(orphans), again, drafts(place), flush=True)
    if first == 0:
        break
"""


class End(NamedTuple):
    """How a command ended, and the same again; exit codes, and numbers of files."""

    n_steps: int
    first: int
    drafts: int
    orphans: int
    again: int
    drafts_again: int


def environment() -> dict[str, str]:
    """Where a child finds the package and these helpers."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def ended_between_steps(
    command: list[str], out: Path, number: signal.Signals, *, step: int, before: Path | None = None
) -> list[End]:
    """Run a command once for every `step` of its steps, end it there, and run it again.

    Its last argument is the folder of results, "N/out" within `out`, with `before` in it.
    """
    result = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [
            sys.executable, "-c", CHILD, str(int(number)), str(step), str(before or ""), str(out),
            *command,
        ],
        capture_output=True, text=True, check=True, env={**environment(), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    ends = [End(*map(int, line.split())) for line in result.stdout.splitlines()]
    stopped = -number if number == signal.SIGKILL else 128 + number
    assert [end.first for end in ends] == [stopped] * (len(ends) - 1) + [0]
    if number != signal.SIGKILL:  # which alone leaves no time to clean up
        assert {end.drafts for end in ends} == {0}
    return ends


def assert_whole(ends: list[End], out: Path) -> None:
    """Check that no map was without its record, and that all runs have the same bits in the end."""
    assert {(end.orphans, end.again, end.drafts_again) for end in ends} == {(0, 0, 0)}
    contents = []
    for end in ends:
        place = out / str(end.n_steps) / "out"
        found = {
            path.relative_to(place): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file() and path.name != "log.txt"
        }
        contents.append(found)
    for end, found in zip(ends, contents, strict=True):
        differing = [name for name in contents[-1] if found.get(name) != contents[-1][name]]
        assert (differing, set(found) - set(contents[-1])) == ([], set()), (
            f"after step {end.n_steps}"
        )
