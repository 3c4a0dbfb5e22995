# SPDX-License-Identifier: BSD-3-Clause
"""Run the installed nilearn's own tests with our functions in place of its own.

    python tests/parity/nilearn_suite/run.py            # all areas, and a table
    python tests/parity/nilearn_suite/run.py smoothing  # one, or several

Left out by rule are tests that call none of the replaced functions, such as those of nilearn's
private helpers, and tests of surfaces. What else fails is listed in `exceptions.py`, with a reason.
The exit status is 1 if a test fails that is not listed, if one passes that is, or if too few pass.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nilearn
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from parity.nilearn_suite.areas import AREAS, Area, load, ours, words_of
from parity.nilearn_suite.exceptions import EXEMPT, Exempt
from reference.differences import DIFFERENCES

# Of the tests that remain after the rules and the differences on purpose.
LEAST_PASSING = 0.95
DELIBERATE = {difference.name for difference in DIFFERENCES}


@dataclass
class Outcome:
    """What became of the tests of one area, and what each failure said."""

    area: Area
    left_out: Counter[str] = field(default_factory=Counter)
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    # Hooks of pytest, which calls them by name.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[Any]) -> None:
        rules = {id(item): self._rule(item) for item in items}
        self.left_out.update(rule for rule in rules.values() if rule)
        items[:] = [item for item in items if not rules[id(item)]]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::", 1)[1]
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash else str(report.longrepr)
            self.failed[name] = " ".join(message.split())[:300]
        elif report.when == "call":
            self.passed.append(name)

    def _rule(self, item: Any) -> str:
        """Return the rule that leaves a test out, or nothing."""
        words = words_of(item.function, item.module)
        if not words & set(ours(self.area)):
            return "not ours"
        spoken_of = {*words, *item.fixturenames}
        return "surface" if re.search("surf|fsaverage", " ".join(spoken_of).lower()) else ""


def run(area: Area) -> Outcome:
    """Run the tests of one area, in an empty working folder."""
    outcome = Outcome(area)
    path = Path(str(load(area).__file__))
    arguments = ["--pyargs", "-q", "--tb=short", "-p", "no:cacheprovider", "-c", os.devnull]
    arguments += [
        "--rootdir",
        str(path.parents[0]),
        "--confcutdir",
        str(Path(nilearn.__file__).parent),
    ]
    arguments += ["--disable-warnings", area.module]
    output = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
    ):
        status = pytest.main(arguments, plugins=[outcome])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"{area.module}: pytest ended with {status!r}\n{output.getvalue()}")
    return outcome


def _matches(line: Exempt, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, line.test.split("*"))), name) is not None


def judge(outcome: Outcome) -> tuple[str, list[str]]:
    """Return the row of an area in the table, and what is wrong."""
    lines = EXEMPT[outcome.area.name]
    why = {name: line.why for name in outcome.failed for line in lines if _matches(line, name)}
    by_difference = sum(reason in DELIBERATE for reason in why.values())
    wrong = [f"fails: {test}" for test in outcome.failed if test not in why]
    for line in lines:
        passing = [name for name in outcome.passed if _matches(line, name)]
        wrong += [f"listed in exceptions.py, but it passes: {name}" for name in passing]
        failing = {name: told for name, told in outcome.failed.items() if _matches(line, name)}
        wrong += [
            f"fails, but does not say {line.says!r} as exceptions.py has it: {name}"
            for name, told in failing.items()
            if line.says not in told
        ]
        if not passing and not failing:
            wrong.append(f"listed in exceptions.py, but there is no such test: {line.test}")
    counted = len(outcome.passed) + len(outcome.failed) - by_difference
    share = len(outcome.passed) / counted if counted else 1.0
    if share < LEAST_PASSING:
        wrong.append(f"{share:.1%} pass, and {LEAST_PASSING:.0%} must")
    numbers = (
        counted + by_difference + outcome.left_out.total(),
        outcome.left_out["not ours"],
        outcome.left_out["surface"],
        by_difference,
        len(outcome.passed),
        len(outcome.failed) - by_difference,
    )
    row = f"{outcome.area.name:20}" + "".join(f"{number:11}" for number in numbers)
    return row + f"{share:11.1%}", wrong


def main(names: list[str]) -> int:
    """Run the areas of these names, or all, and print what failed and the table."""
    unknown = set(names) - {area.name for area in AREAS}
    if unknown:
        raise SystemExit(f"no such area: {unknown}; there are {[area.name for area in AREAS]}")
    rows, anything_wrong = [], False
    for area in AREAS:
        if names and area.name not in names:
            continue
        outcome = run(area)
        row, wrong = judge(outcome)
        print(f"\n{area.name}")  # noqa: T201
        for test, message in outcome.failed.items():
            print(f"  {test}\n      {message}")  # noqa: T201
        for line in wrong:
            print(f"  WRONG {line}")  # noqa: T201
        rows.append(row)
        anything_wrong |= bool(wrong)
    heads = ("tests", "not ours", "surface", "on purpose", "passed", "failed", "passing")
    print(f"\n{'':20}" + "".join(f"{head:>11}" for head in heads))  # noqa: T201
    print(*rows, sep="\n")  # noqa: T201
    return int(anything_wrong)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
