# SPDX-License-Identifier: BSD-3-Clause
"""Random fields whose degrees of freedom differ by place: tables, maps, files and pages agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.ndimage import gaussian_filter

from groupglm import SecondLevelModel, get_results_table, threshold_stats_img
from groupglm.inference.random_fields.densities import ec_densities
from reference.shell import run_well, values_of

SHAPE = (14, 15, 12)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N = 16
FEW = (slice(10, 12), slice(10, 12), slice(8, 10))  # 8 voxels, of four images: 2 degrees
SOME = (slice(0, 5), slice(None), slice(None))  # of eleven images: 9 degrees
GROUP = np.arange(N) % 2.0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "maps").mkdir()
    rng = np.random.default_rng(4)
    rows = ["participant_id\tgroup"]
    for subject, group in enumerate(GROUP):
        values = gaussian_filter(rng.standard_normal(SHAPE), 2.0)
        values /= values.std()
        values[3:8, 3:8, 3:8] += 3.5 * group
        if subject >= 11:
            values[SOME] = np.nan
        # What is left there is all but the same in each group: a t of some thousands.
        values[FEW] = np.nan if subject >= 4 else group + 1e-3 * values[FEW]
        nib.save(
            nib.Nifti1Image(values.astype(np.float32), AFFINE),  # type: ignore[no-untyped-call]
            folder / "maps" / f"sub-{subject:02d}_effect.nii.gz",
        )
        rows.append(f"sub-{subject:02d}\t{group:g}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    mask: Any = nib.Nifti1Image
    nib.save(mask(np.ones(SHAPE, np.uint8), AFFINE), folder / "mask.nii.gz")
    return folder


@pytest.fixture(scope="module")
def model(study: Path) -> Any:
    design = pd.DataFrame({"Intercept": np.ones(N), "group": GROUP})
    images = sorted((study / "maps").glob("*.nii.gz"))
    return SecondLevelModel(mask_img=study / "mask.nii.gz").fit(images, design_matrix=design)


@pytest.fixture(scope="module")
def fitted(study: Path) -> Path:
    folder = study / "fit"
    said = run_well(
        "fit", study / "maps" / "sub-*_effect.nii.gz", "--formula", "~ group",
        "--participants", study / "participants.tsv", "--mask", study / "mask.nii.gz",
        "--contrast", "group", "--correct", "rft:0.05", "--correct", "cluster-rft:p<0.001,0.05",
        "--report", "--output", folder,
    ).output  # fmt: skip
    assert "8 voxels have a statistic of 3 or fewer residual degrees of freedom" in said
    return folder


def df_of_places() -> Any:
    df = np.full(SHAPE, float(N - 2))
    df[SOME] = 9.0
    return df


def expected_clusters(z: float, smooth: Any) -> float:
    """The expected number above a z: the mean density over the searched places, by their own df."""
    df = np.delete(df_of_places().ravel(), np.ravel_multi_index(np.mgrid[FEW], SHAPE).ravel())
    total = 0.0
    for own in np.unique(df):
        t = stats.t.isf(stats.norm.sf(z), own)
        total += (df == own).mean() * float(np.dot(smooth.resels, ec_densities(t, "t", own)))
    return total


LEFT_OUT = "8 voxels have a statistic of 3 or fewer residual degrees of freedom"


def test_peaks_have_the_p_of_all_searched_places(model: Any) -> None:
    assert set(np.unique(model.df_residual_.get_fdata())) == {2.0, 9.0, 14.0}
    with pytest.warns(UserWarning, match=LEFT_OUT):
        found = get_results_table((model, "group"), 3.0, correction="rft")
    for z, p in zip(found["Peak Stat"], found["Peak p (FWE)"], strict=True):
        assert p == pytest.approx(-np.expm1(-expected_clusters(z, model.smoothness_)), rel=1e-8)
    assert found["Peak p (FWE)"].min() < 0.05
    # The places of two degrees of freedom are not in it; of another correction they are.
    x = found["X"].to_numpy(float) / 3
    assert not ((x >= 10) & (x < 12) & (found["Y"].to_numpy(float) / 3 >= 10)).any()
    others = get_results_table((model, "group"), 3.0, correction="bonferroni")
    x = others["X"].to_numpy(float) / 3
    assert ((x >= 10) & (x < 12) & (others["Y"].to_numpy(float) / 3 >= 10)).any()


def test_the_threshold_of_a_file_is_that_of_its_map_of_degrees(
    study: Path, model: Any, fitted: Path
) -> None:
    z_file = fitted / "contrast-group_stat-z_statmap.nii.gz"
    with pytest.warns(UserWarning, match=LEFT_OUT):
        kept, used = threshold_stats_img(
            z_file, study / "mask.nii.gz", alpha=0.05, height_control="rft", two_sided=True
        )
    smooth, level = model.smoothness_, -np.log1p(-0.025)
    wanted = optimize.brentq(lambda z: expected_clusters(z, smooth) - level, 3.0, 9.0)
    # The smoothness in a sidecar has all its digits.
    assert used == pytest.approx(wanted, rel=1e-9)
    found: Any = kept
    values = found.get_fdata()
    assert np.isnan(values[FEW]).all()
    assert np.nan_to_num(values).any()
    facts = json.loads((fitted / "contrast-group_stat-z_desc-rft0p05_statmap.json").read_text())
    assert facts["Threshold"] == pytest.approx(wanted, rel=1e-9)
    page = (fitted / "report.html").read_text()
    assert f"{LEFT_OUT}, which no random field has" in " ".join(page.split())
    assert f"|z| &gt; {wanted:.3f}" in page


def test_tables_of_files_leave_the_same_places_out(fitted: Path) -> None:
    for name in ("rft0p05", "clusterrft0p001c0p05"):
        (path,) = fitted.glob(f"*_desc-{name[:3]}*_clusters.tsv") if name == "rft0p05" else (
            fitted.glob("*_desc-cluster*_clusters.tsv")
        )  # fmt: skip
        table = pd.read_csv(path, sep="\t")
        assert len(table) > 0
        assert not ((table["X"] >= 30) & (table["Y"] >= 30)).any()
        values = values_of(Path(str(path).replace("_clusters.tsv", "_statmap.nii.gz")))
        assert not np.nan_to_num(values[FEW]).any()


def test_a_file_without_its_map_of_degrees_takes_the_fewest(
    study: Path, model: Any, tmp_path: Path
) -> None:
    image = model.compute_contrast("group")
    nib.save(image, tmp_path / "z.nii.gz")
    facts = {
        "Values": "z", "StatType": "t", "Smoothness": model.smoothness_.facts(),
        "DegreesOfFreedom": {"Residual": 14, "ResidualMinimum": 9, "ResidualMap": "gone.nii.gz"},
    }  # fmt: skip
    (tmp_path / "z.json").write_text(json.dumps(facts))
    with pytest.warns(UserWarning, match="is above that of Bonferroni's correction"):
        _, used = threshold_stats_img(
            tmp_path / "z.nii.gz", study / "mask.nii.gz", alpha=0.05, height_control="rft"
        )
    resels = model.smoothness_.resels
    t = stats.t.isf(stats.norm.sf(used), 9)
    assert np.dot(resels, ec_densities(t, "t", 9.0)) == pytest.approx(-np.log1p(-0.025), rel=1e-6)
