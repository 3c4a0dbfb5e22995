# SPDX-License-Identifier: BSD-3-Clause
"""Texts that would be executed, or never end: every door refuses them in words, without effect."""

from __future__ import annotations

import codecs
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from groupglm.bids import read_stats_model
from groupglm.contrasts import contrast_matrix
from groupglm.inputs.formula import design_from_formula
from reference.bids import model_file
from reference.hostile_texts import CONTRASTS, FORMULAS
from reference.shell import basic, make_study, run_fit

MOST_SECONDS = 20  # of processor time, where each takes milliseconds: what never ends, ends here
TABLE = pd.DataFrame(
    {
        "age": [20.0, 31, 42, 25, 36, 58],
        "site": [1, 2, 3, 1, 2, 3],
        "group": ["patient", "control", "patient", "control", "control", "patient"],
    },
    index=[f"{i:02d}" for i in range(1, 7)],
)
# Enough names for the large formulas to be refused for their size, not for a name.
MANY = TABLE.assign(
    **{str(i): TABLE["age"] + i**2 for i in range(40)},
    **dict.fromkeys("abcdefghijkl", TABLE["group"]),
)

_watched: list[str] = []
_watching: list[bool] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in ("exec", "os.system", "subprocess.Popen", "pickle.find_class") or writes:
        _watched.append(f"{event} {arguments!r}"[:200])


sys.addaudithook(_watch)


def _give_up(*_: object) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} s")


@contextmanager
def nothing_happens(path: Path) -> Iterator[None]:
    """Assert that within, no code object is executed and no file written, and that it ends."""
    before = MANY.copy(deep=True)
    design_from_formula("~ poly(age, 2) + bs(age, df=3) + C(group)", TABLE)  # loads what it needs
    codecs.lookup("utf-8-sig")  # as JSON files are read
    signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    _watched.clear()
    _watching.append(True)
    try:
        yield
    finally:
        _watching.clear()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    assert not _watched
    assert not path.exists()
    pd.testing.assert_frame_equal(MANY, before, check_exact=True)


def _label(text: str) -> str:
    return repr(text[:40])


@pytest.mark.parametrize("text", FORMULAS, ids=_label)
def test_a_formula_is_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    with nothing_happens(path), pytest.raises(ValueError, match="formula") as refusal:
        design_from_formula(text.replace("PATH", str(path)), MANY)
    assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize("text", FORMULAS, ids=_label)
def test_a_formula_of_a_stats_model_is_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    formula = "1 + " + text.removeprefix("~").replace("PATH", str(path))
    file = model_file(tmp_path, Model={"Type": "glm", "Formula": formula})
    with nothing_happens(path), pytest.raises(ValueError, match=r"[Ff]ormula"):
        read_stats_model(file).design_matrix(MANY)


@pytest.mark.parametrize("text", CONTRASTS, ids=_label)
def test_a_contrast_is_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    columns = ["Intercept", "age", "site", "group[T.b]"]
    with nothing_happens(path), pytest.raises(ValueError, match=r"[Cc]ontrast|expression"):
        contrast_matrix(text.replace("PATH", str(path)), columns)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_study`."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("option", ["--formula", "--contrast"])
def test_the_command_says_so_too(study: Path, option: str, tmp_path: Path) -> None:
    """In one test, because the command reads the maps' headers each time."""
    path = tmp_path / "touched"
    out = tmp_path / "out"
    for text in FORMULAS if option == "--formula" else CONTRASTS:
        given = text.replace("PATH", str(path))
        if "\ud800" in given or "\0" in given:
            continue  # no shell can pass it on
        arguments = basic(study, out, "--dry-run")
        arguments[arguments.index(option) + 1] = given
        refused = run_fit(*arguments)
        assert refused.exit_code in (1, 2), (text[:80], refused.output[-500:])
        assert "Error: " in refused.output
        assert "Traceback" not in refused.output
        assert isinstance(refused.exception, SystemExit), (text[:80], refused.exception)
        assert not path.exists()
        assert not out.exists()
