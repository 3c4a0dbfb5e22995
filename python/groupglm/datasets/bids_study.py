# SPDX-License-Identifier: BSD-3-Clause
"""A small BIDS data set of preprocessed BOLD runs: `simulate_bids_study`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.bold import REPETITION_TIME, block_events, regressor, slow_drifts
from groupglm.datasets.brain import Brain, SimulatedEffect, make_brain
from groupglm.datasets.files import make_image, subject_labels, write_series
from groupglm.datasets.noise import SmoothNoise
from groupglm.datasets.own_files import make_place
from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.arguments import whole_number
from groupglm.runtime.paths import given_path
from groupglm.runtime.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

__all__ = ["BidsStudy", "simulate_bids_study"]

FloatArray = NDArray[np.float64]

# Heights are in percent of the mean signal. With 12 subjects the group's t is about 8, -5 and 20 at
# the peaks.
_EFFECTS = {
    "difference": SimulatedEffect(peak=(-48.0, -30.0, 6.0), height=1.2, fwhm=30.0),
    "age": SimulatedEffect(peak=(-36.0, 30.0, 6.0), height=-0.05, fwhm=30.0),
    "response": SimulatedEffect(peak=(12.0, -78.0, 6.0), height=2.0, fwhm=36.0),
}
_TASK = "reading"
_SPACE = "MNI152NLin2009cAsym"
_BIDS_VERSION = "1.8.0"
_DERIVATIVES = "derivatives/preproc"
_KINDS = ("words", "symbols")
_BASELINE = 10_000.0  # of the stored numbers; 1 is then a hundredth of a percent
_SUBJECT_SD = 0.3  # percent: spread of the conditions' difference over subjects
_NOISE_SD = 1.0  # percent
_AUTOCORRELATION = 0.3


@dataclass(frozen=True, repr=False)
class BidsStudy:
    """A simulated BIDS data set, and the truth.

    Attributes
    ----------
    directory : pathlib.Path
        The data set: ``dataset_description.json``, ``participants.tsv``, and for each subject
        ``func/sub-01_task-reading_events.tsv``.
    derivatives : pathlib.Path
        The data set of preprocessed runs within it, shaped as fMRIPrep's:
        ``sub-01/func/sub-01_task-reading_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz`` with
        a ``.json`` beside it.
    task, space : str
        The labels in these names.
    participants : pandas.DataFrame, shape (n_subjects, 2)
        ``participant_id`` and ``age`` in years.
    effects : mapping of str to SimulatedEffect
        ``response`` to words and to symbols alike, ``difference`` (words minus symbols, at mean
        age) and ``age`` (its change a year); heights in percent of the mean signal.
    truth : mapping of str to nibabel.nifti1.Nifti1Image
        The maps of these; zero outside the mask.
    mask_img : nibabel.nifti1.Nifti1Image
        The brain: 1 inside, 0 outside.
    """

    directory: Path
    derivatives: Path
    task: str
    space: str
    participants: pd.DataFrame
    effects: Mapping[str, SimulatedEffect]
    truth: Mapping[str, Nifti1Image]
    mask_img: Nifti1Image

    def __repr__(self) -> str:
        return (
            f"BidsStudy({len(self.participants)} subjects in {in_quotes(self.directory)}, of "
            f"{self.mask_img.shape} voxels; task {self.task})"
        )


def simulate_bids_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 12,
    n_scans: int = 100,
    voxel_size: float = 6.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> BidsStudy:
    """Simulate a BIDS data set of one run per subject, in which words and symbols were read.

    Blocks of words and of symbols alternate. Each takes 12 s, with 12 s of rest after it. The
    signal of a voxel is a mean of 10,000, plus the responses of the subject convolved with a
    haemodynamic response, plus slow drifts, plus noise of 1 % that is smooth in space and
    correlated with the scan before. The response to words depends on the age of the subject, and
    differs between subjects with a standard deviation of 0.3 %.

    Parameters
    ----------
    directory : path
        Folder of the data set, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=12
        At least 3.
    n_scans : int, default=100
        Scans of 2 s; at least 24, the length of one block of either kind and the rest after it.
    voxel_size : float, default=6.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same data set.

    Returns
    -------
    BidsStudy
        Where things are, participants, the truth and the mask.

    Raises
    ------
    ValueError
        If there are fewer than 3 subjects or 24 scans, or the voxels are too large for the peaks.
    OSError
        If the files cannot be written.

    Notes
    -----
    The response is the difference of two gamma densities, of shape 6 and, a sixth as high, 16
    (Friston and others 1998, NeuroImage 7, 30-40). It is scaled so that an endless stimulus has a
    response of 1: heights are those of a sustained response. Memory holds one run at a time, with
    8 bytes per voxel and scan.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_bids_study(directory, n_subjects=3, n_scans=24, voxel_size=12.0)
    ...     sorted(path.name for path in study.directory.iterdir())[-3:]
    ['sub-01', 'sub-02', 'sub-03']
    """
    check_n_subjects(n_subjects, 3, "two")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    if whole_number("n_scans", n_scans) < 24:
        raise ArgumentError(
            "n_scans",
            (
                f"{n_scans}, but a block of words, one of symbols and the rest after them take "
                "24 scans of 2 s"
            ),
            remedy="give 24 or more.",
        )
    brain = make_brain(voxel_size)
    truth = brain.blobs(_EFFECTS)
    participants_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants = _participants(n_subjects, np.random.default_rng(participants_seed))
    noise = SmoothNoise(brain, noise_fwhm)

    directory = given_path("directory", directory)
    derivatives = directory / _DERIVATIVES
    labels = participants["participant_id"].tolist()
    ages = participants["age"] - participants["age"].mean()
    events = {
        label: block_events(_KINDS if number % 2 == 0 else _KINDS[::-1], n_scans)
        for number, label in enumerate(labels)
    }
    texts = _texts(participants, events)
    make_place(directory, [_images_of(label) for label in labels], texts)
    for name, text in texts.items():
        write_whole(directory / name, text)
    for label, age, subject_seed in zip(labels, ages, subject_seeds, strict=True):
        generator = np.random.default_rng(subject_seed)
        difference = truth["difference"] + age * truth["age"]
        difference += _SUBJECT_SD * noise.draw(generator)
        responses = {"words": truth["response"] + difference, "symbols": truth["response"]}
        run = _run(brain, responses, events[label], n_scans, noise, generator)
        volumes = np.zeros((*brain.shape, n_scans), np.int16)
        volumes[brain.mask] = np.rint(_BASELINE * (1 + run.T / 100))
        path = directory / _images_of(label)
        write_series(volumes, brain.affine, REPETITION_TIME, path)
    return BidsStudy(
        directory=directory,
        derivatives=derivatives,
        task=_TASK,
        space=_SPACE,
        participants=participants,
        effects=dict(_EFFECTS),
        truth={name: make_image(values, brain.affine) for name, values in truth.items()},
        mask_img=make_image(brain.mask, brain.affine, np.uint8),
    )


def _participants(n_subjects: int, generator: np.random.Generator) -> pd.DataFrame:
    import pandas as pd

    age = np.round(generator.uniform(20.0, 70.0, n_subjects), 1)
    return pd.DataFrame({"participant_id": subject_labels(n_subjects), "age": age})


def _run(
    brain: Brain,
    responses: Mapping[str, FloatArray],
    events: pd.DataFrame,
    n_scans: int,
    noise: SmoothNoise,
    generator: np.random.Generator,
) -> FloatArray:
    """Return the signal in percent of its mean at rest, shape (n_scans, n_voxels of the mask)."""
    percent = np.zeros((n_scans, int(brain.mask.sum())))
    for kind, response in responses.items():
        shape = regressor(events[events["trial_type"] == kind], n_scans)
        percent += np.outer(shape, response[brain.mask])
    drifts = slow_drifts(n_scans)
    percent += drifts @ generator.normal(size=(drifts.shape[1], percent.shape[1]))
    error = noise.draw(generator)[brain.mask]
    fresh = np.sqrt(1 - _AUTOCORRELATION**2)
    for row in range(n_scans):
        percent[row] += _NOISE_SD * error
        error = _AUTOCORRELATION * error + fresh * noise.draw(generator)[brain.mask]
    return percent


def _texts(participants: pd.DataFrame, events: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return the contents of all files except images, by their paths in the data set."""
    described: dict[str, Any] = {"Name": "A simulated study", "BIDSVersion": _BIDS_VERSION}
    made_by = [{"Name": "groupglm.datasets.simulate_bids_study"}]
    texts = {
        "dataset_description.json": _json({**described, "DatasetType": "raw"}),
        f"{_DERIVATIVES}/dataset_description.json": _json(
            {**described, "DatasetType": "derivative", "GeneratedBy": made_by}
        ),
        "README": b"Simulated by groupglm.datasets.simulate_bids_study.\n",
        "participants.tsv": _table(participants),
        "participants.json": _json({"age": {"Description": "age", "Units": "years"}}),
    }
    facts = {"RepetitionTime": REPETITION_TIME, "StartTime": 0.0, "TaskName": _TASK}
    for label, table in events.items():
        texts[f"{_run_of(label)}_events.tsv"] = _table(table)
        sidecar = _images_of(label).removesuffix(".nii.gz") + ".json"
        texts[sidecar] = _json({**facts, "SkullStripped": True})
    return texts


def _run_of(label: str) -> str:
    return f"{label}/func/{label}_task-{_TASK}"


def _images_of(label: str) -> str:
    return f"{_DERIVATIVES}/{_run_of(label)}_space-{_SPACE}_desc-preproc_bold.nii.gz"


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _table(table: pd.DataFrame) -> bytes:
    text: str = table.to_csv(sep="\t", index=False, lineterminator="\n")
    return text.encode()
