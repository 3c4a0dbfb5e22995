# SPDX-License-Identifier: BSD-3-Clause
"""Check what is in a source distribution or in a wheel: ``check_dist.py REPOSITORY FILE...``."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

# Under version control, and of no use to a packager.
_LEFT_OUT = re.compile(r"\.ci/|\.github/|\.clang-|\.gitignore$")


def check_sdist(path: Path, repository: Path) -> None:
    """A source distribution holds every file under version control that a packager needs, no other.

    The repository's files are those of its index, so this also fails where a stray file came along.
    """
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    expected = {n for n in listed.stdout.split("\0") if n and not _LEFT_OUT.match(n)}
    with tarfile.open(path) as archive:
        found = {m.name.split("/", 1)[1] for m in archive.getmembers() if m.isfile()}
    _same(path, found, expected | {"PKG-INFO"})


def check_wheel(path: Path, repository: Path) -> None:
    """A wheel holds the package with its types, a module for each processor level, the licences."""
    package = repository / "python" / "groupglm"
    sources = {
        f"groupglm/{file.relative_to(package).as_posix()}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"groupglm/py.typed", "groupglm/_core.pyi"} <= sources
    with zipfile.ZipFile(path) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = archive.read(next(n for n in found if n.endswith(".dist-info/METADATA")))
    compiled = {n for n in found if re.fullmatch(r"groupglm/_core_\w+\..*(so|pyd)", n)}
    runtime = {n for n in found if n.startswith("groupglm.libs/")}
    about = {n for n in found if re.match(r"groupglm-[^/]+\.dist-info/", n)}
    _same(path, found - compiled - runtime - about, sources)
    levels = {re.split(r"[_.]", Path(name).name)[2] for name in compiled}
    assert levels == {"baseline", "v3", "v4"}, levels
    assert {Path(name).name for name in about} >= {"LICENSE", "NOTICE", "entry_points.txt"}, about
    if "manylinux" in path.name:
        assert all("libgomp" in name for name in runtime), runtime
        assert len(runtime) == 1, runtime
    assert b"\nLicense-Expression: BSD-3-Clause\n" in metadata


def _same(path: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        sys.exit(
            f"{path.name} lacks {sorted(expected - found)}, and has {sorted(found - expected)}, "
            "which it should not have"
        )


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for argument in sys.argv[2:]:
        file = Path(argument)
        (check_wheel if file.suffix == ".whl" else check_sdist)(file, root)
        print(f"{file.name}: as it should be, {file.stat().st_size / 1e6:.1f} MB")
