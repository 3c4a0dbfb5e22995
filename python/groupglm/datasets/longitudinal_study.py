# SPDX-License-Identifier: BSD-3-Clause
"""A study with several maps a subject: `simulate_longitudinal_study`, `LongitudinalStudy`."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import SimulatedEffect, make_brain
from groupglm.datasets.files import make_image, subject_labels, write_image
from groupglm.datasets.noise import SmoothNoise
from groupglm.datasets.own_files import make_place
from groupglm.datasets.study import GroupStudy
from groupglm.errors import ArgumentError, shown
from groupglm.runtime.arguments import real_number, whole_number
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

__all__ = ["LongitudinalStudy", "simulate_longitudinal_study"]

# Peaks are voxel centres of the grids of 3, 6 and 12 mm: what all respond to, what patients lack,
# and where patients change from visit to visit.
_EFFECTS = {
    "intercept": SimulatedEffect(peak=(-36.0, -30.0, 54.0), height=1.5, fwhm=24.0),
    "patient": SimulatedEffect(peak=(36.0, -30.0, 54.0), height=-1.5, fwhm=24.0),
    "time": SimulatedEffect(peak=(36.0, 30.0, 18.0), height=0.8, fwhm=24.0),
    "patient:time": SimulatedEffect(peak=(-36.0, 30.0, 18.0), height=1.6, fwhm=24.0),
}
_SUBJECT_VARIANCE = (0.25, 1.0)  # right and left of the middle; within a subject it is 0.5
_RESIDUAL_VARIANCE = 0.5


@dataclass(frozen=True, repr=False)
class LongitudinalStudy(GroupStudy):
    """A simulated study with several maps a subject; see `GroupStudy`.

    ``participants`` has one row a subject, ``paths`` and ``design_matrix`` have one a map.

    Attributes
    ----------
    sessions : pandas.DataFrame, shape (n_maps, 4)
        One row a map: ``participant_id``, ``session_id`` ("ses-1" and so on), ``group`` and
        ``time``, the number of the visit from 0.
    intraclass_correlation_img : nibabel.nifti1.Nifti1Image
        The true correlation of two maps of a subject beyond the design.
    """

    sessions: pd.DataFrame
    intraclass_correlation_img: Nifti1Image


def simulate_longitudinal_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 20,
    n_visits: int = 2,
    missed: float = 0.0,
    voxel_size: float = 6.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> LongitudinalStudy:
    """Simulate effect maps of subjects who come several times.

    A map is the row of the design times the true effects, plus the subject's own level, which is
    the same at all visits, plus noise. Both are Gaussian and smooth in space. The variance within a
    subject is 0.5, that of the levels 1 left of the middle of the brain, and 0.25 right of it.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=20
        Every second one a patient; at least 4.
    n_visits : int, default=2
        At least 2.
    missed : float, default=0.0
        Probability that a subject misses a visit after the first, from 0 to below 1.
    voxel_size : float, default=6.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of both parts of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    LongitudinalStudy
        Paths, design (``intercept``, ``patient``, ``time`` and ``patient:time``), participants,
        sessions, truth and mask.

    Raises
    ------
    ValueError
        If there are fewer than 4 subjects or 2 visits, a share is out of range, or the voxels are
        too large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_longitudinal_study(directory, n_subjects=4, voxel_size=12.0)
    >>> study.paths[1].name, study.sessions["time"].tolist()
    ('sub-01_ses-2_effect.nii.gz', [0, 1, 0, 1, 0, 1, 0, 1])
    """
    import pandas as pd

    check_n_subjects(n_subjects, 4, "two")
    n_visits = whole_number("n_visits", n_visits, least=2)
    if not 0 <= real_number("missed", missed) < 1:
        raise ArgumentError("missed", shown(missed), "a probability from 0 to below 1")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    brain = make_brain(voxel_size)
    truth = brain.blobs(_EFFECTS)
    x = brain.affine[0, 0] * np.arange(brain.shape[0]) + brain.affine[0, 3]
    spread = np.sqrt(np.where(x < 0, _SUBJECT_VARIANCE[1], _SUBJECT_VARIANCE[0]))[:, None, None]

    labels = subject_labels(n_subjects)
    groups = ["patient" if i % 2 else "control" for i in range(n_subjects)]
    seeds = np.random.SeedSequence(seed).spawn(n_subjects)
    generators = [np.random.default_rng(own) for own in seeds]
    visits = [
        [0, *(1 + np.flatnonzero(own.random(n_visits - 1) >= missed)).tolist()]
        for own in generators
    ]
    sessions = pd.DataFrame(
        [
            (label, f"ses-{visit + 1}", group, visit)
            for label, group, own in zip(labels, groups, visits, strict=True)
            for visit in own
        ],
        columns=["participant_id", "session_id", "group", "time"],
    )
    patient = (sessions["group"] == "patient").astype(float)
    time = sessions["time"].astype(float)
    design = pd.DataFrame(
        {"intercept": 1.0, "patient": patient, "time": time, "patient:time": patient * time}
    )

    directory = given_path("directory", directory)
    names = sessions["participant_id"] + "_" + sessions["session_id"] + "_effect.nii.gz"
    paths = [directory / name for name in names]
    make_place(directory, [path.name for path in paths])
    noise = SmoothNoise(brain, noise_fwhm)
    rows = iter(zip(design.to_numpy(), paths, strict=True))
    for own, generator in zip(visits, generators, strict=True):
        level = spread * noise.draw(generator)
        for _ in own:
            row, path = next(rows)
            values = level + np.sqrt(_RESIDUAL_VARIANCE) * noise.draw(generator)
            for weight, name in zip(row, design, strict=True):
                values = values + weight * truth[str(name)]
            write_image(np.where(brain.mask, values, 0.0), brain.affine, path)
    shared = spread**2 / (spread**2 + _RESIDUAL_VARIANCE)
    return LongitudinalStudy(
        directory=directory,
        paths=paths,
        design_matrix=design,
        participants=pd.DataFrame({"participant_id": labels, "group": groups}),
        effects=dict(_EFFECTS),
        truth={name: make_image(own, brain.affine) for name, own in truth.items()},
        mask_img=make_image(brain.mask, brain.affine, np.uint8),
        sessions=sessions,
        intraclass_correlation_img=make_image(
            np.where(brain.mask, np.broadcast_to(shared, brain.shape), 0.0), brain.affine
        ),
    )
