# SPDX-License-Identifier: BSD-3-Clause
"""FreeSurfer's files at the commands, in the folders of subjects: surfaces and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from groupglm.cli import main
from groupglm.datasets import SurfaceStudy, simulate_surface_study
from reference.surface_files import write_curvature

N = 6
RESULTS = [
    "contrast-mean_stat-t_statmap.func.gii",
    "contrast-mean_stat-z_desc-fpr0p05_statmap.func.gii",
    "mask.func.gii",
]


def run(*arguments: Any, fails: bool = False) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result


def row(path: Path) -> Any:
    image: Any = nib.load(path)
    return image.darrays[0].data


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    return simulate_surface_study(tmp_path_factory.mktemp("maps"), n_subjects=N, n_divisions=2)


def fit(glob: Path, study: SurfaceStudy, out: Path) -> list[Any]:
    model = ["--formula", "~ 1", "--contrast", "mean=Intercept", "--correct", "fpr:0.05"]
    people = out.parent / "people.tsv"
    study.participants.to_csv(people, sep="\t", index=False)
    run("fit", glob, "--participants", people, *model, "--surfaces", *study.surfaces,
        "--output", out)  # fmt: skip
    return [row(out / f"hemi-{side}_{name}") for name in RESULTS for side in "LR"]


@pytest.mark.parametrize("ending", ["", ".mgh", ".mgz"])
def test_maps_in_folders_of_subjects_are_fitted(
    study: SurfaceStudy, tmp_path: Path, ending: str
) -> None:
    for number, files in enumerate(study.paths, start=1):
        folder = tmp_path / "subjects" / f"sub-{number:02d}" / "surf"
        folder.mkdir(parents=True)
        for hemi, file in zip(("lh", "rh"), files, strict=True):
            path = folder / f"{hemi}.thickness{ending}"
            if ending:
                nib.MGHImage(row(file)[:, None, None], np.eye(4)).to_filename(path)  # type: ignore[no-untyped-call]
            else:
                write_curvature(path, row(file))
    glob = tmp_path / "subjects" / "sub-*" / "surf" / f"?h.thickness{ending}"
    found = fit(glob, study, tmp_path / "out")
    wanted = fit(study.directory / "sub-*_effect.func.gii", study, tmp_path / "gifti")
    for own, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(own, other)
    next(tmp_path.glob(f"subjects/sub-03/surf/rh.thickness{ending}")).unlink()
    lacking = run(
        "fit", glob, "--participants", tmp_path / "people.tsv", "--formula", "~ 1",
        "--contrast", "mean=Intercept", "--output", tmp_path / "again", fails=True,
    ).output  # fmt: skip
    assert "the right hemisphere is missing of sub-03" in " ".join(lacking.split())


def test_volumes_are_no_hemispheres(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(1, 1, (N, 5, 6, 4)).astype(np.float32)
    labels = [f"sub-{number:02d}" for number in range(1, N + 1)]
    for label, own in zip(labels, values, strict=True):
        nib.MGHImage(own, np.eye(4)).to_filename(tmp_path / f"{label}_effect.mgz")  # type: ignore[no-untyped-call]
    people = tmp_path / "people.tsv"
    pd.DataFrame({"participant_id": labels}).to_csv(people, sep="\t", index=False)
    run("fit", tmp_path / "sub-*_effect.mgz", "--participants", people, "--formula", "~ 1",
        "--contrast", "mean=Intercept", "--output", tmp_path / "out")  # fmt: skip
    effect, mask = (
        np.asanyarray(nib.load(tmp_path / "out" / name).dataobj)  # type: ignore[attr-defined]
        for name in ("contrast-mean_stat-effect_statmap.nii.gz", "mask.nii.gz")
    )
    inside = mask > 0
    assert inside.sum() > 100
    np.testing.assert_allclose(effect[inside], values.mean(axis=0)[inside], rtol=1e-5, atol=1e-6)
