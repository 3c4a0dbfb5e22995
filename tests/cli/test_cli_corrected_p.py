# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks and clusters in the tables of commands, beside those of Python."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from groupglm import SecondLevelModel, get_results_table
from groupglm.inference.corrected_p.names import P_COLUMNS
from reference.shell import run, run_well

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 13, 11)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N = 12
CORRECTIONS = ("fdr:0.05", "bonferroni:0.05", "fpr:0.001", "rft:0.05", "cluster-rft:p<0.001,0.05")


def save(path: Path, values: Any) -> Path:
    made: Any = nib.Nifti1Image
    nib.save(made(values, AFFINE), path)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    rows = ["participant_id\tage"]
    for subject in range(N):
        noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5)
        values = noise / noise.std()
        values[2:6, 2:6, 2:6] += 2.5
        values[8:10, 8:11, 6:9] -= 2.0
        save(folder / f"sub-{subject:02d}_effect.nii.gz", values.astype(np.float32))
        rows.append(f"sub-{subject:02d}\t{30 + subject}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    save(folder / "mask.nii.gz", np.ones(SHAPE, np.uint8))
    labels = np.ones(SHAPE, np.int16)
    labels[6:] = 2
    save(folder / "atlas.nii.gz", labels)
    (folder / "atlas.tsv").write_text("index\tname\n1\tfront\n2\tback\n")
    return folder


def of_study(study: Path) -> list[Any]:
    return [
        study / "sub-*_effect.nii.gz",
        *("--participants", study / "participants.tsv", "--formula", "~ 1"),
        *("--contrast", "mean=intercept", "--mask", study / "mask.nii.gz"),
        *("--atlas", study / "atlas.nii.gz"),
    ]


@pytest.fixture(scope="module")
def fitted(study: Path) -> Path:
    folder = study / "fit"
    given = [option for own in CORRECTIONS for option in ("--correct", own)]
    run_well("fit", *of_study(study), *given, "--save-model", "--output", folder)
    return folder


def model_of(study: Path) -> SecondLevelModel:
    images = sorted(study.glob("sub-*_effect.nii.gz"))
    design = pd.DataFrame({"Intercept": np.ones(N)})
    return SecondLevelModel(mask_img=study / "mask.nii.gz").fit(images, design_matrix=design)


def check_alike(ours: pd.DataFrame, python: pd.DataFrame) -> None:
    """p-values in files have three digits after the point, or two digits."""
    assert len(ours) == len(python) > 0
    names = [name for name in map(str, ours) if name.startswith(("p ", "q ", "Peak ", "Cluster p"))]
    for name in names:
        if name == "Peak Stat":
            continue
        one, other = (own[name].replace("", np.nan).astype(float) for own in (ours, python))
        np.testing.assert_allclose(one, other, rtol=0.051, atol=5.1e-4)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_correction_has_its_p_in_the_table(study: Path, fitted: Path, correction: str) -> None:
    control = correction.partition(":")[0]
    (path,) = fitted.glob(f"*_desc-{control.replace('-', '')}*_clusters.tsv")
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    facts = json.loads(path.with_suffix(".json").read_text())
    python = get_results_table(
        (model_of(study), "Intercept"),
        facts["Threshold"],
        two_sided=True,
        correction="rft" if control == "cluster-rft" else control,  # type: ignore[arg-type]
    )
    if control == "cluster-rft":
        least = facts["ClusterSizes"]["volume"]
        main = python["Cluster Size (voxels)"].replace("", np.nan).astype(float)
        # Of the clusters that are large enough, whose false discovery rate is over all.
        python = python[main.ffill() >= least].reset_index(drop=True)
        assert (python["Cluster p (FWE)"].replace("", 0.0).astype(float) <= 0.05).all()
    check_alike(table, python)
    own = {
        "fdr": "q (FDR)",
        "bonferroni": "Peak p (FWE)",
        "fpr": "p (uncorrected)",
        "rft": "Set p",
        "cluster-rft": "Cluster p (FWE)",
    }[control]
    assert own in table
    assert facts[own]["Source"]
    assert set(table["Region"]) <= {"front", "back"}
    assert ("Cluster p (FWE)" in table) == ("rft" in control)


@pytest.mark.parametrize("method", ["fpr", "fdr", "bonferroni", "rft"])
@pytest.mark.parametrize("stat", ["z", "t"])
def test_clusters_of_a_map_have_the_p_of_a_method(
    study: Path, fitted: Path, tmp_path: Path, method: Any, stat: str
) -> None:
    path = fitted / f"contrast-mean_stat-{stat}_statmap.nii.gz"
    output, mask = tmp_path / "clusters.tsv", study / "mask.nii.gz"
    given = ["clusters", path, "--threshold", 3.1, "--p-values", method, "--mask", mask]
    run_well(*given, "--output", output)
    table = pd.read_csv(output, sep="\t", dtype=str, keep_default_na=False)
    python = get_results_table(
        (model_of(study), "Intercept"), 3.1, two_sided=True, correction=method
    )
    check_alike(table, python)
    facts = json.loads((tmp_path / "clusters.tsv.json").read_text())
    columns = [name for name in table if name in P_COLUMNS]
    assert "p (uncorrected)" in columns
    for name in columns:
        assert facts[name]["Source"]
    assert facts["Options"]["PValues"] == method
    assert "skipped" in run_well(*given, "--output", output).output
    assert run(*given[:-4], "--output", output).exit_code == 1  # another table


def test_p_values_of_clusters_need_what_they_are_of(study: Path, fitted: Path) -> None:
    z = fitted / "contrast-mean_stat-z_statmap.nii.gz"
    refused = run("clusters", z, "--threshold", 3.1, "--mask", study / "mask.nii.gz")
    assert refused.exit_code == 2
    assert "--mask has no effect without --p-values" in refused.output
    image: Any = nib.load(z)
    bare = save(study / "bare_z.nii.gz", np.asarray(image.dataobj))
    refused = run("clusters", bare, "--threshold", 3.1, "--p-values", "rft")
    assert refused.exit_code == 1
    assert "groupglm fit with a correction by rft" in refused.output


@pytest.mark.parametrize("how", ["fdr:0.05", "bonferroni:0.05"])
def test_a_map_of_survivors_is_not_corrected_again(fitted: Path, tmp_path: Path, how: str) -> None:
    (survivors,) = fitted.glob("*_desc-bonferroni*_statmap.nii.gz")
    refused = run("threshold", survivors, "--correct", how, "--output", tmp_path / "a.nii.gz")
    assert refused.exit_code == 1
    assert "is thresholded already" in refused.output
    method = how.partition(":")[0]
    refused = run("clusters", survivors, "--threshold", 3.1, "--p-values", method)
    assert refused.exit_code == 1
    assert "is thresholded already" in refused.output
    run_well("clusters", survivors, "--threshold", 3.1)
    run_well("threshold", survivors, "--at", 5, "--output", tmp_path / "b.nii.gz")


@pytest.mark.parametrize("by_clusters", [True, False])
def test_permutations_have_a_table(study: Path, by_clusters: bool) -> None:
    folder = study / f"permuted-{by_clusters}"
    given = [*of_study(study), "--n-perm", 60, "--seed", 1, "--output", folder]
    given += ["--cluster-p", 0.001] if by_clusters else []
    run_well("permute", *given)
    path = folder / "contrast-mean_desc-permutation_clusters.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    names = ["logp_maxT"] if not by_clusters else ["logp_maxT", "logp_maxSize", "logp_maxMass"]
    maps = {
        f"logp_max_{name[8:].lower()}": folder
        / f"contrast-mean_stat-logp_desc-{name[5:]}_statmap.nii.gz"
        for name in names
    }
    if by_clusters:
        maps["size"] = folder / "contrast-mean_stat-size_desc-permutation_statmap.nii.gz"
        python = get_results_table(
            (model_of(study), "Intercept"),
            two_sided=True,
            correction="permutation",
            permutations=maps,
        )
        check_alike(table, python)
        assert "Cluster p (FWE, mass)" in table
    else:
        assert (table["Peak p (FWE)"].astype(float) < 0.05).all()
    assert set(table["Region"]) <= {"front", "back"}
    facts = json.loads(path.with_suffix(".json").read_text())
    assert "permutation" in facts["Peak p (FWE)"]["Source"]
    assert facts["Atlas"]["Image"]["Name"] == "atlas.nii.gz"
    again = run_well("permute", *given)
    assert "skipped, 60 of them are there already" in again.output


def test_a_page_names_places(study: Path, fitted: Path) -> None:
    page = study / "page.html"
    given = ("report", fitted, "--correct", "bonferroni:0.05", "--output", page)
    run_well(*given, "--atlas", study / "atlas.nii.gz")
    text = page.read_text()
    assert "Regions of Cluster" in text
    assert "front 100.0%" in text
    assert "Peak p (FWE)" in text


def test_a_page_of_a_folder_has_what_the_files_of_random_fields_have(
    study: Path, fitted: Path
) -> None:
    page = study / "whole.html"
    run_well("report", fitted, "--output", page)
    text = re.sub(r"\s+", " ", page.read_text())
    for correction in ("rft0p05", "clusterrftp0p001a0p05"):
        table = pd.read_csv(
            fitted / f"contrast-mean_stat-z_desc-{correction}_clusters.tsv",
            sep="\t",
            dtype=str,
            keep_default_na=False,
        )
        for _, row in table.iterrows():
            own = "".join(f"<td>{row[name]}</td>" for name in table.columns if name in P_COLUMNS)
            assert own in text
    facts = json.loads(
        (fitted / "contrast-mean_stat-z_desc-clusterrftp0p001a0p05_statmap.json").read_text()
    )
    size = facts["ClusterSizes"]["volume"]
    assert f"in clusters of at least {size:.4g} voxels" in text
    assert "<dt>smoothness</dt>" in text
