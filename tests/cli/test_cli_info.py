# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm info`` of a saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from groupglm import SecondLevelModel
from reference.shell import design_of, run, run_well


def test_a_folder_or_a_file_says_what_was_fitted(results: Path) -> None:
    shown = run_well("info", results).output
    assert "model            ols" in shown
    assert "9 degrees of freedom, columns Intercept, age, C(group)[T.patient]" in shown
    assert "sub-01" not in shown
    facts = json.loads(run_well("info", results / "model.groupglm", "--json").output)
    assert facts["columns"] == ["Intercept", "age", "C(group)[T.patient]"]
    assert [Path(name).name for name in facts["images"]][:2] == [
        "sub-01_effect.nii.gz",
        "sub-02_effect.nii.gz",
    ]
    assert "settings" not in facts


def test_what_is_no_model_is_refused(study: Path) -> None:
    refused = run("info", study / "participants.tsv")
    assert refused.exit_code == 1
    assert "is not a saved model" in refused.output
    assert "holds no saved model" in run("info", study).output


def test_settings_that_are_not_given_are_left_out(study: Path, tmp_path: Path) -> None:
    model = SecondLevelModel(study / "mask.nii.gz", model="mixed effects").fit(
        [str(path) for path in sorted((study / "maps").glob("*_effect.nii.gz"))],
        design_matrix=design_of(study)[1],
        variances=[image_of_ones(study) for _ in range(12)],
    )
    model.save(tmp_path / "model.groupglm")
    shown = run_well("info", tmp_path / "model.groupglm").output
    assert "settings         tau2 reml, test knapp-hartung\n" in shown
    assert "None" not in shown


def image_of_ones(study: Path) -> Any:
    mask: Any = nib.load(study / "mask.nii.gz")
    return nib.Nifti1Image(np.ones(mask.shape), mask.affine)  # type: ignore[no-untyped-call]
