# SPDX-License-Identifier: BSD-3-Clause
"""The list of nilearn's tests that fail with our functions cannot rot, nor hide a new failure."""

from __future__ import annotations

import sys

import pytest

from parity.nilearn_suite import run
from parity.nilearn_suite.areas import AREAS, words_of
from parity.nilearn_suite.exceptions import EXEMPT, Exempt
from reference.differences import DIFFERENCES

AREA = AREAS[0]


def _judged(monkeypatch: pytest.MonkeyPatch, *lines: Exempt) -> tuple[str, list[str]]:
    """Judge one test that passes and two that fail."""
    monkeypatch.setitem(EXEMPT, AREA.name, lines)
    failed = {"test_b[1]": "no such word", "test_b[2]": "no such word"}
    return run.judge(run.Outcome(AREA, passed=["test_a"] * 99, failed=failed))


def test_a_failure_must_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _judged(monkeypatch, Exempt("test_b[1]", "a reason", "no such word"))[1] == [
        "fails: test_b[2]"
    ]
    assert _judged(monkeypatch, Exempt("test_b[*", "a reason", "no such word"))[1] == []


def test_what_is_listed_must_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        Exempt("test_b[*", "a reason", "no such word"),
        Exempt("test_a", "a reason", "no such word"),
    )
    assert "it passes: test_a" in "".join(_judged(monkeypatch, *lines)[1])
    lines = (
        Exempt("test_b[*", "a reason", "no such word"),
        Exempt("test_c", "a reason", "no such word"),
    )
    assert "there is no such test: test_c" in "".join(_judged(monkeypatch, *lines)[1])


def test_no_other_failure_hides_behind_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = _judged(monkeypatch, Exempt("test_b[*", "a reason", "another word"))[1]
    assert ["test_b[1]" in line or "test_b[2]" in line for line in wrong] == [True, True]
    assert "does not say 'another word'" in wrong[0]


def test_only_differences_on_purpose_leave_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    share = _judged(monkeypatch, Exempt("test_b[*", "a reason", "no such word"))[0].split()[-1]
    assert share == f"{99 / 101:.1%}"
    on_purpose = Exempt("test_b[*", DIFFERENCES[0].name, "no such word")
    assert _judged(monkeypatch, on_purpose)[0].split()[-1] == "100.0%"


def _spoken_of() -> str:
    return "".join(str(number) for number in map(abs, [1]))


def _calling() -> str:
    return _spoken_of()


def test_what_a_test_speaks_of_is_found_through_the_helpers_of_its_module() -> None:
    module = sys.modules[__name__]
    assert {"_spoken_of", "abs", "str"} <= words_of(_calling, module)
    assert "_calling" not in words_of(_spoken_of, module)
