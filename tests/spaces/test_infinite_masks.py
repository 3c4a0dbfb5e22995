# SPDX-License-Identifier: BSD-3-Clause
"""A mask that holds an infinite value is refused by name at every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    non_parametric_inference,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm.cli import main
from reference.shell import basic, make_study

N_IMAGES = 6
SHAPE = (4, 4, 4)
DESIGN = pd.DataFrame({"intercept": np.ones(N_IMAGES)})
REFUSED = "the mask holds infinite values, which are neither inside nor outside; replace them by 0"


def _save(path: Path, values: Any) -> Path:
    nib.save(nib.Nifti1Image(np.asarray(values, np.float32), np.eye(4)), path)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    return [str(_save(tmp_path / f"{i}.nii", rng.normal(size=SHAPE))) for i in range(N_IMAGES)]


def _fit(images: list[str], mask: Path) -> None:
    SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)


def _fit_resampled(images: list[str], mask: Path) -> None:
    model = SecondLevelModel(mask_img=mask, target_affine=np.diag([2.0, 2, 2]))
    model.fit(images, design_matrix=DESIGN)


def _permute(images: list[str], mask: Path) -> None:
    non_parametric_inference(images, design_matrix=DESIGN, mask=mask, n_perm=10, random_state=0)


def _threshold(images: list[str], mask: Path) -> None:
    threshold_stats_img(images[0], mask_img=mask)


def _cluster_level(images: list[str], mask: Path) -> None:
    cluster_level_inference(images[0], mask_img=mask, threshold=1.0)


def _bounds(images: list[str], mask: Path) -> None:
    regions = nib.Nifti1Image(np.ones(SHAPE, np.int16), np.eye(4))  # type: ignore[no-untyped-call]
    true_discovery_bounds(images[0], regions, mask_img=mask)


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
@pytest.mark.parametrize(
    "door", [_fit, _fit_resampled, _permute, _threshold, _cluster_level, _bounds]
)
def test_functions_refuse_it_by_name(
    images: list[str], door: Any, infinity: float, tmp_path: Path
) -> None:
    for inside in (1.0, infinity):
        values = np.full(SHAPE, inside)
        values[0] = 0
        values[1, 2, 3] = infinity
        path = _save(tmp_path / "odd.nii", values)
        with pytest.raises(ValueError, match=f"odd.nii.*{REFUSED}"):
            door(images, path)


def test_commands_refuse_it_by_name(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    mask: Any = nib.load(study / "mask.nii.gz")
    values = np.asarray(mask.dataobj, np.float32)
    values[tuple(np.argwhere(values)[0])] = np.inf
    odd = tmp_path / "odd.nii"
    nib.save(nib.Nifti1Image(values, mask.affine), odd)  # type: ignore[no-untyped-call]
    out = tmp_path / "out"
    z = next((study / "maps").glob("*.nii.gz"))
    study_options = [
        odd if str(each).endswith("mask.nii.gz") else each for each in basic(study, out)
    ]
    for arguments in (
        ["fit", *study_options],
        ["permute", *study_options],
        ["threshold", z, "--mask", odd, "--at", "3", "--output", tmp_path / "kept.nii.gz"],
    ):
        result = CliRunner().invoke(main, [*map(str, arguments)])
        assert result.exit_code == 1, result.output
        assert "odd.nii" in result.stderr
        assert REFUSED in result.stderr
    assert not (tmp_path / "kept.nii.gz").exists()
    assert not list(out.glob("*.nii.gz"))
