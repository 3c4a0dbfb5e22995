# SPDX-License-Identifier: BSD-3-Clause
"""The house's architecture, enforced: who may import or include whom."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
# An editable installation finds the package before PYTHONPATH does: the linter goes without.
_LINT = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "_editable" not in repr(finder)]
from importlinter.cli import lint_imports_command
lint_imports_command()
"""
PACKAGE = ROOT / "python" / "groupglm"
_CORE = ("cpp/include", "cpp/src", "tests/cpp")


# Modules outside the folders of a kind of data that name one.
_KNOW_VOLUMES = {
    # Tables: where public names are, and which folder draws which kind of data.
    "__init__.py", "image.py", "plotting/__init__.py", "plotting/sheet/drawing.py",
    "report/drawing.py",
}  # fmt: skip
_KINDS = sorted(path.parent.name for path in (PACKAGE / "spaces").glob("*/kind.py"))
# Folders that may know a kind of data: its own, pictures, pages; and studies that are simulated as
# a user makes them.
_OF_KINDS = (
    *("spaces/", "datasets/"),
    *(f"{room}/{kind}/" for room in ("plotting", "report") for kind in _KINDS),
)
_FOLDERS = rf"groupglm\.(?:spaces|plotting|report)\.(?:{'|'.join(_KINDS)})"
_OPTIONS = re.compile("target_affine")  # a name that users know, whatever becomes of it


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
            "inference/thresholds",
            "import nibabel",
            "Above the spaces nobody knows volumes",
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


def test_no_module_needs_itself() -> None:
    """Also by no import that only the types need."""
    graph = grimp.build_graph("groupglm", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    graphlib.TopologicalSorter(imports).prepare()  # a CycleError names the modules


def _known_of_volumes(source: str) -> list[str]:
    """Return what a module knows of grids, nibabel and endings, but for what it tells a reader."""
    tree = ast.parse(source)
    texts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }  # docstrings
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Attribute):
            names = [f".{node.attr}"]
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.arg):
            names = [node.arg]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(rf"\.nii|{_FOLDERS}", node.value) if id(node) not in texts else []
        for name in names:
            known = rf"nibabel|{_FOLDERS}|\.grid$|affine|^VolumeSpace$|\.dataobj$"
            found += re.findall(known, _OPTIONS.sub("", name))
    return sorted(set(found))


def test_every_kind_of_data_is_in_the_contract() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (forbidden,) = (own["forbidden_modules"] for own in contracts if own["id"] == "spaces")
    assert _KINDS
    assert {f"groupglm.spaces.{kind}" for kind in _KINDS} <= set(forbidden)


def test_only_spaces_know_volumes() -> None:
    package = ROOT / "python" / "groupglm"
    known = {
        path.relative_to(package).as_posix(): _known_of_volumes(path.read_text(encoding="utf-8"))
        for path in package.rglob("*.py")
        if not path.relative_to(package).as_posix().startswith(_OF_KINDS)
    }
    knowing = {name: words for name, words in known.items() if words}
    new = {name: words for name, words in knowing.items() if name not in _KNOW_VOLUMES}
    assert not new, "let the space or the kind of data do it (CONTRIBUTING, A new kind of data)"
    assert set(knowing) >= _KNOW_VOLUMES, "these know volumes no more: take them off the list"


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("import nibabel as nib", "nibabel"),
        ("from groupglm.spaces.volume import Grid", "groupglm.spaces.volume"),
        ("shape = space.grid.shape", ".grid"),
        ("values = np.asarray(image.dataobj)", ".dataobj"),
        ("edges = image.affine[:3]", "affine"),
        ("isinstance(space, VolumeSpace)", "VolumeSpace"),
        ("path = folder / 'mask.nii.gz'", ".nii"),
        ("from groupglm.report.volume.drawing import drawing_of", "groupglm.report.volume"),
        ("importlib.import_module('groupglm.plotting.volume.glass')", "groupglm.plotting.volume"),
        ("def fit(target_affine): return self.target_affine", None),
        ('"""Of mask.nii.gz, by nibabel and an affine."""', None),
    ],
)
def test_the_text_test_notices(line: str, known: str | None) -> None:
    assert _known_of_volumes(line) == ([] if known is None else [known])


def test_a_folder_of_the_core_includes_itself_and_lower_ones_only() -> None:
    lower = {
        "loops": {"special"},
        "models": {"special", "loops"},
        "permutation": {"models", "loops"},
        "volume": {"loops"},
    }
    for root in (ROOT / "cpp/include/groupglm", ROOT / "cpp/src"):
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            included = {
                match[1]
                for path in _sources(folder.relative_to(ROOT).as_posix())
                for match in re.finditer(r'#include "(?:groupglm/)?(\w+)/', path.read_text("utf-8"))
            }
            here = {"groupglm", folder.name}  # directly in groupglm: threads, special values
            assert included <= here | lower.get(folder.name, set()), folder


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


def test_the_tests_are_in_folders_named_after_the_packages() -> None:
    packages = {path.parent.name for path in (ROOT / "python/groupglm").glob("*/__init__.py")}
    others = {"contract", "core", "cpp", "fuzz", "oracles", "parity", "reference", "system"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/*.py"))}

    assert folders - others <= packages
    assert {path.name for path in (ROOT / "tests").glob("*.py")} <= {"conftest.py"}


def _literals(path: Path) -> Iterator[ast.Constant]:
    """Yield the texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node


def test_only_the_command_line_names_its_options() -> None:
    """Other layers name arguments; `groupglm.cli.wording` knows which options these are."""
    named = [
        f"{path.relative_to(PACKAGE)}, line {node.lineno}: {node.value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "cli"
        for node in _literals(path)
        if isinstance(node.value, str) and re.search(r"(?<!var\()(?<![\w-])--[a-z]", node.value)
    ]
    named += [
        f"{path.relative_to(PACKAGE)}: {option}"
        for path in sorted(PACKAGE.rglob("*.j2"))
        for option in re.findall(
            r"(?<!var\()(?<![\w-])--[a-z][a-z-]+", path.read_text(encoding="utf-8")
        )
    ]
    assert not named


def test_nothing_depends_on_the_text_of_an_error() -> None:
    """An error is told by its type and attributes: its words may change."""
    tested = [
        f"{path.relative_to(PACKAGE)}, line {node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(handler, ast.ExceptHandler) and handler.name
        for node in ast.walk(handler)
        if isinstance(node, ast.Compare)
        and any(
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id in ("str", "repr")
            and any(isinstance(arg, ast.Name) and arg.id == handler.name for arg in part.args)
            for part in (node.left, *node.comparators)
        )
    ]
    assert not tested
