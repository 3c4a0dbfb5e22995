# SPDX-License-Identifier: BSD-3-Clause
"""Small derivatives, shaped as FitLins and nilearn write them, and a check of BIDS data sets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from groupglm.cli import main
from groupglm.datasets import simulate_group_study

SUBJECT_LEVEL = ("--filter", "node=subjectLevel", "--contrast", "facesGtHouses")
SUBJECTS = [f"{i:02d}" for i in range(1, 13)]


def write_json(path: Path, facts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path


def make_fitlins(raw: Path) -> Path:
    """Make a raw data set's participants.tsv, and derivatives/fitlins with the maps of 12 subjects.

    As FitLins 0.11 does: a folder a node, maps of runs, of subjects and of the group. A subject's
    houses are its faces with another sign; a run's maps are those of the subject plus its number.
    """
    made = simulate_group_study(raw / "sourcedata", n_subjects=12, voxel_size=9.0, seed=1)
    table = made.participants.assign(iq=[*(101.0 + i for i in range(11)), np.nan])
    table = table.sample(frac=1, random_state=4)
    table.to_csv(raw / "participants.tsv", sep="\t", index=False, na_rep="n/a")
    root = raw / "derivatives" / "fitlins"
    described = {"Name": "FitLins output", "BIDSVersion": "1.1.0", "DatasetDOI": "doi:10.1/x"}
    write_json(root / "dataset_description.json", described)
    nib.save(made.mask_img, raw / "mask.nii.gz")
    group = root / "node-datasetLevel"
    group.mkdir()
    for subject, path in zip(SUBJECTS, sorted(made.paths), strict=True):
        image: Any = nib.load(path)
        data = np.asarray(image.dataobj)
        for contrast, sign in (("facesGtHouses", 1), ("housesGtFaces", -1)):
            for run in (0, 1, 2):
                node, which = ("runLevel", f"_run-{run}") if run else ("subjectLevel", "")
                stem = f"sub-{subject}_task-faces{which}_space-MNIColin27_contrast-{contrast}"
                folder = root / f"node-{node}" / f"sub-{subject}"
                folder.mkdir(parents=True, exist_ok=True)
                save(sign * data + np.float32(run), image, folder / f"{stem}_stat-effect")
                for stat in ("variance", "t", "p", "z"):
                    (folder / f"{stem}_stat-{stat}_statmap.nii.gz").touch()
    (group / "contrast-facesGtHouses_stat-effect_statmap.nii.gz").touch()
    return root


def save(data: Any, like: Any, stem: Path) -> None:
    image = nib.Nifti1Image(data.astype(np.float32), like.affine)  # type: ignore[no-untyped-call]
    nib.save(image, f"{stem}_statmap.nii.gz")


def touch(root: Path, *names: str) -> Path:
    """Make files without content."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def effect(subject: str, **entities: str) -> str:
    """Name an effect map in the folder of its subject."""
    known = {"task": "x", "contrast": "a"} | entities
    order = ("ses", "task", "acq", "run", "space", "contrast")
    middle = "".join(f"{key}-{known[key]}_" for key in order if known.get(key))
    return f"sub-{subject}/sub-{subject}_{middle}stat-effect_statmap.nii.gz"


def subject_design(raw: Path, subjects: list[str]) -> pd.DataFrame:
    """Return the participants of these subjects, in their order."""
    table = pd.read_csv(raw / "participants.tsv", sep="\t").set_index("participant_id")
    return table.loc[[f"sub-{subject}" for subject in subjects]]


def problems(folder: Path) -> list[tuple[str, str]]:
    """Return what the BIDS validator calls an error: code and file."""
    pytest.importorskip("bids_validator_deno", reason="the BIDS validator is not installed")
    program = "from bids_validator_deno import cli; cli()"
    done = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", program, str(folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [(issue["code"], issue["location"]) for issue in issues if issue["severity"] == "error"]


def run_bids(raw: Path, out: Path, *more: str | Path) -> Result:
    arguments = ["bids", raw / "derivatives" / "fitlins", out, "--mask", raw / "mask.nii.gz", *more]
    return CliRunner().invoke(main, [*map(str, arguments)])


def bids_done(raw: Path, out: Path, *more: str | Path) -> Result:
    result = run_bids(raw, out, *more)
    assert result.exit_code == 0, result.output
    return result


def model_file(folder: Path, **changes: Any) -> Path:
    return write_json(folder / "model-faces_smdl.json", model_facts(**changes))


def model_facts(**changes: Any) -> dict[str, Any]:
    node = {
        "Level": "Dataset",
        "Name": "group_level",
        "GroupBy": ["contrast"],
        "Model": {"Type": "glm", "X": [1, "age"]},
        "DummyContrasts": {"Test": "t"},
        **changes,
    }
    subject = {"Level": "Subject", "Name": "subject_level"}
    return {"Name": "faces", "BIDSModelVersion": "1.0.0", "Nodes": [subject, node]}


def maps_of(raw: Path, contrast: str = "facesGtHouses") -> list[Path]:
    root = raw / "derivatives" / "fitlins" / "node-subjectLevel"
    return sorted(root.glob(f"*/*_contrast-{contrast}_stat-effect_statmap.nii.gz"))
