# SPDX-License-Identifier: BSD-3-Clause
"""Maps of subjects' visits in files of each kind of data, for doors that must treat all alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

from reference.surface_files import LETTERS, write_gifti
from reference.visit_study import save

nib: Any = nibabel  # typed only in part

__all__ = ["KINDS", "Visits", "glob_of", "table_of", "write_visits"]

KINDS = ("volumes", "surfaces", "cifti", "regions")
N_VALUES = 24
Visits = Sequence[tuple[str, str]]
"""The subject and the session of each map."""


def write_visits(kind: str, folder: Path, visits: Visits, *, bids: bool = False) -> list[Any]:
    """Write a map for each visit; return what `fit` takes, or the files of a table of regions.

    `bids` names the files as a derivative does, in a folder for each subject.
    """
    rng = np.random.default_rng(0)
    level = {subject: rng.normal(size=N_VALUES) for subject, _ in visits}
    rows = [5 + level[subject] + rng.normal(size=N_VALUES) for subject, _ in visits]
    if kind == "regions":
        path = folder / "regions.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table_of(visits, np.array(rows)).to_csv(path, sep="\t", index=False)
        return [path]
    return [
        _write(kind, folder, subject, session, row, bids=bids)
        for (subject, session), row in zip(visits, rows, strict=True)
    ]


def table_of(visits: Visits, rows: Any) -> pd.DataFrame:
    """Return a table of regions, a row a visit."""
    table = pd.DataFrame(rows, columns=[f"region{k}" for k in range(np.shape(rows)[1])])
    table.insert(0, "session_id", [session for _, session in visits])
    table.insert(0, "participant_id", [subject for subject, _ in visits])
    return table


def glob_of(kind: str, folder: Path) -> str:
    """Return the glob of a kind's files."""
    return str(folder / f"sub-*{_ending(kind)}")


def _ending(kind: str) -> str:
    return {"volumes": ".nii.gz", "surfaces": ".func.gii", "cifti": ".dscalar.nii"}[kind]


def _write(kind: str, folder: Path, subject: str, session: str, row: Any, *, bids: bool) -> Any:
    stem = f"sub-{subject}_ses-{session}"
    own, last = (folder, "effect")
    if bids:
        own, last = folder / f"sub-{subject}" / f"ses-{session}", "contrast-a_stat-effect_statmap"
    own.mkdir(parents=True, exist_ok=True)
    if kind == "surfaces":
        halves = np.split(row.astype("f4"), 2)
        return tuple(
            write_gifti(own / f"{stem}_hemi-{letter}_{last}{_ending(kind)}", half)
            for letter, half in zip(LETTERS.values(), halves, strict=True)
        )
    path = own / f"{stem}_{last}{_ending(kind)}"
    if kind == "volumes":
        save(path, row.reshape(4, 3, 2))
        return path
    axes = (
        nib.cifti2.ScalarAxis(["effect"]),
        nib.cifti2.BrainModelAxis.from_surface(
            np.arange(N_VALUES), N_VALUES, "CIFTI_STRUCTURE_CORTEX_LEFT"
        ),
    )
    nib.save(nib.Cifti2Image(row[None].astype("f4"), axes), path)
    return path
