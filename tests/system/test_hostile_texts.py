# SPDX-License-Identifier: BSD-3-Clause
"""Texts that would be executed, or never end: every door refuses them in words, without effect."""

from __future__ import annotations

import codecs
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fuzz import user_texts
from groupglm.bids import read_stats_model
from groupglm.design.contrasts import contrast_matrix
from groupglm.design.formula.building import design_from_formula
from groupglm.models.repeated_formula import repeated_from_formula
from reference.bids import model_facts, model_file
from reference.hostile_texts import CONTRASTS, FORMULAS, nothing_executed
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
    try:
        with nothing_executed():
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
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


@pytest.mark.parametrize("text", FORMULAS, ids=_label)
def test_a_random_part_is_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    inner = text.removeprefix("~").replace("PATH", str(path))
    for formula in (f"~ age + (1 | {inner})", f"~ age + ({inner} | site)"):
        with nothing_happens(path), pytest.raises(ValueError, match=r"formula|random") as refusal:
            repeated_from_formula(formula, MANY)
        assert len(str(refusal.value)) < 2_000


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


def read_whole(changes: dict[str, Any], table: pd.DataFrame) -> None:
    model = read_stats_model(model_facts(**changes))
    columns = [str(name) for name in model.design_matrix(table)]
    for contrast in model.contrasts_of(columns):
        contrast.over(columns)


def _instruction(**instruction: Any) -> dict[str, Any]:
    transformer = {"Transformer": "pybids-transforms-v1", "Instructions": [instruction]}
    return {"Transformations": transformer, "Model": {"Type": "glm", "X": [1, "age"]}}


def _weight(weight: Any) -> dict[str, Any]:
    contrast = {"Name": "c", "ConditionList": ["age"], "Weights": [weight], "Test": "t"}
    return {"Contrasts": [contrast]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Model": {"Type": "glm", "Formula": "age + I(age**1)"}}, "a term 1 or 0"),
        ({"Model": {"Type": "glm", "Formula": "age + I(age + 0)"}}, "a term 1 or 0"),
        ({"Model": {"Type": "glm", "Formula": "poly(age, 1)"}}, "a term 1 or 0"),
        ({"Model": {"Type": "glm", "Formula": "C(site)[T.1]"}}, "Formula"),
        ({"Model": {"Type": "glm", "Formula": ["1"]}}, "a term 1 or 0"),
        ({"Model": {"Type": "glm", "X": ["age` + exit() + `site"]}}, "list of names of columns"),
        ({"Model": {"Type": "glm", "X": [1, "*" * 5_000 + "["]}}, "does not have"),
        ({"Model": {"Type": "glm", "X": [1, "(a+)+$"]}}, "does not have"),
        (_weight("1e999999999"), "is no number"),
        (_weight("1e-999999999/0"), "is no number"),
        (_weight("1/1e999999999"), "is no number|only zeros"),
        (_weight("9" * 100_000), "is no number"),
        (_weight("__import__('os')"), "is no number"),
        (_weight(float("inf")), "is no number"),
        (_weight(10**400), "is no number"),
        (_weight([[1]]), "Weights|number"),
        (_instruction(Name="Rename", Input=["age", "site"], Output=["x", "x"]), "twice"),
        (_instruction(Name="Factor", Input=["id"]), "a design column a subject"),
        (
            _instruction(Name="Factor", Input=["site"], Constraint="drop_one", RefLevel=[1]),
            r"RefLevel \[1\], but column 'site' has '1', '2', '3'",
        ),
        (_instruction(Name="Factor", Input=["sex"]), "second column 'sex.f'"),
        (_instruction(Name="Scale", Input=["group"]), "needs numbers"),
        (_instruction(Name="eval", Input=["age"]), "not supported"),
        (_instruction(Name="__class__", Input=["age"]), "not supported"),
    ],
)
def test_a_stats_model_is_data(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    table = MANY.assign(id=list("uvwxyz"), sex=list("fmfmfm"))
    table["sex.f"] = 1.0
    with nothing_happens(tmp_path / "touched"), pytest.raises(ValueError, match=words):
        read_whole(changes, table)


def test_a_contrast_that_is_too_long_for_a_file_is_refused_at_once(
    study: Path, tmp_path: Path
) -> None:
    arguments = basic(study, tmp_path / "out")
    arguments[arguments.index("--contrast") + 1] = "age" + " + age" * 60
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert "more than 120; write NAME=EXPRESSION" in " ".join(refused.output.split())
    assert not (tmp_path / "out").exists()


def test_what_is_sound_for_the_fuzzer_holds_here(tmp_path: Path) -> None:
    outcomes = {user_texts.check(case, tmp_path) for case in user_texts.cases()}
    assert outcomes == {"sound", "refused"}


def test_a_page_names_files_that_are_not_in_utf8(study: Path, tmp_path: Path) -> None:
    """As a Latin-1 system wrote them; the page was refused after the fit."""
    for path in sorted((study / "maps").glob("sub-*_effect.nii.gz")):
        os.link(
            path, os.fsencode(tmp_path) + b"/" + os.fsencode(path.name).replace(b"eff", b"\xe9")
        )
    out = tmp_path / "out"
    arguments = basic(study, out, "--report")
    arguments[0] = tmp_path / "sub-*.nii.gz"
    made = run_fit(*arguments)
    assert made.exit_code == 0, made.output[-500:]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "sub-01_\\udce9ect.nii.gz" in page


def test_a_contrast_that_no_file_can_hold_is_refused_before_the_fit(
    study: Path, tmp_path: Path
) -> None:
    arguments = basic(study, tmp_path / "out")
    arguments[arguments.index("--contrast") + 1] = "caf\udce9=age"
    refused = run_fit(*arguments)
    assert refused.exit_code == 2
    assert "is not text in UTF-8" in refused.output
    assert not (tmp_path / "out").exists()
