# SPDX-License-Identifier: BSD-3-Clause
"""Every deliberate difference from nilearn, and nothing else, has a test and a row in the page."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path

from reference.differences import DIFFERENCES
from reference.differences.page import BEGIN, END, PAGE, page, tables


def _tests() -> list[str]:
    """The names of the tests beside this one that show a difference."""
    others = sorted(set(Path(__file__).parent.glob("test_differences_*.py")) - {Path(__file__)})
    bodies = [ast.parse(path.read_text(encoding="utf-8")).body for path in others]
    functions = [node.name for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix("test_") for name in functions if name.startswith("test_")]


def test_every_difference_is_shown_by_one_test() -> None:
    names = [difference.name for difference in DIFFERENCES]
    assert len(set(names)) == len(names)
    assert sorted(_tests()) == sorted(names)


def test_the_page_has_the_tables_of_the_list() -> None:
    found = PAGE.read_text(encoding="utf-8")
    assert (found.count(BEGIN), found.count(END)) == (1, 1)
    assert found == page(), "in tests, run `python -m reference.differences --write`"


def test_no_text_breaks_the_table() -> None:
    for difference in DIFFERENCES:
        assert all(text and "|" not in text and "\n" not in text for text in difference), difference


def test_the_version_spoken_of_is_the_one_compared_with() -> None:
    assert importlib.metadata.version("nilearn") in tables()
