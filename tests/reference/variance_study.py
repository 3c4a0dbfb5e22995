# SPDX-License-Identifier: BSD-3-Clause
"""A small study with a variance map and a map of grey matter of each subject, in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from reference.shell import make_study, values_of

SUBJECTS = [f"{i:02d}" for i in range(1, 13)]


def make_variance_study(folder: Path) -> Path:
    """Add maps/sub-XX_variance.nii.gz, _grey.nii.gz and _weight.nii.gz to `make_study`."""
    make_study(folder)
    rng = np.random.default_rng(17)
    inside = values_of(folder / "mask.nii.gz") > 0
    for subject in SUBJECTS:
        effect: Any = nib.load(folder / "maps" / f"sub-{subject}_effect.nii.gz")
        scale = rng.uniform(0.2, 2.0)
        values = {
            "variance": scale * rng.uniform(0.5, 1.5, effect.shape),
            "grey": rng.uniform(0.1, 1.0, effect.shape),
            "weight": rng.uniform(0.5, 2.0, effect.shape),
        }
        for kind, own in values.items():
            image = nib.Nifti1Image(  # type: ignore[no-untyped-call]
                np.where(inside, own, 0.0), effect.affine
            )
            nib.save(image, folder / "maps" / f"sub-{subject}_{kind}.nii.gz")
    return folder


def rows_of(study: Path, kind: str, subjects: list[str] | None = None) -> NDArray[np.float64]:
    """Return the values inside the mask of the maps of a kind, shape (n_subjects, n_values)."""
    inside = values_of(study / "mask.nii.gz") > 0
    files = (study / "maps" / f"sub-{s}_{kind}.nii.gz" for s in subjects or SUBJECTS)
    return np.array([values_of(path)[inside] for path in files])
