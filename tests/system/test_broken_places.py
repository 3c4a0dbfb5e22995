# SPDX-License-Identifier: BSD-3-Clause
"""Paths that lead nowhere: links to themselves, links to nothing, files where a folder is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import SecondLevelModel, non_parametric_inference, smooth_img
from groupglm.bids import read_participants
from groupglm.cli import main
from groupglm.datasets import simulate_group_study

DESIGN = pd.DataFrame({"i": np.ones(6)})
LOOP = "is a link that leads back to itself"
DANGLING = r"is a link to '.*nowhere', which does not exist"


@pytest.fixture
def maps(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"sub-{number}.nii") for number in range(1, 7)]
    for path in paths:
        values = np.pad(rng.normal(3, 1, (4, 4, 4)), 3)
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)  # type: ignore[no-untyped-call]
    return paths


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, Path]:
    """Paths by what they are."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    return {name: tmp_path / name for name in ("loop", "there", "dangling", "file")}


WORDS = {"loop": LOOP, "there": LOOP, "dangling": DANGLING, "file": "is a file"}


def run(*arguments: Any) -> str:
    """Run a command that fails, and return what it says in one line."""
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code in (1, 2), done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def unchanged(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("below", ["", "below/it"])
@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("command", ["fit", "permute", "bids", "demo"])
def test_where_a_folder_of_results_cannot_be(
    maps: list[str],
    broken: dict[str, Path],
    tmp_path: Path,
    command: str,
    name: str,
    below: str,
) -> None:
    before = unchanged(tmp_path)
    place = broken[name] / below
    told = {
        "fit": ("fit", *maps, "--formula", "~ 1", "--contrast", "Intercept", "--output", place),
        "permute": (
            "permute", *maps, "--formula", "~ 1", "--contrast", "Intercept", "--output", place,
        ),
        "bids": ("bids", tmp_path, place),
        "demo": ("demo", "--output", place),
    }  # fmt: skip
    if command == "bids":
        for number in range(1, 7):
            link = tmp_path / f"sub-{number}" / f"sub-{number}_contrast-a_stat-effect_statmap.nii"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(maps[number - 1])
        before = unchanged(tmp_path)
        found = run("bids", tmp_path, place)
    else:
        found = run(*told[command])
    assert_says(found, WORDS[name], broken[name])
    assert unchanged(tmp_path) == before


def assert_says(found: str, words: str, path: Path) -> None:
    assert re.search(rf"'{re.escape(str(path))}'?,? (which )?{words}", found), found


@pytest.mark.parametrize("name", ["loop", "there", "dangling"])
@pytest.mark.parametrize("option", ["maps", "mask", "participants", "derivatives", "z", "model"])
def test_what_cannot_be_read(
    maps: list[str], broken: dict[str, Path], tmp_path: Path, option: str, name: str
) -> None:
    path = broken[name]
    fit = ("fit", *maps, "--formula", "~ 1", "--contrast", "Intercept", "--output", tmp_path / "o")
    commands: dict[str, tuple[Any, ...]] = {
        "maps": ("fit", path, *fit[1:]),
        "mask": (*fit, "--mask", path),
        "participants": (*fit, "--participants", path),
        "derivatives": ("bids", path, tmp_path / "o"),
        "z": ("threshold", path, "--at", "3", "--output", tmp_path / "t.nii"),
        "model": ("report", path, "--output", tmp_path / "page.html"),
    }
    assert_says(run(*commands[option]), WORDS[name], path)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["loop", "there", "dangling"])
@pytest.mark.parametrize("command", ["threshold", "clusters", "report"])
def test_where_a_result_cannot_be(
    maps: list[str], broken: dict[str, Path], tmp_path: Path, command: str, name: str
) -> None:
    ending = {"threshold": ".nii", "clusters": ".tsv", "report": ".html"}[command]
    target = tmp_path / f"{name}{ending}"
    target.symlink_to(target.name if name != "dangling" else tmp_path / "nowhere")
    given = {"threshold": ("--at", "3"), "clusters": ("--threshold", "3"), "report": ()}[command]
    found = run(command, maps[0], *given, "--output", target)
    assert_says(found, LOOP if name != "dangling" else DANGLING, target)
    assert target.is_symlink()
    below = broken[name] / f"result{ending}"
    found = run(command, maps[0], *given, "--output", below)
    assert_says(found, WORDS[name], broken[name])


@pytest.mark.parametrize("name", WORDS)
def test_python_says_it_too(
    maps: list[str], broken: dict[str, Path], name: str, tmp_path: Path
) -> None:
    path = broken[name]
    model = SecondLevelModel(minimize_memory=False).fit(maps, design_matrix=DESIGN)
    writes: tuple[Callable[[], Any], ...] = (
        lambda: model.save(path / "model.groupglm"),
        lambda: model.generate_report("i").save_as_html(path / "page.html"),
        lambda: model.residuals(out=path / "residuals.nii"),
        lambda: SecondLevelModel(memory=path).fit(maps, design_matrix=DESIGN),
        lambda: non_parametric_inference(
            maps, design_matrix=DESIGN, n_perm=20, random_state=0, resume=path / "state.npz"
        ),
        lambda: simulate_group_study(path, n_subjects=4, voxel_size=12.0),
    )
    reads: tuple[Callable[[], Any], ...] = (
        lambda: smooth_img(str(path), 3),
        lambda: SecondLevelModel(mask_img=str(path)).fit(maps, design_matrix=DESIGN),
        lambda: SecondLevelModel.load(path),
        lambda: read_participants(table),
    )
    table = tmp_path / f"{name}.tsv"
    table.symlink_to(table.name if name == "loop" else tmp_path / "nowhere")
    before = unchanged(tmp_path)
    for door in writes:
        with pytest.raises((OSError, ValueError), match=WORDS[name]):
            door()
    assert unchanged(tmp_path) == before
    for door in reads if name in ("loop", "dangling") else ():
        with pytest.raises((OSError, ValueError), match=WORDS[name]):
            door()


@pytest.mark.parametrize("name", ["loop", "dangling"])
def test_python_replaces_no_link_that_leads_nowhere(
    maps: list[str], tmp_path: Path, name: str
) -> None:
    model = SecondLevelModel(minimize_memory=False).fit(maps, design_matrix=DESIGN)
    doors: dict[str, Callable[[Path], Any]] = {
        "model.groupglm": model.save,
        "page.html": lambda path: model.generate_report("i").save_as_html(path),
        "residuals.nii": lambda path: model.residuals(out=path),
        "state.npz": lambda path: non_parametric_inference(
            maps, design_matrix=DESIGN, n_perm=20, random_state=0, resume=path
        ),
    }
    for file, door in doors.items():
        path = tmp_path / file
        path.symlink_to(file if name == "loop" else tmp_path / "nowhere")
        with pytest.raises(ValueError, match=WORDS[name]):
            door(path)
        assert path.is_symlink()
        assert not (tmp_path / "nowhere").exists()
