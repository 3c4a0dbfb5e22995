# SPDX-License-Identifier: BSD-3-Clause
"""Binary lesion maps: a study with infinite statistics of either sign, and voxels without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from numpy.typing import NDArray

nib: Any = nibabel  # typed only in part

SHAPE = (11, 12, 10)
AFFINE = np.array([[-4.0, 0, 0, 20], [0, 4.0, 0, -24], [0, 0, 4.0, -18], [0, 0, 0, 1]])
N = 14
GROUP = np.arange(N) % 2.0  # 1: patients

PATIENTS_ONLY = np.zeros(SHAPE, bool)  # a lesion in all patients and no control
PATIENTS_ONLY[2:5, 2:5, 2:5] = True
CONTROLS_ONLY = np.zeros(SHAPE, bool)
CONTROLS_ONLY[7:9, 8:10, 6:8] = True
NO_PATIENT = np.zeros(SHAPE, bool)  # no patient has a value, so that groups cannot be compared
NO_PATIENT[0, :, 0] = True


def lesion_maps() -> tuple[list[Any], Any, pd.DataFrame]:
    """Return images of zeros and ones, a mask of the whole box, and the design."""
    rng = np.random.default_rng(20)
    images = []
    for patient in GROUP:
        lesion = (rng.random(SHAPE) < 0.3).astype(np.float32)
        lesion[1:6, 1:6, 1:6] = patient if rng.random() < 0.8 else 1 - patient
        lesion[PATIENTS_ONLY] = patient
        lesion[CONTROLS_ONLY] = 1 - patient
        if patient:
            lesion[NO_PATIENT] = np.nan
        images.append(nib.Nifti1Image(lesion, AFFINE))
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    return images, mask, pd.DataFrame({"group": GROUP, "intercept": 1.0})


def expected_infinities() -> NDArray[np.float64]:
    """Return where the statistic is infinite, with its sign, by the definition of the maps."""
    return np.inf * np.where(PATIENTS_ONLY, 1, np.where(CONTROLS_ONLY, -1, np.nan))


def write_lesion_study(folder: Path) -> Path:
    """Write maps/sub-XX.nii.gz, participants.tsv and mask.nii.gz."""
    images, mask, design = lesion_maps()
    (folder / "maps").mkdir(parents=True)
    labels = [f"sub-{row + 1:02d}" for row in range(N)]
    for label, image in zip(labels, images, strict=True):
        image.to_filename(folder / "maps" / f"{label}.nii.gz")
    mask.to_filename(folder / "mask.nii.gz")
    groups = ["patient" if row else "control" for row in design["group"]]
    table = pd.DataFrame({"participant_id": labels, "group": groups})
    table.to_csv(folder / "participants.tsv", sep="\t", index=False)
    return folder
