# SPDX-License-Identifier: BSD-3-Clause
"""The commands: zeros in some maps only are reported, mapped, and missing values on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from groupglm import SecondLevelModel
from groupglm.cli import main
from reference.shell import basic, design_of, make_study, run_fit, values_of

N_ZERO = 7  # voxels


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which two maps are zero within the mask."""
    folder = make_study(tmp_path_factory.mktemp("study"))
    inside = np.argwhere(values_of(folder / "mask.nii.gz") > 0)[:N_ZERO]
    for path in design_of(folder)[0][:2]:
        img: Any = nib.load(path)
        values = img.get_fdata(dtype=np.float32)
        values[tuple(inside.T)] = 0
        nib.save(nib.Nifti1Image(values, img.affine), path)  # type: ignore[no-untyped-call]
    return folder


def facts(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_zeros_are_told_of_and_mapped(study: Path, tmp_path: Path) -> None:
    result = run_fit(*basic(study, tmp_path / "out"))
    assert result.exit_code == 0, result.output
    n_voxels = int((values_of(study / "mask.nii.gz") > 0).sum())
    said = (
        f"{N_ZERO} of {n_voxels:,} voxels are exactly zero in some {{}} but not in others, 0 of "
        "them in all {} but one"
    )
    assert f"Zeros: {said.format('subjects', 'subjects')}; they count as values" in result.output
    assert f"Warning: {said.format('images', 'images')}" in result.output
    assert "Give --zero-is-missing to leave them out" in result.output
    assert "n_zeros_" not in result.output  # an attribute of Python's model
    n_zeros = values_of(tmp_path / "out" / "n_zeros.nii.gz")
    assert (n_zeros == 2).sum() == N_ZERO
    assert (n_zeros == 0).sum() == n_zeros.size - N_ZERO
    wanted = {"VoxelsZeroInSomeSubjects": N_ZERO, "VoxelsWithOneSubject": 0, "TreatedAs": "values"}
    for name in ("n_zeros", "contrast-age_stat-z_statmap"):
        assert facts(tmp_path / "out" / f"{name}.json")["Zeros"] == wanted
    assert facts(tmp_path / "out" / "n_zeros.json")["Settings"]["ZeroIsMissing"] is False


def test_what_fit_and_permutation_warn_of_is_told_once(study: Path, tmp_path: Path) -> None:
    result = run_fit(*basic(study, tmp_path / "out", "--permute", "20"))
    assert result.exit_code == 0, result.output
    assert result.output.count("exactly zero in some images") == 1
    assert (tmp_path / "out" / "log.txt").read_text().count("exactly zero in some images") == 1


def test_zero_is_missing(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_fit(*basic(study, out, "--zero-is-missing"))
    assert result.exit_code == 0, result.output
    assert "they are missing values (n_zeros.nii.gz)" in result.output
    assert "Warning" not in result.output
    paths, design = design_of(study)
    model = SecondLevelModel(mask_img=study / "mask.nii.gz", zero_is_missing=True)
    model.fit(paths, design_matrix=design)
    np.testing.assert_array_equal(
        values_of(out / "contrast-age_stat-z_statmap.nii.gz"),
        np.asarray(model.compute_contrast("age").dataobj),
    )
    n_observations = values_of(out / "n_observations.nii.gz")
    assert (n_observations == len(paths) - 2).sum() == N_ZERO
    sidecar = facts(out / "contrast-age_stat-z_statmap.json")
    assert sidecar["Zeros"]["TreatedAs"] == "missing"
    assert sidecar["Settings"]["ZeroIsMissing"] is True
    # The same folder without the option holds other results.
    other = run_fit(*basic(study, out))
    assert other.exit_code == 1
    assert "--overwrite" in other.output
    assert run_fit(*basic(study, out, "--overwrite")).exit_code == 0
    assert not (out / "n_observations.nii.gz").exists()
    assert (out / "n_zeros.nii.gz").exists()


def test_zeros_that_are_missing_are_no_zeros(study: Path, tmp_path: Path) -> None:
    result = run_fit(*basic(study, tmp_path / "out", "--zero-is-missing", "--missing", "zero"))
    assert result.exit_code == 2
    assert "--zero-is-missing takes zeros for missing values, and --missing zero" in result.output
    assert not (tmp_path / "out").exists()


def test_permute_takes_it(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = basic(study, out, "--zero-is-missing", "--n-perm", "20")
    result = CliRunner().invoke(main, ["permute", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert (values_of(out / "n_zeros.nii.gz") == 2).sum() == N_ZERO
    sidecar = facts(next(out.glob("*_desc-maxT_statmap.json")))
    assert sidecar["Settings"]["ZeroIsMissing"] is True
