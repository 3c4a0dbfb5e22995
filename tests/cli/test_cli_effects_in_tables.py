# SPDX-License-Identifier: BSD-3-Clause
"""Effects and Cohen's d at the peaks of the tables of commands, beside those by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, optimize, stats

from reference.shell import run_well, values_of

SHAPE = (11, 12, 10)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N = 12
EFFECTS = ["Effect", "Effect CI Low", "Effect CI High"]
SIZES = ["Cohen's d", "Cohen's d CI Low", "Cohen's d CI High"]


def save(path: Path, values: Any) -> None:
    made: Any = nib.Nifti1Image
    nib.save(made(values, AFFINE), path)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps with two effects, values missing of some, and a mask with holes."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(3)
    (folder / "maps").mkdir()
    rows = ["participant_id\tage"]
    for subject in range(N):
        noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.4)
        values = noise / noise.std()
        values[2:5, 2:5, 2:5] += 2.5
        values[7:9, 8:10, 6:8] -= 2.0
        if subject < 3:
            values[:, 3] = np.nan
        save(folder / "maps" / f"sub-{subject:02d}_effect.nii.gz", values.astype(np.float32))
        rows.append(f"sub-{subject:02d}\t{30 + 3 * (subject % 5) + subject}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    inside = np.ones(SHAPE, np.uint8)
    inside[::4, 0] = 0
    inside[0, ::3, 1] = 0
    save(folder / "mask.nii.gz", inside)
    return folder


def of_study(study: Path) -> list[Any]:
    return [
        study / "maps" / "sub-*_effect.nii.gz",
        *("--participants", study / "participants.tsv", "--formula", "~ center(age)"),
        *("--contrast", "mean=Intercept", "--mask", study / "mask.nii.gz"),
    ]


@pytest.fixture(scope="module")
def fitted(study: Path) -> Path:
    folder = study / "fit"
    more = ("--correct", "fpr:0.01", "--contrast", "both=Intercept; center(age)")
    run_well("fit", *of_study(study), *more, "--output", folder)
    return folder


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(300)


def noncentral_cdf(t: float, df: int, nc: float) -> float:
    """P(T <= t) as the mean over the standard deviation; `scipy.stats.nct` is NaN for some."""
    spread = 1.5 * (NODES + 1)  # from 0 to 3 standard deviations
    density = stats.chi.pdf(spread, df, scale=df**-0.5)
    return float(1.5 * WEIGHTS @ (density * stats.norm.cdf(t * spread - nc)))


def by_hand(study: Path, row: Any) -> list[float]:
    """Effect and d with their intervals at a peak, by textbooks' formulas and `scipy.stats`."""
    voxel = tuple(round(float(row[axis]) / 3) for axis in "XYZ")
    paths = sorted((study / "maps").glob("sub-*.nii.gz"))
    y = np.array([values_of(path)[voxel] for path in paths])
    age = pd.read_csv(study / "participants.tsv", sep="\t")["age"].to_numpy(float)
    X = np.column_stack([np.ones(N), age - age.mean()])
    known = ~np.isnan(y)
    X, y = X[known], y[known]
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    df = len(y) - 2
    sd = np.sqrt(((y - X @ beta) ** 2).sum() / df)
    unit = np.sqrt(inverse[0, 0])
    t = beta[0] / (sd * unit)
    half = stats.t.ppf(0.975, df) * sd * unit
    ends = [
        optimize.brentq(lambda nc, p=p: noncentral_cdf(t, df, nc) - p, t - 15, t + 15)
        for p in (0.975, 0.025)
    ]
    return [beta[0], beta[0] - half, beta[0] + half, beta[0] / sd, ends[0] * unit, ends[1] * unit]


def check(study: Path, table: pd.DataFrame, columns: list[str]) -> None:
    assert len(table) >= 2
    assert set(table["Peak Stat"].astype(float) > 0) == {True, False}
    for _, row in table.iterrows():
        wanted = dict(zip([*EFFECTS, *SIZES], by_hand(study, row), strict=True))
        for name in columns:
            # Three digits after the point; maps in files are float32.
            assert float(row[name]) == pytest.approx(wanted[name], abs=6e-4, rel=1e-5)


def test_the_table_of_a_correction(study: Path, fitted: Path) -> None:
    path = fitted / "contrast-mean_stat-z_desc-fpr0p01_clusters.tsv"
    check(study, read(path), [*EFFECTS, *SIZES])
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["Effect"]["Units"] == "those of the maps, times those of the contrast's weights"
    assert facts["Effect CI Low"]["Description"].startswith("Lower end of the 95% interval")
    assert facts["Cohen's d"]["Units"] == "standard deviations"
    both = read(fitted / "contrast-both_stat-z_desc-fpr0p01_clusters.tsv")
    assert len(both)
    assert not {*EFFECTS, *SIZES} & set(both)  # F has no sign


@pytest.mark.parametrize("method", [(), ("--p-values", "bonferroni")])
@pytest.mark.parametrize("stat", ["z", "t"])
def test_clusters_of_a_map_of_a_fit(
    study: Path, fitted: Path, tmp_path: Path, method: Any, stat: str
) -> None:
    path, output = fitted / f"contrast-mean_stat-{stat}_statmap.nii.gz", tmp_path / "out.tsv"
    given = ["clusters", path, "--threshold", 2.6, *method]
    given += ["--mask", study / "mask.nii.gz"] if method else []
    said = run_well(*given, "--output", output).output
    table = read(output)
    check(study, table, EFFECTS)
    assert not set(SIZES) & set(table)
    assert "Cohen's d is not known: groupglm fit --effect-sizes cohen_d" in said
    facts = json.loads((tmp_path / "out.tsv.json").read_text())
    assert (
        facts["Options"]["Effects"]["effect"]["Name"] == "contrast-mean_stat-effect_statmap.nii.gz"
    )
    assert "skipped" in run_well(*given, "--output", output).output


