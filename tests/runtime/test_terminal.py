# SPDX-License-Identifier: BSD-3-Clause
# mypy: disable-error-code="no-untyped-call"
"""Terminals that are closed, full, of few characters, or driven by what a file holds."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import SecondLevelModel
from groupglm.cli import main
from groupglm.errors import printable, warn_caller
from groupglm.runtime.progress import Progress
from groupglm.runtime.terminal import show
from groupglm.spaces.volume import save_image
from reference.shell import basic, make_study, run_fit

# What clears a screen, changes its title, reverses the text and rings the bell.
HOSTILE = "age\x1b[2J\x1b]0;owned\x07\u202e\x9b5m"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_study`."""
    return make_study(tmp_path_factory.mktemp("study"))


def _run(
    *arguments: str | Path,
    stdout: Any = subprocess.PIPE,
    closing: tuple[int, ...] = (),
    **changes: str,
) -> subprocess.CompletedProcess[bytes]:
    """Run the program itself, with streams that are closed and an environment of one's own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **changes}
    code = "import sys; from groupglm.cli import main; main()"

    def close() -> None:
        for number in closing:
            os.close(number)

    return subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env=environment,
        preexec_fn=close,
        timeout=300,
    )


def test_what_is_printable_stays() -> None:
    text = "µ é 脳 naïve\tx\ny 👩\u200d🔬"
    assert printable(text) == text
    assert printable(HOSTILE) == r"age\x1b[2J\x1b]0;owned\x07\u202e\x9b5m"
    assert printable("a\rb\x00\x7f\u2028") == r"a\rb\x00\x7f\u2028"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_line_for_a_terminal_of_few_characters(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    show("脳 é", stream)
    expected = (
        "脳 é" if encoding == "utf-8" else r"\u8133 é" if encoding == "latin-1" else r"\u8133 \xe9"
    )
    assert raw.getvalue().decode(encoding) == expected + "\n"


def test_what_a_fit_prints_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Progress(1).result(f"脳 {HOSTILE}")
    assert raw.getvalue() == f"\\u8133 {printable(HOSTILE)}\n".encode()
    monkeypatch.setattr(sys, "stdout", None)
    Progress(2).stage("closed")


def test_warnings_do_not_drive_a_terminal() -> None:
    with pytest.warns(UserWarning, match="warn") as caught:
        warn_caller(f"warn {HOSTILE}")
    assert str(caught[0].message) == f"warn {printable(HOSTILE)}"
    rng = np.random.default_rng(0)
    x = rng.normal(size=8)
    design = pd.DataFrame({HOSTILE: x, "twice": 2 * x, "intercept": 1.0})
    images = [nib.Nifti1Image(rng.normal(size=(4, 4, 4)), np.eye(4)) for _ in range(8)]
    with pytest.warns(UserWarning, match="twice") as caught:
        SecondLevelModel().fit(images, design_matrix=design)
    assert not any("\x1b" in str(one.message) for one in caught)


@pytest.fixture
def hostile_study(study: Path, tmp_path: Path) -> list[str | Path]:
    """Arguments of a fit whose column, contrast and value hold escape sequences."""
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    table[HOSTILE] = table["age"]
    table["group"] = table["group"].str.replace("patient", "patient\x1b[31m")
    table.to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    arguments = basic(study, tmp_path / "out")[:9]
    arguments[2] = tmp_path / "p.tsv"
    arguments[4] = f"~ `{HOSTILE}` + C(group)"
    arguments[6:8] = [f"{HOSTILE} 脳=`{HOSTILE}`", "--mask"]
    return [*arguments[:8], study / "mask.nii.gz", "--output", tmp_path / "out"]


def test_columns_of_a_table_do_not_drive_a_terminal(
    hostile_study: list[str | Path], tmp_path: Path
) -> None:
    done = run_fit(*hostile_study)
    assert done.exit_code == 0, done.output
    assert "\\x1b[2J" in done.output
    for text in (done.output, (tmp_path / "out" / "log.txt").read_text()):
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    hidden = hostile_study.copy()
    hidden[5:7] = ["--contrast", f"x={HOSTILE}q"]
    for refused in (run_fit(*hidden), run_fit("none\x1b[2J", *hidden[1:])):
        assert refused.exit_code != 0
        assert not set(refused.output) & set("\x1b\x07\x9b\u202e"), repr(refused.output)


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ascii", "C", "latin-1"],
)
def test_a_fit_in_a_terminal_of_few_characters(
    changes: dict[str, Any], hostile_study: list[str | Path], tmp_path: Path
) -> None:
    done = _run("fit", *hostile_study, **changes)
    assert done.returncode == 0, done.stderr
    assert ("脳".encode() if "LC_ALL" in changes else b"\\u8133") in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr
    assert "脳" in (tmp_path / "out" / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("closing", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_closed_streams(closing: tuple[int, ...], study: Path, tmp_path: Path) -> None:
    done = _run("fit", *basic(study, tmp_path / "out"), closing=closing)
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr
    image: Any = nib.load(tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz")
    assert np.isfinite(np.asarray(image.dataobj)).any()
    refused = _run("fit", *basic(study, tmp_path / "other")[:-2], closing=closing)
    assert refused.returncode == 2


def test_a_full_device(study: Path, tmp_path: Path) -> None:
    for arguments in (["info"], ["info", "--json"], ["fit", *basic(study, tmp_path / "out")]):
        with Path("/dev/full").open("wb") as full:
            done = _run(*arguments, stdout=full)
        assert done.returncode == 1
        assert b"standard output: No space left on device" in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr


def test_a_reader_that_goes_away(study: Path, tmp_path: Path) -> None:
    """As by ``| head -1``: no traceback, and what was written is whole."""
    reading, writing = os.pipe()
    os.close(reading)
    done = _run("fit", *basic(study, tmp_path / "out"), stdout=writing)
    os.close(writing)
    assert done.returncode != 0
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EOFError(), "unexpected EOFError: this is a fault"),
        (RecursionError("too deep"), "unexpected RecursionError (too deep): this is a fault"),
        (AttributeError("'int' has no 'get'"), "unexpected AttributeError ('int' has no 'get')"),
        (KeyError("X"), "unexpected KeyError ('X')"),
        (ValueError(), "unexpected ValueError: this is a fault"),
        (MemoryError(), "the memory is not enough"),
        (OSError(28, "No space left on device", "z.nii"), "z.nii: No space left on device; free"),
    ],
)
def test_no_error_of_a_command_is_a_traceback(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sys.modules["groupglm.cli.commands.info"], "show", fail)
    failed = CliRunner().invoke(main, ["info"])
    assert failed.exit_code == 1
    assert f"Error: {told}" in failed.output
    assert "Aborted" not in failed.output
    assert "Traceback" not in failed.output
    if "fault" in told:
        assert "GROUPGLM_TRACEBACK=1" in failed.output
    traced = CliRunner().invoke(main, ["info"], env={"GROUPGLM_TRACEBACK": "1"})
    assert traced.exit_code == 1
    assert "Traceback (most recent call last)" in traced.output
    assert type(error).__name__ in traced.output


def test_exits_and_aborts_of_click_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, code in ((click.exceptions.Exit(5), 5), (click.Abort(), 1)):

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(sys.modules["groupglm.cli.commands.info"], "show", fail)
        assert CliRunner().invoke(main, ["info"]).exit_code == code


def test_a_limit_on_the_size_of_files_names_the_file(study: Path, tmp_path: Path) -> None:
    """As a full disk does: the system's error has no name of a file."""
    model = _fitted()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for write in (
            lambda: model.save(tmp_path / "m.groupglm"),
            lambda: save_image(model.compute_contrast("x"), tmp_path / "z.nii"),
            lambda: model.generate_report("x").save_as_html(tmp_path / "r.html"),
        ):
            with pytest.raises(OSError, match=r"File too large") as failed:
                write()
            assert Path(str(failed.value.filename)).name in ("m.groupglm", "z.nii", "r.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _fitted() -> SecondLevelModel:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(size=(9, 9, 9)), np.eye(4)) for _ in range(6)]
    design = pd.DataFrame({"x": rng.normal(size=6), "intercept": 1.0})
    return SecondLevelModel().fit(images, design_matrix=design)


def test_the_summary_for_a_program_is_whole(hostile_study: list[str | Path]) -> None:
    done = _run("fit", *hostile_study, "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["contrasts"][0]["name"] == f"{HOSTILE} 脳"
