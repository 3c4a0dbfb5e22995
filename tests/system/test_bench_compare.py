# SPDX-License-Identifier: BSD-3-Clause
"""When the comparison of two commits calls one slower: by a large ratio and by a large time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import compare
import pytest
from compare import RATIO, SECONDS, Change, Times, changes, least

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize(
    ("base", "head", "slower"),
    [
        (0.100, 0.200, True),
        (0.100, 0.131, True),
        (0.100, 0.129, False),  # much time, small ratio
        (10.00, 12.90, False),
        (0.001, 0.005, False),  # large ratio, little time
        (0.001, 0.0061, True),
        (0.200, 0.100, False),
        (0.100, 0.100, False),
        (None, 5.000, False),  # new
        (0.100, None, True),  # gone
        (None, None, False),
    ],
)
def test_slower_is_large_both_ways(base: float | None, head: float | None, slower: bool) -> None:
    assert (RATIO, SECONDS) == (1.3, 0.005)
    assert Change("job", base, head).slower is slower


def test_the_least_of_the_rounds_counts() -> None:
    rounds: list[Times] = [
        {"a": 3.0, "b": None},
        {"a": 1.0, "b": 2.0},
        {"a": 2.0, "b": None, "c": None},
    ]
    assert least(rounds) == {"a": 1.0, "b": 2.0, "c": None}
    # One slow round in three is the machine, not the program.
    base: list[Times] = [{"a": 1.0}, {"a": 1.1}, {"a": 1.2}]
    assert [c.slower for c in changes(base, [{"a": 9.0}, {"a": 1.25}, {"a": 9.0}])] == [False]
    assert [c.slower for c in changes(base, [{"a": 9.0}, {"a": 1.35}, {"a": 9.0}])] == [True]


def test_jobs_of_either_commit_are_listed() -> None:
    found = changes([{"old": 1.0, "both": 1.0}], [{"both": 1.0, "new": 1.0}])
    assert [(c.job, c.slower) for c in found] == [("old", True), ("both", False), ("new", False)]


def test_a_line_shows_both_measures() -> None:
    assert str(Change("fit", 0.1, 0.2)) == (
        "| fit | 100 ms | 200 ms | 2.00x | +100 ms | **slower** |"
    )
    assert str(Change("fit", 0.2, 0.1)) == "| fit | 200 ms | 100 ms | 0.50x | -100 ms |  |"
    assert str(Change("fit", None, 2.0)) == "| fit | - | 2.00 s | - | - |  |"


@pytest.mark.parametrize(("head", "status"), [(0.1, 0), (0.2, 1)])
def test_exit_status(
    head: float,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    order: list[str] = []

    def measured(python: Path, maps: Path, *, quick: bool) -> dict[str, float | None]:
        order.append(python.name)
        return {"fit": 0.1 if python.name == "old" else head}

    monkeypatch.setattr(compare, "build", lambda commit, folder: Path(commit))
    monkeypatch.setattr(compare, "measure", measured)
    monkeypatch.setattr(sys, "argv", ["compare.py", "old", "new", "--rounds", "2"])
    assert compare.main() == status
    # In turns, and once more each where the first rounds call something slower.
    assert order == ["old", "new", "new", "old"] * (1 + status)
    assert ("Slower by more than 1.3 times and 5 ms" in capsys.readouterr().out) is bool(status)


def test_one_commit_is_not_compared_with_itself() -> None:
    result = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, str(BENCH / "compare.py"), "main", "main"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == "base and head are both 'main'; name two commits\n"
