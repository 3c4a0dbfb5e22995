# SPDX-License-Identifier: BSD-3-Clause
"""The hand-written types of the compiled core match its functions."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groupglm import _core

_STUB = Path(_core.__file__).with_suffix(".pyi")
_ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")


def test_stubtest_finds_nothing() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; pip install 'groupglm[dev]'")
    result = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-m", "mypy.stubtest", "groupglm._core", "--allowlist", str(_ALLOWLIST)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _stub_functions() -> Iterator[tuple[str, list[str]]]:
    """Dotted name and argument names of every function of the stub."""
    for node in ast.parse(_STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, [argument.arg for argument in node.args.args]
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                # Properties have no arguments; pickling's carry no names.
                if (
                    isinstance(item, ast.FunctionDef)
                    and not item.decorator_list
                    and item.name not in ("__getstate__", "__setstate__")
                ):
                    yield f"{node.name}.{item.name}", [a.arg for a in item.args.args]


def _compiled_arguments(function: Any) -> list[list[str]]:
    """Argument names of every overload, as pybind11 writes them into the docstring."""
    lines = re.findall(r"^(?:\d+\. )?\w+\((.*)\) ->", function.__doc__, re.MULTILINE)
    assert lines
    return [re.findall(r"(?:^|, )(\w+): ", line) for line in lines]


@pytest.mark.parametrize(
    ("name", "arguments"), [pytest.param(*item, id=item[0]) for item in _stub_functions()]
)
def test_arguments_are_those_of_the_core(name: str, arguments: list[str]) -> None:
    # stubtest cannot see the arguments of compiled functions.
    function: Any = _core
    for part in name.split("."):
        function = getattr(function, part)
    for overload in _compiled_arguments(function):
        assert overload == arguments
