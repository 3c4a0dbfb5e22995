# SPDX-License-Identifier: BSD-3-Clause
"""The code on the pages is run: by the tests, and at build for the pictures that it makes.

On a page, the blocks are run one after the other in a folder of their own, and share their names:

- ``python``: run; a ``text`` block that follows at once is what it prints.
- ``sh``: run by the shell, with the commands of this environment.
- ``console``: shown only, such as an installation.

A comment ``<!-- not run: why -->`` before a block has it shown only. A picture that a page shows
from ``_made/PAGE/`` is one that its code writes.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parents[1]
MADE = "_made"

_BLOCK = re.compile(
    r"^(?P<skip><!-- not run: .+? -->\n)?```(?P<kind>python|sh)\n(?P<code>.*?)^```\n"
    r"(?:\n?```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A piece of code of a page; ``printed`` is what it is said to print, or None."""

    kind: str
    code: str
    printed: str | None
    line: int


def pages() -> list[Path]:
    """Return the pages that have code to be run."""
    found = [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")]
    return sorted(page for page in found if blocks(page))


def blocks(page: Path) -> list[Block]:
    """Return the code of a page that is to be run."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(m["kind"], m["code"], m["printed"], text.count("\n", 0, m.start()) + 1)
        for m in _BLOCK.finditer(text)
        if m["skip"] is None
    ]


def pictures(page: Path) -> list[str]:
    """Return the names of the pictures that a page's code is to make."""
    pattern = rf"(?:\.\./)?{MADE}/{page.stem}/([\w.-]+)"
    return sorted(set(re.findall(pattern, page.read_text(encoding="utf-8"))))


def run(page: Path, folder: Path) -> None:
    """Run the code of a page in a folder; raise if it fails or prints something else."""
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks(page):
        place = f"{page.relative_to(DOCS.parent)}, line {block.line}"
        with contextlib.chdir(folder):
            printed = _python(block, place, names) if block.kind == "python" else _shell(block)
        if block.printed is not None and not _same(printed, block.printed):
            raise AssertionError(f"{place} prints\n{printed}\nbut the page says\n{block.printed}")


def _same(printed: str, said: str) -> bool:
    """Compare word by word; of a number the first four digits: the rest is the machine's."""
    words, expected = printed.split(), said.split()
    return len(words) == len(expected) and all(map(_same_word, words, expected))


def _same_word(word: str, expected: str) -> bool:
    if word == expected:
        return True
    try:
        return math.isclose(float(word), float(expected), rel_tol=1e-4)
    except ValueError:
        return False


def _python(block: Block, place: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, place, "exec"), names)  # noqa: S102 - our own text
    return printed.getvalue()


def _shell(block: Block) -> str:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(  # noqa: S603 - our own text
        ["/bin/sh", "-e", "-c", block.code],
        env={**os.environ, "PATH": scripts, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{block.code}ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def make_pictures(_app: Any) -> None:
    """Run the pages that show pictures, and put these where the pages look for them."""
    shutil.rmtree(DOCS / MADE, ignore_errors=True)
    for page in pages():
        wanted = pictures(page)
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as name:
            run(page, Path(name))
            target = DOCS / MADE / page.stem
            target.mkdir(parents=True)
            for picture in wanted:
                shutil.copy(Path(name) / picture, target / picture)


def setup(app: Any) -> dict[str, bool]:
    """Have the pictures made before the pages are read."""
    app.connect("builder-inited", make_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
