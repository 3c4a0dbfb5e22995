# SPDX-License-Identifier: BSD-3-Clause
"""Groups of unequal variance from the shell: t whose degrees of freedom differ by voxel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import groupglm
from reference.shell import make_study, run_fit, values_of

nib: Any = nibabel  # typed only in part
threshold_stats_img: Any = groupglm.threshold_stats_img
UNEQUAL = ("--model", "unequal", "--variance-groups", "group")


def fit(study: Path, out: Path, *more: str) -> None:
    result = run_fit(
        study / "maps" / "sub-*_effect.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ C(group)", "--contrast", "diff=group[T.patient]",
        "--mask", study / "mask.nii.gz", "--output", out, *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def fitted(study: Path) -> Path:
    fit(study, study / "out", *UNEQUAL)
    return study / "out"


def facts_of(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.with_suffix("").with_suffix(".json").read_text())
    return facts


def test_the_sidecar_names_the_map_of_satterthwaites_degrees(study: Path, fitted: Path) -> None:
    people = pd.read_csv(study / "participants.tsv", sep="\t", index_col="participant_id")
    inside = values_of(fitted / "mask.nii.gz") > 0
    files = sorted((study / "maps").glob("*.nii.gz"))
    maps = np.stack([values_of(path)[inside] for path in files])
    labels = [path.name.partition("_")[0] for path in files]
    patients = (people.loc[labels, "group"] == "patient").to_numpy()
    welch = stats.ttest_ind(maps[patients], maps[~patients], equal_var=False)
    t_map = fitted / "contrast-diff_stat-t_statmap.nii.gz"
    np.testing.assert_allclose(values_of(t_map)[inside], welch.statistic, rtol=1e-5)
    degrees = facts_of(t_map)["DegreesOfFreedom"]
    assert degrees["ResidualMap"] == "contrast-diff_stat-dof_statmap.nii.gz"
    np.testing.assert_allclose(degrees["Residual"], welch.df.max(), rtol=1e-9)
    np.testing.assert_allclose(degrees["ResidualMinimum"], welch.df.min(), rtol=1e-9)
    df = fitted / degrees["ResidualMap"]
    np.testing.assert_allclose(values_of(df)[inside], welch.df, rtol=1e-6)
    assert facts_of(df)["Values"] == "dof"


def test_t_is_converted_to_z_by_the_degrees_of_its_voxel(fitted: Path) -> None:
    t_map = fitted / "contrast-diff_stat-t_statmap.nii.gz"
    z = values_of(fitted / "contrast-diff_stat-z_statmap.nii.gz")
    with pytest.warns(UserWarning, match="by the degrees of freedom of contrast-diff_stat-dof"):
        kept, _ = threshold_stats_img(
            t_map, fitted / "mask.nii.gz", 0.9, height_control="fpr", two_sided=True
        )
    shown = kept.get_fdata() != 0
    assert shown.sum() > 100
    np.testing.assert_allclose(kept.get_fdata()[shown], z[shown], rtol=1e-4)


def test_a_fit_of_one_variance_removes_the_map(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fit(study, out, *UNEQUAL)
    assert (out / "contrast-diff_stat-dof_statmap.nii.gz").is_file()
    fit(study, out, "--overwrite")
    assert not list(out.glob("*stat-dof*"))
    degrees = facts_of(out / "contrast-diff_stat-t_statmap.nii.gz")["DegreesOfFreedom"]
    assert set(degrees) == {"Residual"}
