# SPDX-License-Identifier: BSD-3-Clause
"""A small study for the tests of the commands, and its design by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from click.testing import CliRunner, Result

from groupglm.cli import main
from groupglm.datasets import simulate_group_study

# Options with which a fit writes all that it can.
EVERYTHING = ("--save-model", "--report", "--correct", "fdr:0.05", "--permute", "20")


def make_study(folder: Path) -> Path:
    """Fill a folder with maps/sub-XX_effect.nii.gz, participants.tsv (shuffled), mask.nii.gz."""
    made = simulate_group_study(folder / "maps", n_subjects=12, voxel_size=9.0, seed=1)
    table = made.participants.sample(frac=1, random_state=4)
    table.to_csv(folder / "participants.tsv", sep="\t", index=False)
    nib.save(made.mask_img, folder / "mask.nii.gz")
    return folder


def run(*arguments: object) -> Result:
    """Run a command, as a shell would."""
    return CliRunner().invoke(main, [*map(str, arguments)])


def run_well(*arguments: object) -> Result:
    """Run a command that shall succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def run_fit(*arguments: str | Path) -> Result:
    return run("fit", *arguments)


def basic(study: Path, output: Path, *more: str | Path) -> list[str | Path]:
    return [
        study / "maps" / "sub-*_effect.nii.gz",
        "--participants",
        study / "participants.tsv",
        "--formula",
        "~ age + C(group)",
        "--contrast",
        "age",
        "--contrast",
        "patients>controls=group[T.patient]",
        "--mask",
        study / "mask.nii.gz",
        "--output",
        output,
        *more,
    ]


def values_of(path: Path) -> Any:
    image: Any = nib.load(path)
    return np.asarray(image.dataobj, dtype=np.float64)


def design_of(study: Path) -> tuple[list[str], pd.DataFrame]:
    """The design by hand: sorted subjects, columns written out."""
    table = pd.read_csv(study / "participants.tsv", sep="\t").sort_values("participant_id")
    paths = [str(study / "maps" / f"{name}_effect.nii.gz") for name in table["participant_id"]]
    patient = (table["group"] == "patient").to_numpy(float)
    return paths, pd.DataFrame(
        {"Intercept": 1.0, "age": table["age"].to_numpy(), "patient": patient}
    )
