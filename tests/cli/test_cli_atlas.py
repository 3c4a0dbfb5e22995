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

from groupglm import get_clusters_table, load_atlas
from reference.shell import run, run_well

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
