# SPDX-License-Identifier: BSD-3-Clause
"""A 4-D image whose volumes are several visits a subject: the same results as of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from reference.shell import run, run_well, values_of
from reference.visit_study import make_visit_study

FORMULA = ("--formula", "~ month + group + (1 | subject)", "--contrast", "month")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_visit_study(tmp_path_factory.mktemp("visits"))


def z_of(folder: Path) -> Any:
    return values_of(folder / "contrast-month_stat-z_statmap.nii.gz")


@pytest.fixture(scope="module")
def wanted(study: Path) -> Any:
    """The z of the same maps in files."""
    out = study / "wanted"
    tables = ("--participants", study / "long.tsv")
    mask = ("--mask", study / "mask.nii.gz")
    run_well("fit", study / "maps" / "*.nii.gz", *tables, *FORMULA, *mask, "--output", out)
    return z_of(out)


def together(study: Path, table: pd.DataFrame, path: Path) -> Path:
    """Write the maps of a table's rows as one image, in the order of the rows."""
    names = table["participant_id"] + "_" + table["session_id"] + "_effect.nii.gz"
    images: Any = [nib.load(study / "maps" / name) for name in names]
    nib.save(nib.concat_images(images), path)  # type: ignore[no-untyped-call]
    return path


@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("long", ("--participants", "long.tsv")),
        ("sessions", ("--participants", "participants.tsv", "--sessions", "sessions.tsv")),
    ],
)
def test_volumes_are_the_visits_of_the_rows(
    study: Path, wanted: Any, tmp_path: Path, order: str, options: tuple[str, ...]
) -> None:
    table = pd.read_csv(study / f"{order}.tsv", sep="\t")
    assert table["participant_id"].tolist() != sorted(table["participant_id"])
    image = together(study, table, tmp_path / "all.nii.gz")
    given = [study / own if own.endswith(".tsv") else own for own in options]
    mask = ("--mask", study / "mask.nii.gz")
    said = run_well("fit", image, *given, *FORMULA, *mask, "--output", tmp_path / "out").output
    assert "27 maps of 12 subjects (1 to 3 a subject)" in said
    assert "belong to the volumes by their order" in said
    np.testing.assert_allclose(z_of(tmp_path / "out"), wanted, rtol=2e-5, atol=1e-6)


def test_a_design_of_ones_own_names_the_visits(study: Path, wanted: Any, tmp_path: Path) -> None:
    table = pd.read_csv(study / "long.tsv", sep="\t")
    image = together(study, table, tmp_path / "all.nii.gz")
    design = table[["participant_id", "session_id", "month"]].assign(
        Intercept=1.0, patient=(table["group"] == "patient").astype(float)
    )
    design.to_csv(tmp_path / "design.tsv", sep="\t", index=False)
    run_well(
        "fit", image, "--design-matrix", tmp_path / "design.tsv", "--model", "repeated",
        "--contrast", "month", "--mask", study / "mask.nii.gz", "--output", tmp_path / "out",
    )  # fmt: skip
    np.testing.assert_allclose(z_of(tmp_path / "out"), wanted, rtol=2e-5, atol=1e-6)


def test_rows_that_are_not_of_the_volumes_are_refused(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "long.tsv", sep="\t")
    image = together(study, table.iloc[:20], tmp_path / "all.nii.gz")
    given = [image, *FORMULA, "--output", tmp_path / "out"]
    other = run("fit", *given, "--participants", study / "long.tsv")
    assert other.exit_code == 1
    assert "has 20 volumes, but the participants table" in " ".join(other.output.split())
    table.drop(columns="session_id").to_csv(tmp_path / "no.tsv", sep="\t", index=False)
    nameless = run("fit", *given, "--participants", tmp_path / "no.tsv")
    assert nameless.exit_code == 1
    assert "add a column session_id that tells visits apart" in " ".join(nameless.output.split())
    several = run("fit", *given, "--sessions", study / "sub-01", "--sessions", study / "sub-02")
    assert several.exit_code == 1, several.output
