# SPDX-License-Identifier: BSD-3-Clause
"""Is a commit slower than another? Runs our side of the benches of both, in turns.

``python bench/compare.py BASE HEAD`` builds the two commits, each in an environment of its own over
this one's packages, and ends with 1 if a job became slower by much: both as a ratio and in time.
The benches are those beside this file, for both commits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from make_maps import default_folder
from measure import machine, pretty

HERE = Path(__file__).resolve().parent
# A slowdown is large only if it is both. What a busy machine adds is either a small part of a long
# job or a short time: on the least of several runs, neither alone tells a slower program.
RATIO = 1.3
SECONDS = 0.005

Times = dict[str, float | None]  # by job; None where a commit cannot do it


@dataclass(frozen=True)
class Change:
    """A job's least seconds at both commits, None where one cannot do it."""

    job: str
    base: float | None
    head: float | None

    @property
    def slower(self) -> bool:
        """Whether it is slower by a large ratio and by a large time, or cannot be done any more."""
        if self.base is None:
            return False
        if self.head is None:
            return True
        return self.head > RATIO * self.base and self.head - self.base > SECONDS

    def __str__(self) -> str:
        base, head = ("-" if s is None else pretty(s) for s in (self.base, self.head))
        ratio = extra = "-"
        if self.base is not None and self.head is not None:
            ratio = f"{self.head / self.base:.2f}x"
            extra = f"{1e3 * (self.head - self.base):+.3g} ms"
        verdict = "**slower**" if self.slower else ""
        return f"| {self.job} | {base} | {head} | {ratio} | {extra} | {verdict} |"


TABLE = "| job | base | head | ratio | difference | large? |\n|---|---|---|---|---|---|"


def least(rounds: Iterable[Times]) -> Times:
    """Return each job's least time over the rounds; None only where no round could do it."""
    best: Times = {}
    for times in rounds:
        for job, seconds in times.items():
            known = best.get(job)
            if known is None or (seconds is not None and seconds < known):
                best[job] = seconds
    return best


def changes(base: Iterable[Times], head: Iterable[Times]) -> list[Change]:
    """Compare the rounds of two commits, job by job."""
    before, after = least(base), least(head)
    return [Change(job, before.get(job), after.get(job)) for job in before | after]


def build(commit: str, folder: Path) -> Path:
    """Install a commit into an environment of its own; return that environment's Python."""
    tree, environment = folder / "tree", folder / "environment"
    git = ["git", "-C", str(HERE)]
    subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(tree), commit], check=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True
        )
        bin_name, python_name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        python = environment / bin_name / python_name
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
        packages = Path(site.stdout.strip())
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(packages), str(tree)], check=True)
        # The dependencies are this environment's, after the package itself; a .pth file in there,
        # such as an editable groupglm's, is not followed.
        shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path[1:]}
        lines = sorted(path for path in shared if path and "site-packages" in path)
        (packages / "shared.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)
    return python


def measure(python: Path, maps: Path, *, quick: bool) -> Times:
    """Run our side of the benches once with an environment's groupglm."""
    command = [
        str(python),
        str(HERE / "ours.py"),
        "--dir",
        str(maps),
        *(["--quick"] if quick else []),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(result.stdout.splitlines()[-1])
    if not Path(found["from"]).is_relative_to(python.parents[1]):
        raise RuntimeError(f"measured {found['from']}, which is not in {python.parents[1]}")
    seconds: Times = found["seconds"]
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the commit to be measured against")
    parser.add_argument("head", help="the commit that may have become slower")
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run, in turns")
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke test")
    options = parser.parse_args()
    if options.base == options.head:
        raise SystemExit(f"base and head are both {options.base!r}; name two commits")
    with tempfile.TemporaryDirectory(prefix="groupglm-compare-") as temporary:
        pythons = {}
        for place, commit in zip(("base", "head"), (options.base, options.head), strict=True):
            folder = Path(temporary, place)
            folder.mkdir()
            pythons[commit] = build(commit, folder)
        rounds: dict[str, list[Times]] = {name: [] for name in pythons}
        # What seems slower is measured again: a program stays slower, a machine's mood passes.
        for number in range(2 * options.rounds):
            # Every other round begins with the other commit, so that neither always goes first.
            for name in list(pythons)[:: 1 if number % 2 == 0 else -1]:
                rounds[name].append(measure(pythons[name], options.dir, quick=options.quick))
            found = changes(rounds[options.base], rounds[options.head])
            if number + 1 == options.rounds and not any(change.slower for change in found):
                break
    print(f"Machine: {machine()}.\n\n{TABLE}", *found, sep="\n")
    slower = [change.job for change in found if change.slower]
    if slower:
        print(
            f"\nSlower by more than {RATIO:g} times and {pretty(SECONDS)}, or not there any more: "
            f"{'; '.join(slower)}."
        )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
