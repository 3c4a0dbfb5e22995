# SPDX-License-Identifier: BSD-3-Clause
"""A small study with several maps a subject, its tables in all forms, and its rows by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

SHAPE = (4, 4, 3)
N_VISITS = (2, 3, 1, 2, 3, 2, 3, 1, 2, 3, 2, 3)
SUBJECTS = [f"{i + 1:02d}" for i in range(len(N_VISITS))]
FAMILIES = dict(zip(SUBJECTS, "aaabbbccddee", strict=True))
GROUPS = dict(zip(SUBJECTS, ["patient", "control"] * 6, strict=True))


def make_visit_study(folder: Path, *, seed: int = 0, entity: str = "ses-{:02d}") -> Path:
    """Fill a folder with maps/sub-XX_ses-YY_effect.nii.gz, mask.nii.gz, and tables.

    participants.tsv has a row a subject, sessions.tsv a row a session, sub-XX/sub-XX_sessions.tsv
    the same by subject, long.tsv all columns, a row a session; rows are shuffled.
    """
    random = np.random.default_rng(seed)
    (folder / "maps").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    level_of = {family: random.normal(size=SHAPE) for family in sorted(set(FAMILIES.values()))}
    for subject, n in zip(SUBJECTS, N_VISITS, strict=True):
        level = level_of[FAMILIES[subject]] + random.normal(size=SHAPE)
        for visit in range(1, n + 1):
            values = 5 + level + 0.3 * visit + random.normal(size=SHAPE)
            name = f"sub-{subject}_{entity.format(visit)}_effect.nii.gz"
            save(folder / "maps" / name, values)
            rows.append(
                {
                    "participant_id": f"sub-{subject}",
                    "session_id": f"ses-{visit:02d}",
                    "month": 6.0 * visit + float(random.integers(3)),
                    "shift": ("am", "pm")[int(random.integers(2))],
                    "group": GROUPS[subject],
                    "family": FAMILIES[subject],
                    "age": 20.0 + int(subject),
                }
            )
    table = pd.DataFrame(rows)
    of_subjects = table[["participant_id", "group", "family", "age"]].drop_duplicates()
    sessions = table[["participant_id", "session_id", "month", "shift"]]
    for name, frame in (
        ("participants", of_subjects), ("sessions", sessions), ("long", table),
    ):  # fmt: skip
        frame.sample(frac=1, random_state=3).to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    for label, own in sessions.groupby("participant_id"):
        (folder / str(label)).mkdir()
        path = folder / str(label) / f"{label}_sessions.tsv"
        own.drop(columns="participant_id").to_csv(path, sep="\t", index=False)
    save(folder / "mask.nii.gz", np.ones(SHAPE), "u1")
    return folder


def save(path: Path, values: Any, dtype: str = "f4") -> None:
    """Write values as an image of 3 mm voxels."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    nib.save(nib.Nifti1Image(np.asarray(values).astype(dtype), affine), path)  # type: ignore[no-untyped-call]


def rows_by_hand(study: Path) -> tuple[list[str], pd.DataFrame]:
    """Return the maps and their rows, in the order of the maps' names."""
    paths = sorted(str(path) for path in (study / "maps").iterdir())
    table = pd.read_csv(study / "long.tsv", sep="\t")
    names = table["participant_id"] + "_" + table["session_id"]
    table = table.set_axis(names, axis="index")
    found = ["_".join(Path(path).name.split("_")[:2]) for path in paths]
    return paths, table.loc[found]


def arguments(study: Path, output: Path, *more: str | Path) -> list[str | Path]:
    """Return what `groupglm fit` needs without design and contrasts."""
    maps = study / "maps" / "*.nii.gz"
    return [maps, "--mask", study / "mask.nii.gz", "--output", output, *more]