def test_clusters_have_d_where_the_fit_mapped_it(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fit"
    run_well("fit", *of_study(study), "--effect-sizes", "cohen_d", "--output", folder)
    path = folder / "contrast-mean_stat-z_statmap.nii.gz"
    said = run_well("clusters", path, "--threshold", 2.6, "--output", tmp_path / "out.tsv").output
    check(study, read(tmp_path / "out.tsv"), [*EFFECTS, *SIZES])
    assert "not known" not in said
    found = json.loads(run_well("clusters", path, "--threshold", 2.6, "--json").stdout)
    assert all(isinstance(own["Cohen's d"], float) for own in found["clusters"])


def test_a_map_alone_tells_no_effects(fitted: Path, tmp_path: Path) -> None:
    for name in ("contrast-mean_stat-z_statmap.nii.gz", "contrast-mean_stat-z_statmap.json"):
        shutil.copy(fitted / name, tmp_path / name)
    z = tmp_path / "contrast-mean_stat-z_statmap.nii.gz"
    said = run_well("clusters", z, "--threshold", 2.6).output
    assert "Effects are not known of contrast-mean_stat-z_statmap.nii.gz alone" in said
    # Maps of another fit by these names are not taken for those of this one.
    for kind in ("effect", "variance"):
        name = f"contrast-mean_stat-{kind}_statmap"
        shutil.copy(fitted / f"{name}.nii.gz", tmp_path / f"{name}.nii.gz")
        facts = json.loads((fitted / f"{name}.json").read_text())
        facts["DesignHash"] = "sha256:0"
        (tmp_path / f"{name}.json").write_text(json.dumps(facts))
    assert "Effects are not known" in run_well("clusters", z, "--threshold", 2.6).output
    both = fitted / "contrast-both_stat-z_statmap.nii.gz"
    assert "not known" not in run_well("clusters", both, "--threshold", 2.6).output  # of F


def test_degrees_of_freedom_whose_map_is_gone_give_no_interval(
    fitted: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(fitted, tmp_path / "fit"))
    (folder / "df_residual.nii.gz").unlink()
    z = folder / "contrast-mean_stat-z_statmap.nii.gz"
    found = json.loads(run_well("clusters", z, "--threshold", 2.6, "--json").stdout)["clusters"]
    assert all(own["Effect CI Low"] is None and own["Effect"] for own in found)


def test_the_table_of_a_permutation_test(study: Path, tmp_path: Path) -> None:
    given = ("--n-perm", 30, "--cluster-p", 0.01, "--seed", 1)
    run_well("permute", *of_study(study), *given, "--output", tmp_path / "out")
    table = read(tmp_path / "out" / "contrast-mean_desc-permutation_clusters.tsv")
    check(study, table, [*EFFECTS, *SIZES])


def test_a_test_within_blocks_knows_no_error_of_an_effect(study: Path, tmp_path: Path) -> None:
    people = pd.read_csv(study / "participants.tsv", sep="\t")
    people["family"] = np.arange(N) // 2
    people.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    given = of_study(study)
    given[2] = tmp_path / "people.tsv"
    given += ["--exchangeability-blocks", "family", "--n-perm", 30, "--cluster-p", 0.01]
    run_well("permute", *given, "--output", tmp_path / "out")
    table = read(tmp_path / "out" / "contrast-mean_desc-permutation_clusters.tsv")
    check(study, table, ["Effect"])
    assert not {*EFFECTS[1:], *SIZES} & set(table)


@pytest.mark.filterwarnings("ignore:.*(is above that of Bonferroni|voxels wide):UserWarning")
def test_random_fields_are_added_to_a_fit_that_was_made_without(
    study: Path, tmp_path: Path
) -> None:
    fields = ("--correct", "rft:0.05")
    run_well("fit", *of_study(study), "--output", tmp_path / "two")
    run_well("fit", *of_study(study), *fields, "--output", tmp_path / "two")
    run_well("fit", *of_study(study), *fields, "--output", tmp_path / "one")
    name = "contrast-mean_stat-z_desc-rft0p05_clusters.tsv"
    one, two = (read(tmp_path / folder / name) for folder in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    check(study, one, [*EFFECTS, *SIZES])


def test_regions_have_effects(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal([2.0, 0.0, -1.5], 1.0, (N, 3))
    table = pd.DataFrame(values, columns=["a", "b", "c"])
    table.insert(0, "participant_id", [f"sub-{number:02d}" for number in range(N)])
    table.to_csv(tmp_path / "regions.tsv", sep="\t", index=False)
    run_well(
        "fit", "--table", tmp_path / "regions.tsv", "--formula", "~ 1",
        "--contrast", "mean=Intercept", "--correct", "bonferroni:0.05", "--output", tmp_path / "o",
    )  # fmt: skip
    found = read(tmp_path / "o" / "contrast-mean_stat-z_desc-bonferroni0p05_regions.tsv")
    assert set(found["region"]) == {"a", "c"}
    for name, effect, low in zip(
        found["region"], found["Effect"], found["Effect CI Low"], strict=True
    ):
        own = table[name]
        wanted = own.mean() - stats.t.ppf(0.975, N - 1) * own.std() / np.sqrt(N)
        assert [float(effect), float(low)] == pytest.approx([own.mean(), wanted], abs=6e-4)
