# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids`` with a Stats Model that groups subjects, and one that names a mask."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm.cli import main
from groupglm.cli.results.names import read_json
from reference.bids import bids_done, maps_of, model_file, run_bids
from reference.shell import values_of

FACES = ("--contrast", "facesGtHouses")


def _people(raw: Path) -> pd.DataFrame:
    return pd.read_csv(raw / "participants.tsv", sep="\t").set_index("participant_id")


def test_each_level_of_a_column_has_its_own_fit(raw: Path, tmp_path: Path) -> None:
    path = model_file(tmp_path, GroupBy=["contrast", "group"], Model={"Type": "glm", "X": [1]})
    said = bids_done(raw, tmp_path / "out", "--model", path, *FACES).output
    people = _people(raw)
    levels = sorted(people["group"].unique())
    for level in levels:
        assert f"group {level}" in said
        (own,) = (tmp_path / "out").rglob(f"*_group-{level}_contrast-facesGtHouses_stat-t_*.nii.gz")
        labels = people.index[people["group"] == level]
        maps = [values_of(file) for file in maps_of(raw) if file.name.split("_")[0] in set(labels)]
        values = np.stack(maps)
        n = len(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(n))
        inside = values_of(raw / "mask.nii.gz") > 0
        np.testing.assert_allclose(values_of(own)[inside], t[inside], rtol=2e-5)
        facts = read_json(own.with_name(own.name.replace(".nii.gz", ".json")))
        assert facts is not None
        assert facts["FirstLevel"]["group"] == level
        assert facts["NumberOfSubjects"] == n
    assert len(levels) > 1
    again = bids_done(raw, tmp_path / "out", "--model", path, *FACES).output
    assert again.count("skipped, it is there already") == len(levels)


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("sites", None, "GroupBy names 'sites', which the participants table does not have"),
        ("age", None, "GroupBy cannot use column 'age' .* each subject has another value"),
        ("site", lambda n: ["a"] * (n - 1) + ["b"], "the group site b has 1 subject"),
        ("site", lambda n: [None, *["a"] * (n - 1)], "GroupBy cannot use .* has no value for"),
        ("site", lambda n: ["a!"] * 2 + ["a?"] * (n - 2), "written to the same files"),
        ("site", lambda n: ["!"] * 2 + ["a"] * (n - 2), "no letter or digit to name its files"),
    ],
)
def test_groups_that_are_refused(
    raw: Path, tmp_path: Path, column: str, values: Any, told: str
) -> None:
    import re

    table = _people(raw).reset_index()
    if values is not None:
        table[column] = values(len(table))
    people = tmp_path / "participants.tsv"
    table.to_csv(people, sep="\t", index=False, na_rep="n/a")
    path = model_file(tmp_path, GroupBy=["contrast", column], Model={"Type": "glm", "X": [1]})
    more = ("--participants", people, "--dry-run", *FACES)
    refused = run_bids(raw, tmp_path / "out", "--model", path, *more)
    assert refused.exit_code == 1, refused.output
    assert re.search(told, " ".join(refused.output.split())), refused.output


def test_the_mask_of_a_model(raw: Path, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    shutil.copytree(raw, root)
    fitlins = root / "derivatives" / "fitlins"
    shutil.copy(root / "mask.nii.gz", fitlins / "desc-brain_mask.nii.gz")
    model = {"Type": "glm", "X": [1], "Options": {"Mask": {"desc": "brain", "suffix": "mask"}}}
    path = model_file(tmp_path, Model=model)
    arguments = ["bids", fitlins, tmp_path / "out", "--model", path, *FACES]
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    (mask,) = (tmp_path / "out").rglob("*_mask.nii.gz")
    np.testing.assert_array_equal(values_of(mask) > 0, values_of(root / "mask.nii.gz") > 0)
    both = run_bids(root, tmp_path / "both", "--model", path, *FACES)
    assert both.exit_code == 2
    assert "--mask has no effect beside Model.Options.Mask" in both.output
    (fitlins / "desc-brain_mask.nii.gz").unlink()
    refused = CliRunner().invoke(main, [*map(str, arguments), "--overwrite"])
    assert refused.exit_code == 1
    assert "names no file of the derivative" in refused.output
