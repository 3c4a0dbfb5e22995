# SPDX-License-Identifier: BSD-3-Clause
"""The kind of the commands' maps in their files, and how ``groupglm threshold`` uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from scipy import stats

from reference.shell import run, values_of

nib: Any = nibabel  # typed only in part
SHAPE = (12, 12, 12)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of nine subjects and three sites without any effect: no voxel is significant."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(1)
    for i in range(1, 10):
        values = (10 * rng.standard_normal(SHAPE)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"sub-{i:02d}.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), folder / "mask.nii.gz")
    labels = [f"sub-{i:02d}" for i in range(1, 10)]
    table = pd.DataFrame({"participant_id": labels, "site": list("abcabcabc")})
    table.to_csv(folder / "p.tsv", sep="\t", index=False)
    result = run(
        "fit", folder / "sub-*.nii.gz", "--participants", folder / "p.tsv", "--formula", "~ site",
        "--contrast", "any site=site[T.b]; site[T.c]", "--contrast", "b=site[T.b]",
        "--mask", folder / "mask.nii.gz", "--permute", "20", "--output", folder / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def _threshold(noise: Path, stat: str, out: Path, *more: str) -> Result:
    return run(
        "threshold", noise / "out" / f"contrast-{stat}_statmap.nii.gz", "--mask",
        noise / "mask.nii.gz", "--output", out, "--overwrite", *more,
    )  # fmt: skip


@pytest.mark.parametrize("stat", ["anySite_stat-z", "anySite_stat-F", "b_stat-z", "b_stat-t"])
def test_no_scale_makes_noise_significant(noise: Path, tmp_path: Path, stat: str) -> None:
    out = tmp_path / "x.nii.gz"
    result = _threshold(noise, stat, out, "--correct", "fdr:0.05")
    assert result.exit_code == 0, result.output
    assert "no voxel survives fdr:0.05: 0 voxels" in result.output
    converted = "it was converted to z-scores" in result.output
    assert converted == (stat[-1] in "tF")
    result = _threshold(noise, stat, out, "--correct", "fpr:0.05")
    kept = values_of(out)
    t_or_f = "t" if stat.startswith("b") else "F"
    statistic = values_of(noise / "out" / f"contrast-{stat[:-1]}{t_or_f}_statmap.nii.gz")
    wanted = (
        np.abs(statistic) >= stats.t.isf(0.025, 6)
        if t_or_f == "t"
        else statistic >= stats.f.isf(0.05, 2, 6)
    )
    np.testing.assert_array_equal(kept != 0, wanted)
    assert ("|z| >= 1.96" if t_or_f == "t" else "\nz >= 1.645") in f"\n{result.output}"
    facts = json.loads((tmp_path / "x.json").read_text())
    assert (facts["Values"], facts["TwoSided"]) == ("z", t_or_f == "t")


@pytest.mark.parametrize(
    ("stat", "what"),
    [
        ("b_stat-effect", "a map of effects"),
        ("b_stat-variance", "a map of variances of effects"),
        ("b_stat-p", "a map of p-values"),
        ("b_stat-logp_desc-maxT", "a map of -log10 of p-values"),
    ],
)
def test_other_maps_are_refused(noise: Path, tmp_path: Path, stat: str, what: str) -> None:
    result = _threshold(noise, stat, tmp_path / "x.nii.gz", "--correct", "fdr:0.05")
    assert result.exit_code == 1
    assert what in result.output
    assert ("give --at 1.301, and" in result.output) == ("logp" in stat)
    assert "height_control" not in result.output
    # Without the sidecar the header says it, and without both the name.
    bare: Any = nib.load(noise / "out" / f"contrast-{stat}_statmap.nii.gz")
    nib.save(bare, tmp_path / "copy.nii.gz")
    again = run("threshold", tmp_path / "copy.nii.gz", "--correct", "fdr:0.05", "--output",
                 tmp_path / "x.nii.gz")  # fmt: skip
    assert f"{what} (its header says so)" in again.output


def test_headers_of_results_name_the_contrast_as_the_user_does(noise: Path) -> None:
    found = {}
    for path in (noise / "out").glob("contrast-anySite*_statmap.nii.gz"):
        header: Any = nib.load(path).header
        kind = path.name.split("_")[1].removeprefix("stat-")
        found[kind] = (header.get_intent("code")[:2], header["descrip"].item().decode())
    assert found == {
        "effect": ((1001, ()), "effect_size of contrast any site"),
        "variance": ((1001, ()), "effect_variance of contrast any site"),
        "F": ((4, (2.0, 6.0)), "F stat of contrast any site"),
        "z": ((5, ()), "F z_score of contrast any site"),
        "p": ((22, ()), "F p_value of contrast any site"),
        "logp": ((24, ()), "-log10 p corrected, max F of contrast any site"),
    }
