# SPDX-License-Identifier: BSD-3-Clause
"""The house's architecture, enforced: who may import or include whom."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# An editable installation finds the package before PYTHONPATH does: the linter goes without.
_LINT = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "_editable" not in repr(finder)]
from importlinter.cli import lint_imports_command
lint_imports_command()
"""
_CORE = ("cpp/include", "cpp/src", "tests/cpp")


def _lint(package_parent: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml against the package in a folder."""
    return subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", _LINT, "--no-cache"],
        env={**os.environ, "PYTHONPATH": str(package_parent), "PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,  # its pyproject.toml has the contracts
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        found = [p for p in (ROOT / folder).rglob("*") if p.suffix in {".cpp", ".hpp", ".py"}]
        assert found, folder
        yield from found


def _naming(pattern: str, *folders: str) -> list[str]:
    """Files of which a line matches."""
    expression = re.compile(pattern, re.MULTILINE)
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in _sources(*folders)
        if expression.search(path.read_text(encoding="utf-8"))
    )


def test_no_layer_imports_a_higher_one() -> None:
    result = _lint(ROOT / "python")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("errors", "import groupglm.models.ols", "A lower layer never imports a higher one"),
        (
            "design/matrix",
            "from groupglm import fit_ols",
            "A lower layer never imports a higher one",
        ),
        (
            "design/contrasts",
            "from groupglm.spaces.volume import Grid",
            "Linear models on arrays know no images",
        ),
        (
            "datasets/files",
            "import groupglm.models.ols",
            "Simulated data are made without the models they test",
        ),
        (
            "cli/commands/info",
            "import nilearn",
            "nilearn is an oracle of the tests, never a dependency",
        ),
    ],
)
def test_the_contracts_notice(module: str, line: str, contract: str, tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "python" / "groupglm",
        tmp_path / "groupglm",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    with (tmp_path / "groupglm" / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    result = _lint(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract} BROKEN" in result.stdout


def test_the_core_does_not_name_python() -> None:
    assert _naming(r"pybind11|\bpy::|Python\.h", *_CORE) == []
    assert _naming(r"pybind11/pybind11\.h", "cpp") == ["cpp/bindings/bindings.hpp"]


def test_only_parallel_names_openmp() -> None:
    pattern = r"^\s*#\s*(include\s*<omp\.h>|pragma\s+omp)"
    assert _naming(pattern, "cpp", "tests/cpp") == ["cpp/src/parallel.cpp"]


def test_every_source_says_its_licence() -> None:
    folders = ("cpp", "python", "tests", "bench")
    without = [
        path.relative_to(ROOT).as_posix()
        for path in _sources(*folders)
        if not re.match(r"(#|//) SPDX-License-Identifier: BSD-3-Clause\n", path.read_text("utf-8"))
    ]
    assert without == []
