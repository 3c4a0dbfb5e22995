# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression from the shell: the maps of Python, and options of no effect."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groupglm import fit_robust
from reference.shell import make_study, run_fit, values_of


def test_the_maps_are_those_of_python(tmp_path: Path) -> None:
    study, out = make_study(tmp_path / "study"), tmp_path / "out"
    common = (
        study / "maps" / "sub-*_effect.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ 1", "--contrast", "intercept", "--mask", study / "mask.nii.gz",
    )  # fmt: skip
    result = run_fit(
        *common, "--output", out, "--model", "robust", "--weights-function", "huber", "--tuning",
        "2",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    files = sorted((study / "maps").glob("sub-*_effect.nii.gz"))
    mask = values_of(study / "mask.nii.gz") != 0
    Y = np.stack([values_of(file)[mask] for file in files])
    fit = fit_robust(np.ones((len(Y), 1)), Y, weights="huber", tuning=2)
    (path,) = out.glob("*stat-t_statmap.nii.gz")
    np.testing.assert_allclose(values_of(path)[mask], fit.contrast([1]).stat, rtol=1e-5)
    sidecar = Path(str(path).replace(".nii.gz", ".json")).read_text()
    assert '"Weights": "huber"' in sidecar
    assert '"Tuning": 2.0' in sidecar
    assert list(out.glob("*iterations*.nii.gz"))
    result = run_fit(*common, "--output", tmp_path / "other", "--tuning", "2")
    assert result.exit_code != 0
    assert "--tuning has no effect with --model ols; give --model robust" in result.output
