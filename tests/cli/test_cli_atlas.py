# SPDX-License-Identifier: BSD-3-Clause
"""``--atlas``: regions of peaks and clusters in the tables of commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import groupglm
from groupglm import extract_values, get_clusters_table, load_atlas
from reference.shell import basic, make_study, run, run_well

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ["Region", "Regions of Cluster"]


def save(path: Path, values: Any, size: float = 3.0) -> Path:
    image: Any = nib.Nifti1Image
    nib.save(image(values, np.diag([size, size, size, 1])), path)
    return path


@pytest.fixture
def z_map(tmp_path: Path) -> Path:
    z = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(12, 13, 14)), 1.5)
    return save(tmp_path / "z.nii.gz", z / z.std())


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    labels = np.repeat(np.array([0, 1, 4], np.int16), [4, 4, 4])[:, None, None]
    (tmp_path / "names.tsv").write_text("index\tname\n1\tleft\n4\tright\n")
    return save(tmp_path / "atlas.nii.gz", np.broadcast_to(labels, (12, 13, 14)).copy())


def test_clusters_have_the_regions_of_python(z_map: Path, atlas: Path, tmp_path: Path) -> None:
    output, names = tmp_path / "clusters.tsv", tmp_path / "names.tsv"
    given = (
        *("clusters", z_map, "--threshold", 1.5, "--atlas", atlas, "--atlas-labels", names),
        *("--output", output),
    )
    assert "written" in run_well(*given, "--json").output
    table = pd.read_csv(output, sep="\t", dtype=str, keep_default_na=False)
    expected = get_clusters_table(z_map, 1.5, two_sided=True, atlas=load_atlas(atlas, names))
    pd.testing.assert_frame_equal(table[COLUMNS], expected[COLUMNS].astype(str), check_dtype=False)
    assert {"left", "right", "no label"} == set(table["Region"])
    sidecar = json.loads((tmp_path / "clusters.tsv.json").read_text())
    assert set(COLUMNS) <= set(sidecar)
    assert sidecar["Options"]["Atlas"]["Image"]["Name"] == "atlas.nii.gz"
    assert "skipped" in run_well(*given, "--json").output
    summary = json.loads(run_well(*given[:-2], "--json").stdout)
    assert summary["clusters"][0]["Region"] == table["Region"].iloc[0]
    # Another table is another result.
    names.write_text("index\tname\n1\tL\n4\tR\n")
    assert run(*given).exit_code == 1


def test_an_atlas_on_another_grid_needs_the_option(z_map: Path, tmp_path: Path) -> None:
    labels = save(tmp_path / "fine.nii.gz", np.ones((18, 20, 21), np.int16), 2.0)
    given = ("clusters", z_map, "--threshold", 1.5, "--atlas", labels)
    refused = run(*given)
    assert refused.exit_code == 1
    assert "--resample-atlas" in refused.output
    assert "1 " in run_well(*given, "--resample-atlas").output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--resample-atlas"], "--resample-atlas has no effect without --atlas"),
        (["--atlas-labels", "names.tsv"], "--atlas-labels has no effect without --atlas"),
        (["--atlas", "Schaefer", "--atlas-labels", "names.tsv"], "no effect with the name"),
        (["--atlas", "none.nii.gz"], "does not exist"),
    ],
)
def test_options_without_effect_are_refused(
    z_map: Path, atlas: Path, more: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(atlas.parent)
    refused = run("clusters", z_map, "--threshold", 1.5, *more)
    assert refused.exit_code == 2
    assert message in refused.output


def test_a_name_is_looked_for(z_map: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "flow"))
    refused = run("clusters", z_map, "--threshold", 1.5, "--atlas", "Schaefer2018 100Parcels")
    assert refused.exit_code == 1
    assert "no atlas on this machine" in refused.output
    folder = tmp_path / "flow" / "tpl-own"
    folder.mkdir(parents=True)
    labels = np.ones((12, 13, 14), np.int16)
    save(folder / "tpl-own_atlas-Schaefer2018_desc-100Parcels_dseg.nii.gz", labels)
    found = run_well("clusters", z_map, "--threshold", 1.5, "--atlas", "Schaefer2018 100Parcels")
    assert "1 100.0%" in found.output


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("study"))
    mask: Any = nib.load(folder / "mask.nii.gz")
    inside = np.asarray(mask.dataobj).astype(np.int16)
    labels = np.where(np.arange(inside.shape[0])[:, None, None] < 10, 1, 4) * inside
    image: Any = nib.Nifti1Image
    nib.save(image(labels.astype(np.int16), mask.affine), folder / "atlas.nii.gz")
    (folder / "atlas.tsv").write_text("index\tname\n1\tleft\n4\tright\n")
    return folder


def test_extract_writes_the_table_of_python(study: Path, tmp_path: Path) -> None:
    output = tmp_path / "regions.tsv"
    given = ("extract", study / "maps" / "sub-*_effect.nii.gz", "--output", output, "--n-jobs", 1)
    maps = sorted((study / "maps").glob("*_effect.nii.gz"))
    said = run_well(*given, "--atlas", study / "atlas.nii.gz").output
    assert "12 maps, 2 regions, 0 missing values" in said
    table = pd.read_csv(output, sep="\t", dtype={"subject": str})
    expected = extract_values([str(path) for path in maps], load_atlas(study / "atlas.nii.gz"))
    expected["subject"] = table["subject"]
    pd.testing.assert_frame_equal(table, expected)
    assert list(table["subject"][::2]) == [path.name[4:6] for path in maps]
    sidecar = json.loads((tmp_path / "regions.tsv.json").read_text())
    assert sidecar["value"]["Description"] == "Mean of the map in the region"
    assert sidecar["NumberOfMaps"] == 12
    assert "skipped" in run_well(*given, "--atlas", study / "atlas.nii.gz").output
    assert run(*given, "--atlas", study / "atlas.nii.gz", "--statistic", "median").exit_code == 1
    design = tmp_path / "design.tsv"
    labels = [path.name.split("_")[0] for path in maps]
    age = np.arange(12.0)
    frame = pd.DataFrame({"subject_label": labels, "age": age}).iloc[::-1]
    frame.to_csv(design, sep="\t", index=False)
    more = ("--sphere", "middle=0,0,0,30", "--region", study / "mask.nii.gz")
    run_well(*given, *more, "--design-matrix", design, "--statistic", "median", "--overwrite")
    table = pd.read_csv(output, sep="\t", dtype={"subject": str})
    assert list(table["region"]) == ["middle", "mask"] * 12
    np.testing.assert_array_equal(table["age"], np.repeat(age, 2))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "either --atlas, or --sphere"),
        (["--sphere", "1,2,3,4", "--atlas", "Schaefer"], "either --atlas, or --sphere"),
        (["--sphere", "1,2,3"], "is not NAME=X,Y,Z,RADIUS"),
        (["--sphere", "a=1,2,3,-4"], "positive radius"),
        (["--sphere", "a=1,2,3,4", "--sphere", "a=1,2,3,5"], "Two regions have one name"),
    ],
)
def test_extract_refuses_wrong_regions(study: Path, more: list[str], message: str) -> None:
    given = ("extract", study / "maps" / "sub-*_effect.nii.gz", "--output", study / "none.tsv")
    refused = run(*given, *more)
    assert refused.exit_code == 2
    assert message in refused.output


@pytest.mark.filterwarnings("ignore::UserWarning")  # of what survives
def test_fit_corrects_in_a_small_volume_and_names_places(study: Path, tmp_path: Path) -> None:
    small = ("--small-volume", "0,-20,20,45", "--correct", "fpr:0.05", "--one-sided")
    given = basic(study, tmp_path / "out", *small, "--atlas", study / "atlas.nii.gz")
    run_well("fit", *given)
    z_map = tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"
    stem = "contrast-age_stat-z_desc-fpr0p05"
    found: Any = nib.load(tmp_path / "out" / f"{stem}_statmap.nii.gz")
    expected, _ = groupglm.threshold_stats_img(
        z_map, tmp_path / "out" / "mask.nii.gz", 0.05, two_sided=False,
        small_volume=(0, -20, 20, 45),
    )  # fmt: skip
    assert expected is not None
    np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    assert np.count_nonzero(np.asarray(found.dataobj))
    table = pd.read_csv(tmp_path / "out" / f"{stem}_clusters.tsv", sep="\t")
    assert set(table["Region"]) <= {"left", "right"}
    distance = np.linalg.norm(table[["X", "Y", "Z"]] - [0, -20, 20], axis=1)
    assert len(table)
    assert (distance <= 45.01).all()
    sidecar = json.loads((tmp_path / "out" / f"{stem}_statmap.json").read_text())
    assert sidecar["Correction"]["SmallVolume"] == [0, -20, 20, 45]
    assert "skipped, it is there" in run_well("fit", *given).output
    for option in (("--small-volume", "0,0,0,9"), ("--atlas", "Schaefer")):
        refused = run("fit", *basic(study, tmp_path / "other", *option))
        assert refused.exit_code == 2
        assert "has no effect without --correct" in refused.output


def test_threshold_takes_a_small_volume(study: Path, z_map: Path, tmp_path: Path) -> None:
    output = tmp_path / "kept.nii.gz"
    given = ("threshold", z_map, "--at", 1.0, "--small-volume", "15,15,15,9", "--output", output)
    run_well(*given)
    found: Any = nib.load(output)
    expected, _ = groupglm.threshold_stats_img(
        z_map, threshold=1.0, height_control=None, small_volume=(15, 15, 15, 9)
    )
    assert expected is not None
    np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    refused = run(*given[:4], "--small-volume", "a,b,c,d", "--output", output)
    assert refused.exit_code == 2
    assert "neither a mask nor X,Y,Z,RADIUS" in refused.output


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("index\tname\nx\ta\n", "--atlas-labels has 'x' where a label's number is wanted"),
        ("index\tname\n", "names no label"),
    ],
)
def test_wrong_names_are_told_by_the_option(
    z_map: Path, atlas: Path, tmp_path: Path, table: str, message: str
) -> None:
    (tmp_path / "wrong.tsv").write_text(table)
    given = ("clusters", z_map, "--threshold", 1.5, "--atlas", atlas, "--atlas-labels")
    refused = run(*given, tmp_path / "wrong.tsv")
    assert refused.exit_code == 1
    assert message in refused.output


def test_a_design_that_lacks_a_subject_is_told_by_the_option(study: Path, tmp_path: Path) -> None:
    (tmp_path / "design.tsv").write_text("participant_id\tage\n01\t5\n")
    given = ("extract", study / "maps" / "sub-*_effect.nii.gz", "--sphere", "0,0,0,20")
    design = ("--design-matrix", tmp_path / "design.tsv", "--output", tmp_path / "a.tsv")
    refused = run(*given, *design)
    assert refused.exit_code == 1
    assert "--design-matrix" in refused.output
