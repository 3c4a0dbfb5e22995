# SPDX-License-Identifier: BSD-3-Clause
"""Derivatives on surfaces: both hemispheres of a map, BIDS' names, and what is not whole."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner, Result
from nibabel import cifti2
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.bids import collect_maps
from groupglm.cli import main
from groupglm.datasets import simulate_surface_study

N = 7
STEM = "task-faces_{}space-fsLR_den-642_contrast-mean_stat-{}_statmap{}"


def values(*files: Path) -> NDArray[np.float64]:
    images: list[Any] = [nib.load(path) for path in files]
    return np.concatenate([image.darrays[0].data for image in images]).astype(np.float64)


def named(
    folder: Path, subject: str, side: str, stat: str = "effect", end: str = ".func.gii"
) -> Path:
    name = STEM.format(f"hemi-{side}_", stat, end)
    return folder / f"sub-{subject}" / "func" / f"sub-{subject}_{name}"


@pytest.fixture(params=[".func.gii", ".shape.gii"])
def derivative(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    study = simulate_surface_study(tmp_path / "maps", n_subjects=N, n_divisions=3)
    folder = tmp_path / "derivative"
    for number, files in enumerate(study.paths, start=1):
        for side, path in zip("LR", files, strict=True):
            target = named(folder, f"{number:02d}", side, end=request.param)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    facts = {"Name": "maps", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
    (folder / "dataset_description.json").write_text(json.dumps(facts))
    study.participants.to_csv(folder / "participants.tsv", sep="\t", index=False)
    return folder


def run(*arguments: Any, fails: bool = False) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result


def effects(folder: Path, sides: str = "LR") -> NDArray[np.float64]:
    rows = []
    for number in range(1, N + 1):
        files = [next((folder / f"sub-{number:02d}").rglob(f"*hemi-{side}_*")) for side in sides]
        rows.append(values(*files))
    return np.stack(rows)


def test_maps_of_both_hemispheres_are_collected_and_fitted(derivative: Path) -> None:
    table = collect_maps(derivative, task="faces", contrast="mean")
    assert table["subject_label"].tolist() == [f"{number:02d}" for number in range(1, N + 1)]
    left, right = table["effects_map_path"][2]
    assert "sub-03_task-faces_hemi-L_space-fsLR" in left
    assert right == left.replace("hemi-L", "hemi-R")
    assert table["variances_map_path"].isna().all()
    design = pd.DataFrame({"intercept": np.ones(N)})
    model = SecondLevelModel().fit(table, design_matrix=design)
    t: Any = model.compute_contrast("intercept", first_level_contrast="mean", output_type="stat")
    found = np.concatenate([np.asarray(own.darrays[0].data) for own in (t.left, t.right)])
    Y = effects(derivative)
    inside = np.any(Y != 0, axis=0)
    wanted = scipy.stats.ttest_1samp(Y[:, inside], 0).statistic
    np.testing.assert_allclose(found[inside], wanted, rtol=2e-5)


def test_results_have_the_names_of_bids(derivative: Path, tmp_path: Path) -> None:
    out = tmp_path / "group"
    said = run("bids", derivative, out, "--task", "faces").output
    assert f"Effect maps of {N} subjects" in said
    assert "space fsLR" in said
    assert "den 642" in said
    Y = effects(derivative)
    inside = np.any(Y != 0, axis=0)
    t: Any = scipy.stats.ttest_1samp(Y[:, inside], 0).statistic
    for stat, wanted in (("effect", Y[:, inside].mean(axis=0)), ("t", t)):
        name = STEM.format("", stat, ".func.gii")
        files = [out / f"hemi-{side}_{name}" for side in "LR"]
        found = values(*files)
        np.testing.assert_allclose(found[inside], wanted, rtol=2e-5, atol=2e-6)
        facts = json.loads((out / STEM.format("", stat, ".json")).read_text())
        assert [part["Name"] for part in facts["Files"]] == [path.name for path in files]
        assert facts["FirstLevel"] == {
            "contrast": "mean", "task": "faces", "space": "fsLR", "den": "642"
        }  # fmt: skip
    design = json.loads(
        (out / "task-faces_space-fsLR_den-642_contrast-mean_design.json").read_text()
    )
    assert len(design["Sources"]) == 2 * N
    ignored = (out / ".bidsignore").read_text().splitlines()
    assert "*_statmap.func.gii" in ignored
    assert "skipped" in run("bids", derivative, out, "--task", "faces").output


def test_a_missing_hemisphere_is_refused_with_its_subject(derivative: Path, tmp_path: Path) -> None:
    next((derivative / "sub-03").rglob("*hemi-R_*")).unlink()
    refused = " ".join(run("bids", derivative, tmp_path / "out", fails=True).output.split())
    assert "1 map of hemi-L without a file of hemi-R: subjects 03" in refused
    assert "--filter hemi=L, or leave these subjects out by --allow-partial" in refused
    assert not list((tmp_path / "out").rglob("*.gii"))


def test_half_a_map_may_be_left_out(derivative: Path, tmp_path: Path) -> None:
    next((derivative / "sub-03").rglob("*hemi-R_*")).unlink()
    out = tmp_path / "out"
    told = " ".join(run("bids", derivative, out, "--allow-partial").output.split())
    assert "1 map of hemi-L without a file of hemi-R: subjects 03" in told
    assert "left out" in told
    for side in "LR":
        (file,) = out.glob(f"hemi-{side}_*stat-effect_statmap.*.gii")
        found = values(file)
        files = sorted(derivative.glob(f"sub-*/**/*hemi-{side}_*"))
        kept = [file for file in files if "sub-03" not in file.name]
        mean = np.mean([values(file) for file in kept], axis=0)
        assert len(kept) == N - 1
        np.testing.assert_allclose(found, mean, rtol=2e-5, atol=2e-6)


def test_one_hemisphere_may_be_chosen(derivative: Path, tmp_path: Path) -> None:
    next((derivative / "sub-03").rglob("*hemi-R_*")).unlink()
    out = tmp_path / "out"
    run("bids", derivative, out, "--filter", "hemi=L")
    found = values(out / STEM.format("hemi-L_", "effect", ".func.gii"))
    np.testing.assert_allclose(found, effects(derivative, "L").mean(axis=0), rtol=2e-5, atol=2e-6)


def test_variances_of_both_hemispheres_are_found(derivative: Path, tmp_path: Path) -> None:
    end = next(derivative.rglob("*.gii")).name.partition("statmap")[2]
    for number, side in itertools.product(range(1, N + 1), "LR"):
        image: Any = nib.load(named(derivative, f"{number:02d}", side, end=end))
        data = image.darrays[0].data
        image.darrays[0].data = np.where(data != 0, np.float32(number), np.float32(0))
        nib.save(image, named(derivative, f"{number:02d}", side, "variance", end=end))
    out = tmp_path / "out"
    run("bids", derivative, out, "--group-model", "fixed")
    Y = np.stack(
        [
            values(*(named(derivative, f"{n:02d}", side, end=end) for side in "LR"))
            for n in range(1, N + 1)
        ]
    )
    inside = np.any(Y != 0, axis=0)
    weights = 1 / np.arange(1, N + 1)
    wanted = weights @ Y / weights.sum()
    files = [out / f"hemi-{side}_{STEM.format('', 'effect', '.func.gii')}" for side in "LR"]
    np.testing.assert_allclose(values(*files)[inside], wanted[inside], rtol=2e-5, atol=2e-6)
    named(derivative, "02", "R", "variance", end).unlink()
    refused = run("bids", derivative, tmp_path / "o2", "--group-model", "fixed", fails=True).output
    assert "subjects 02" in " ".join(refused.split())


def test_grayordinates_of_a_derivative(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(1, 1, (N, 40)).astype(np.float32)
    made: Any = cifti2  # nibabel's constructors carry no types
    axes = [
        made.BrainModelAxis.from_surface(np.arange(20), 30, f"Cortex{side}")
        for side in ("Left", "Right")
    ]
    axis = axes[0] + axes[1]
    folder = tmp_path / "derivative"
    for number, row in enumerate(rows, start=1):
        name = STEM.format("", "effect", ".dscalar.nii").replace("642", "91k")
        path = folder / f"sub-{number:02d}" / f"sub-{number:02d}_{name}"
        path.parent.mkdir(parents=True)
        made.Cifti2Image(row[None], (made.ScalarAxis(["effect"]), axis)).to_filename(path)
    out = tmp_path / "group"
    run("bids", folder, out, "--task", "faces")
    name = STEM.format("", "t", ".dscalar.nii").replace("642", "91k")
    found: Any = nib.load(out / name)
    assert found.header.get_axis(1) == axis
    t: Any = scipy.stats.ttest_1samp(rows.astype(float), 0).statistic
    np.testing.assert_allclose(np.asarray(found.dataobj)[0], t, rtol=1e-5)
    assert "*_statmap.dscalar.nii" in (out / ".bidsignore").read_text().splitlines()
