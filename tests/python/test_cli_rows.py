# SPDX-License-Identifier: BSD-3-Clause
"""The commands' maps and rows: whose they are, and what a table of participants may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reference.shell import basic, make_study, run_fit


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_study`."""
    return make_study(tmp_path_factory.mktemp("study"))


def participants(study: Path) -> Any:
    return pd.read_csv(study / "participants.tsv", sep="\t")


def run_with(study: Path, tmp_path: Path, table: pd.DataFrame, *more: Any) -> Any:
    table.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    arguments = basic(study, tmp_path / "out")
    arguments[2] = tmp_path / "people.tsv"
    return run_fit(*arguments, *more)


def words(result: Any) -> str:
    return " ".join(str(result.output).split())


def test_labels_that_are_near_each_other_are_named(study: Path, tmp_path: Path) -> None:
    table = participants(study)
    table["participant_id"] = table["participant_id"].replace("sub-07", "7")
    said = words(run_with(study, tmp_path, table, "--dry-run"))
    assert "maps without a row in the participants table: 07" in said
    assert "The label '07' is near '7': give both sides the same labels" in said
    left = run_with(study, tmp_path, table, "--dry-run", "--allow-partial")
    assert left.exit_code == 0
    assert "'07' is near '7'" in words(left)


def test_one_file_is_not_two_subjects(study: Path, tmp_path: Path) -> None:
    maps = sorted((study / "maps").iterdir())
    for path in maps[1:]:
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / maps[0].name).symlink_to(maps[4])
    refused = run_fit(tmp_path / "*.nii.gz", *basic(study, tmp_path / "out")[1:], "--dry-run")
    assert refused.exit_code == 1
    assert "MAPS has one file for the maps of subject '01' and '05'" in words(refused)
    table = tmp_path / "maps.tsv"
    pd.DataFrame(
        {
            "subject_label": [f"{i + 1:02d}" for i in range(len(maps))],
            "map_name": "a",
            "effects_map_path": [str(path) for path in [maps[1], *maps[1:]]],
        }
    ).to_csv(table, sep="\t", index=False)
    refused = run_fit(table, *basic(study, tmp_path / "out")[1:], "--dry-run")
    assert refused.exit_code == 1
    assert "has one file for the maps of subject '01' and '02'" in words(refused)
