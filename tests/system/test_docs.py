# SPDX-License-Identifier: BSD-3-Clause
"""The site says what happens: its code runs, and every public object is in the API reference."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import page_code
import pytest

_API = (page_code.DOCS / "api.rst").read_text(encoding="utf-8")
_SECTION = re.compile(r"^ *(\w+)\n *-+\n(.*?)(?=^ *\w+\n *---|\Z)", re.MULTILINE | re.DOTALL)
_LISTED = set(re.findall(r"^   ([a-zA-Z_][\w.]*)$", _API, re.MULTILINE))


@pytest.mark.parametrize("page", page_code.pages(), ids=lambda page: page.stem)
def test_code_of_pages(page: Path, tmp_path: Path) -> None:
    page_code.run(page, tmp_path)
    missing = [name for name in page_code.pictures(page) if not (tmp_path / name).is_file()]
    assert not missing


def test_what_a_page_prints_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_code, "DOCS", tmp_path / "docs")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"docs/page\.md, line 1 prints\n2\n"):
        page_code.run(page, tmp_path)
    page.write_text(
        "```python\nprint(2 / 3, 7)\n```\n\n```text\n0.66667 7\n```\n", encoding="utf-8"
    )
    page_code.run(page, tmp_path)
    page.write_text("```python\nprint(2 / 3)\n```\n\n```text\n0.667\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        page_code.run(page, tmp_path)
    page.write_text("<!-- not run: why -->\n```python\n1 / 0\n```\n", encoding="utf-8")
    page_code.run(page, tmp_path)
    page.write_text("```sh\ngroupglm no-such-command\n```\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="ended with 2"):
        page_code.run(page, tmp_path)


@pytest.mark.parametrize(
    "module", ["", "bids", "plotting", "datasets", "report", "models.results", "errors"]
)
def test_everything_public_is_in_the_api_reference(module: str) -> None:
    public = set(importlib.import_module(f"groupglm.{module}".rstrip(".")).__all__)
    # The version, what the package itself warns, shows values and names arguments by, and a type.
    public -= {
        "__version__",
        "warn_caller",
        "renamed",
        "printable",
        "in_quotes",
        "shown",
        "StatType",
    }
    assert public
    assert {f"{module}.{name}".lstrip(".") for name in public} <= _LISTED


def _listed(name: str) -> Any:
    module, _, attribute = f"groupglm.{name}".rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize(
    "module", ["glm", "glm.second_level", "image", "mass_univariate", "reporting"]
)
def test_what_is_where_nilearn_has_it_is_in_the_api_reference(module: str) -> None:
    own = importlib.import_module(f"groupglm.{module}")
    functions = [value for value in map(vars(own).get, own.__all__) if callable(value)]
    listed = [_listed(name) for name in _LISTED]
    assert functions
    assert [value for value in functions if value not in listed] == []


@pytest.mark.parametrize("name", sorted(_LISTED))
def test_what_the_api_reference_lists_is_there(name: str) -> None:
    words = _listed(name).__doc__
    assert re.search(r"[a-z]\.$", words, re.MULTILINE)  # a sentence, not a signature only


@pytest.mark.parametrize("name", sorted(_LISTED))
def test_public_functions_document_their_parameters_and_results(name: str) -> None:
    listed = _listed(name)
    functions = {"": listed}
    if inspect.isclass(listed):
        methods = inspect.getmembers(listed, callable)
        functions = {own: f for own, f in methods if not own.startswith("_") and _is_ours(f)}
        if "Attributes\n" not in (listed.__doc__ or "") and not issubclass(listed, BaseException):
            functions[""] = listed.__init__  # users make it, or its parameters are its attributes
    missing = []
    for own, function in functions.items():
        words = (listed if own == "" else function).__doc__ or ""
        sections = dict(_SECTION.findall(words))
        described = sections.get("Parameters", "")
        missing += [
            f"{own}({parameter})"
            for parameter in _own_parameters(function)
            if not re.search(rf"(^|[ ,*]){parameter}\b[\w, *]*( :|$)", described, re.MULTILINE)
        ]
        if own and _yields_something(function) and not {"Returns", "Yields"} & set(sections):
            missing.append(f"{own} -> ")
    assert not missing


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("groupglm.")


def _own_parameters(function: Any) -> list[str]:
    if not _is_ours(function) or inspect.isbuiltin(function):
        return []
    names = inspect.signature(function).parameters
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def _yields_something(function: Any) -> bool:
    return inspect.signature(function).return_annotation not in (None, "None")
