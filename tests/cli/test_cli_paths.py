# SPDX-License-Identifier: BSD-3-Clause
"""Paths that the commands are given, and the log that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groupglm.cli import main
from reference.shell import basic, run

posix = pytest.mark.skipif(os.name == "nt", reason="permissions, links and pipes of POSIX")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and another folder to work in."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def _fit(study: Path, output: str, *more: str | Path) -> Result:
    *given, _, _ = basic(study, Path())
    return run("fit", *given, f"--output={output}", *more)


@posix
def test_a_tilde_that_no_shell_expands(study: Path, home: Path) -> None:
    """All results are in one folder, and none in a folder named  ."""
    result = _fit(study, "~/r", "--save-model", "--report")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (home / "r").iterdir()}
    assert {"report.html", "report.html.json", "model.groupglm", "model.json"} <= names
    assert {"mask.nii.gz", "mask.json", "log.txt", "contrast-age_stat-z_statmap.nii.gz"} <= names
    again = _fit(study, "~/r", "--save-model", "--report")
    assert again.output.count("skipped") == 3
    z, page = "~/r/contrast-age_stat-z_statmap.nii.gz", "--output=~/page.html"
    assert run("report", "~/r", page).exit_code == 0
    table = ("--threshold", "2", "--output=~/t.tsv")
    assert run("clusters", z, *table).exit_code == 0
    kept = ("--mask=~/r/mask.nii.gz", "--at", "2", "--output=~/k.nii.gz")
    assert run("threshold", z, *kept).exit_code == 0
    assert {"page.html", "page.html.json", "t.tsv", "k.nii.gz"} <= {
        path.name for path in home.iterdir()
    }
    demo = run("demo", "--output=~/d", "--n-subjects", "4", "--voxel-size", "12")
    assert demo.exit_code == 0
    assert (home / "d" / "demo.json").is_file()
    assert list(Path.cwd().iterdir()) == []


@posix
def test_a_folder_that_is_called_tilde(study: Path, home: Path) -> None:
    result = _fit(study, "./~/r", "--save-model", "--report")
    assert result.exit_code == 0, result.output
    assert list(home.iterdir()) == []
    there = Path.cwd() / "~" / "r"
    assert (there / "report.html").is_file()
    assert (there / "model.groupglm").is_file()
    assert (there / "contrast-age_stat-z_statmap.nii.gz").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "a.nii.gz", "--participants", "p.tsv", "--formula", "~1", "--contrast", "a"),
        ("threshold", "Z", "--at", "3"),
        ("clusters", "Z", "--threshold", "3"),
        ("report", "."),
        ("demo",),
    ],
)
def test_an_empty_output_is_refused(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("Z", "p.tsv"):
        (tmp_path / name).write_text("")
    result = run(*arguments, "--output", "")
    assert result.exit_code == 2
    assert "'--output': the path is empty; give a path, or . for the working" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"Z", "p.tsv"}


def _without_permission(log: Path) -> None:
    log.write_text("before\n")
    log.chmod(0o400)


def _not_text(log: Path) -> None:
    log.write_bytes(b"\xff\xfe before\n")


def _a_folder(log: Path) -> None:
    log.mkdir()


def _a_pipe(log: Path) -> None:
    os.mkfifo(log)


def _a_device(log: Path) -> None:
    log.symlink_to("/dev/full")


def _a_link(log: Path) -> None:
    log.with_name("mine.txt").write_text("mine")
    log.symlink_to("mine.txt")


def _a_hard_link(log: Path) -> None:
    log.with_name("mine.txt").write_text("mine")
    log.hardlink_to(log.with_name("mine.txt"))


@posix
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    "make",
    [_without_permission, _not_text, _a_folder, _a_pipe, _a_device, _a_link, _a_hard_link],
)
def test_a_log_that_cannot_be_written(
    study: Path, tmp_path: Path, make: Callable[[Path], None], fails: bool
) -> None:
    """The result and the error of a run do not depend on its log."""
    make(tmp_path / "log.txt")
    writable = make is _not_text or (make is _without_permission and os.geteuid() == 0)
    result = _fit(study, str(tmp_path), *(("--contrast", "nothing") if fails else ()))
    assert result.exit_code == int(fails), result.output
    assert ("'nothing'" in result.stderr) == fails
    told = f"Warning: the log '{tmp_path / 'log.txt'}' cannot be written: " in result.stderr
    assert told != writable
    if "link" in make.__name__:
        assert (tmp_path / "mine.txt").read_text() == "mine"
    if writable:
        text = (tmp_path / "log.txt").read_bytes()
        assert b"before\n" in text
        assert (b"Stopped: ValueError" if fails else b"Done in") in text


@pytest.mark.skipif(sys.platform != "linux", reason="names of files that are not UTF-8")
def test_a_log_of_names_that_are_not_text(study: Path, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(folder).mkdir()
    result = _fit(study, folder, "--contrast", "nothing")
    assert result.exit_code == 1
    assert "'nothing'" in result.stderr
    assert b"Stopped: ValueError" in (Path(folder) / "log.txt").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_in_the_place_of_the_folder_is_named(study: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = CliRunner().invoke(main, [*map(str, ("fit", *basic(study, pipe)))])
    assert result.exit_code == 1
    assert f"--output '{pipe}' cannot be a folder for results: '{pipe}' is a pipe;" in result.stderr


@pytest.mark.parametrize(
    ("command", "ending"),
    [("threshold", ".nii"), ("clusters", ".tsv"), ("report", ".html")],
)
def test_a_sidecar_whose_name_is_too_long_is_known_first(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, ending: str
) -> None:
    """The result's own name is short enough; nothing is computed that cannot be written."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was computed")

    assert run("fit", *basic(study, tmp_path / "out", "--save-model")).exit_code == 0
    monkeypatch.setattr("groupglm.cli.results.derived_files.publishing", never)
    source = tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"
    arguments: dict[str, list[str | Path]] = {
        "threshold": [source, "--at", "2"],
        "clusters": [source, "--threshold", "2"],
        "report": [tmp_path / "out"],
    }
    before = sorted(tmp_path.iterdir())
    name = "n" * (255 - len(ending)) + ending
    result = run(command, *arguments[command], "--output", tmp_path / name)
    assert result.exit_code == 1
    assert f"--output: a result would have the name '{'n' * 40}...' of 2" in result.stderr
    assert "bytes, and a file system takes 255; give a shorter name" in result.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_results_may_have_names_that_are_not_utf_8(study: Path, tmp_path: Path) -> None:
    """Such as old Latin-1 names: results are written, found again, and read."""
    assert run("fit", *basic(study, tmp_path / "out", "--save-model")).exit_code == 0
    folder = tmp_path / os.fsdecode(b"Caf\xe9")
    source = tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"
    commands: dict[str, tuple[str | Path, ...]] = {
        "k\udce9.nii.gz": ("threshold", source, "--at", "2"),
        "t\udce9.tsv": ("clusters", source, "--threshold", "2"),
        "p\udce9.html": ("report", tmp_path / "out"),
    }
    for name, arguments in commands.items():
        result = run(*arguments, "--output", folder / name)
        assert result.exit_code == 0, result.output
        assert (folder / name).is_file()
        assert "skipped" in run(*arguments, "--output", folder / name).output
    record = json.loads((folder / "k\udce9.json").read_bytes().decode("utf-8"))
    assert record["File"]["Name"] == "k\udce9.nii.gz"
    assert run("clusters", folder / "k\udce9.nii.gz", "--threshold", "2").exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_a_label_that_is_not_utf_8_is_known_before_images_are_read(
    study: Path, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted((study / "maps").glob("*.nii.gz"))):
        shutil.copy(path, tmp_path / f"caf\udce9{number}_x.nii.gz")
    given = ("--subject-pattern=(.*)_x", "--formula=~ 1", "--contrast=intercept")
    result = run("fit", tmp_path / "*.nii.gz", *given, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "'caf\\udce90'" in result.stderr
    assert "is not text in UTF-8, so no table can hold it; rename the file" in result.stderr
    assert not (tmp_path / "out" / "mask.nii.gz").exists()
