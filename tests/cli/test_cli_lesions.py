# SPDX-License-Identifier: BSD-3-Clause
"""Binary lesion maps through the commands: infinite statistics from the fit to the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from reference.lesions import (
    CONTROLS_ONLY,
    NO_PATIENT,
    PATIENTS_ONLY,
    expected_infinities,
    write_lesion_study,
)
from reference.shell import run_well

nib: Any = nibabel  # typed only in part

INFINITE = expected_infinities()
Z = "contrast-lesion_stat-z_statmap.nii.gz"


def _values(path: Path) -> Any:
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Return a folder with study and results, and what the command said."""
    folder = write_lesion_study(tmp_path_factory.mktemp("lesions") / "study")
    result = run_well(
        "fit", folder / "maps" / "*.nii.gz", "--participants", folder / "participants.tsv",
        "--formula", "~ C(group)", "--contrast", "lesion=C(group)[T.patient]",
        "--mask", folder / "mask.nii.gz", "--correct", "fdr:0.05", "--correct", "bonferroni:0.05",
        "--save-model", "--report", "--output", folder / "out", "--json",
    )  # fmt: skip
    return folder, result


def _clusters(table: pd.DataFrame) -> list[tuple[float, int]]:
    return [
        (float(peak), int(size))
        for peak, size in zip(table["Peak Stat"], table["Cluster Size (voxels)"], strict=True)
        if np.isinf(float(peak))
    ]


STRONGEST = [(np.inf, int(PATIENTS_ONLY.sum())), (-np.inf, int(CONTROLS_ONLY.sum()))]


def test_the_fit_has_them_in_its_maps_and_says_so(fitted: tuple[Path, Result]) -> None:
    folder, result = fitted
    z = _values(folder / "out" / Z)
    np.testing.assert_array_equal(np.where(np.isinf(z), z, np.nan), INFINITE)
    np.testing.assert_array_equal(np.isnan(z), NO_PATIENT)
    assert "RuntimeWarning" not in result.stderr
    assert "invalid value" not in result.stderr
    assert "strongest positive z inf at (8, -12, -6) mm" in result.stderr
    (told,) = json.loads(result.stdout)["contrasts"]
    assert told["strongest_positive"] == {"z": "inf", "mm": [8.0, -12.0, -6.0]}
    assert told["strongest_negative"] == {"z": "-inf", "mm": [-12.0, 8.0, 6.0]}
    for found in told["corrected"]:
        kept = _values(Path(found["files"]["map"]))
        np.testing.assert_array_equal(np.where(np.isinf(kept), kept, np.nan), INFINITE)
        table = pd.read_csv(found["files"]["clusters"], sep="\t")
        assert _clusters(table) == STRONGEST
        assert np.isfinite(found["threshold"])


def test_the_page_of_the_fit_and_of_the_folder_have_them(
    fitted: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, _ = fitted
    run_well("report", folder / "out", "--output", tmp_path / "page.html")
    for page in (folder / "out" / "report.html", tmp_path / "page.html"):
        text = page.read_text(encoding="utf-8")
        assert "strongest positive z is \N{INFINITY} at (8, \N{MINUS SIGN}12" in text
        assert "those of 35 more are infinite" in text


@pytest.mark.parametrize("how", [("--correct", "fpr:0.001"), ("--at", "3"), ("--at", "inf")])
def test_they_survive_the_threshold_command(
    fitted: tuple[Path, Result], tmp_path: Path, how: tuple[str, str]
) -> None:
    folder, _ = fitted
    out = tmp_path / "kept.nii.gz"
    arguments = ("threshold", folder / "out" / Z, "--mask", folder / "mask.nii.gz", *how)
    said = run_well(*arguments, "--output", out).output
    assert ("(not corrected for the number of voxels)" in said) == (how[1] == "fpr:0.001")
    assert ("z is infinite: 35 voxels" in said) == (how[1] == "inf")
    kept = _values(out)
    np.testing.assert_array_equal(np.where(np.isinf(kept), kept, np.nan), INFINITE)
    if how[1] == "inf":
        assert np.count_nonzero(np.nan_to_num(kept)) == 35
    assert "skipped" in run_well(*arguments, "--output", out).output


@pytest.mark.parametrize("threshold", ["3", "inf"])
def test_they_are_in_the_clusters_command(
    fitted: tuple[Path, Result], tmp_path: Path, threshold: str
) -> None:
    folder, _ = fitted
    out = tmp_path / "table.tsv"
    arguments = (
        "clusters", folder / "out" / Z, "--threshold", threshold, "--min-distance", "0",
        "--cluster-threshold", "3", "--output", out, "--json",
    )  # fmt: skip
    first, again = (json.loads(run_well(*arguments).stdout) for _ in range(2))
    assert _clusters(pd.read_csv(out, sep="\t")) == STRONGEST
    assert [row["Peak Stat"] for row in first["clusters"]] == ["inf", "-inf"]
    assert {**first, "status": "skipped"} == again  # equal when read back from the table


def test_nothing_is_refused_where_no_voxel_is_a_discovery(tmp_path: Path) -> None:
    z = np.clip(np.random.default_rng(1).normal(size=(8, 8, 8)), -2, 2).astype(np.float32)
    image = nib.Nifti1Image(z, np.eye(4))
    nib.save(image, tmp_path / "z.nii.gz")
    run_well(
        "threshold", tmp_path / "z.nii.gz", "--correct", "fdr:0.05", "--output", tmp_path / "o.nii"
    )
    shown = run_well("clusters", tmp_path / "z.nii.gz", "--threshold", "inf")
    assert "No cluster." in shown.output
