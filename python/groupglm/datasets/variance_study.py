# SPDX-License-Identifier: BSD-3-Clause
"""A study with first-level variances: `simulate_variance_study`, `VarianceStudy`."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import Brain, SimulatedEffect, make_brain
from groupglm.datasets.files import make_image, subject_labels, write_image
from groupglm.datasets.noise import SmoothNoise
from groupglm.datasets.own_files import make_place
from groupglm.datasets.study import GroupStudy
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["VarianceStudy", "simulate_variance_study"]

FloatArray = NDArray[np.float64]

# Peaks are voxel centres of the grids of 3, 6 and 12 mm: one on the side where subjects differ, one
# on the side where they do not, and the place where patients respond less.
_EFFECTS = {
    "left": SimulatedEffect(peak=(-36.0, -30.0, 54.0), height=1.5, fwhm=24.0),
    "right": SimulatedEffect(peak=(36.0, -30.0, 54.0), height=0.8, fwhm=24.0),
    "patient": SimulatedEffect(peak=(-36.0, 30.0, 18.0), height=-1.5, fwhm=24.0),
}
_TAU2 = 0.5  # left of the middle; 0 on the right
_SHORT_RUN = 4  # every fourth subject, which is every second patient, has a tenth of the data
_VARIANCES = {"control": (0.1, 0.4), "patient": (0.2, 0.8)}
_FLOOR_FACTOR = 3.0  # of the variance at the bottom of the brain, where signal is lost


@dataclass(frozen=True, repr=False)
class VarianceStudy(GroupStudy):
    """A simulated study whose maps have first-level variances; see `GroupStudy`.

    Attributes
    ----------
    variance_paths : list of pathlib.Path
        The variance of each map (``sub-01_variance.nii.gz`` and so on, float32), in their order.
    tau2_img : nibabel.nifti1.Nifti1Image
        The true variance between subjects.
    """

    variance_paths: list[Path]
    tau2_img: Nifti1Image


def simulate_variance_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 24,
    voxel_size: float = 6.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> VarianceStudy:
    """Simulate effect maps and the maps of their variances, as first-level analyses write them.

    The map of a subject is the row of the design times the true effects, plus what is special about
    the subject, of variance tau2, plus the error of the measurement, of the variance that the
    second map has. Both are Gaussian and smooth in space. tau2 is 0.5 left of the middle of the
    brain, and 0 right of it. Measurements differ: patients have more noise than controls, every
    second patient has a tenth of the data, and all have more noise at the bottom of the brain.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=24
        Every second one a patient; at least 4.
    voxel_size : float, default=6.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of both parts of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    VarianceStudy
        Paths of the effects and of their variances, design (``patient``, 0 or 1, and
        ``intercept``, the mean of the controls), participants (``group`` in words, and ``short``
        for a short measurement), truth, tau2 and mask.

    Raises
    ------
    ValueError
        If there are fewer than 4 subjects, or the voxels are too large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_variance_study(directory, n_subjects=4, voxel_size=12.0)
    >>> study.variance_paths[0].name, list(study.design_matrix)
    ('sub-01_variance.nii.gz', ['patient', 'intercept'])
    >>> float(study.tau2_img.get_fdata().max())
    0.5
    """
    import pandas as pd

    check_n_subjects(n_subjects, 4, "two")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    brain = make_brain(voxel_size)
    blobs = brain.blobs(_EFFECTS)
    truth = {"patient": blobs["patient"], "intercept": blobs["left"] + blobs["right"]}
    labels = subject_labels(n_subjects)
    group = ["patient" if i % 2 else "control" for i in range(n_subjects)]
    short = [i % _SHORT_RUN == _SHORT_RUN - 1 for i in range(n_subjects)]
    tau2 = np.where(brain.mask & (_left_of_middle(brain)), _TAU2, 0.0)
    floor = _more_at_the_bottom(brain)

    directory = given_path("directory", directory)
    paths = [directory / f"{label}_effect.nii.gz" for label in labels]
    variance_paths = [directory / f"{label}_variance.nii.gz" for label in labels]
    make_place(directory, [path.name for path in (*paths, *variance_paths)])
    noise = SmoothNoise(brain, noise_fwhm)
    for i, own_seed in enumerate(np.random.SeedSequence(seed).spawn(n_subjects)):
        generator = np.random.default_rng(own_seed)
        level = generator.uniform(*_VARIANCES[group[i]]) * (10.0 if short[i] else 1.0)
        variance = np.where(brain.mask, level * floor, 0.0)
        values = truth["intercept"] + (group[i] == "patient") * truth["patient"]
        values = values + np.sqrt(tau2) * noise.draw(generator)
        values += np.sqrt(variance) * noise.draw(generator)
        write_image(np.where(brain.mask, values, 0.0), brain.affine, paths[i])
        write_image(variance, brain.affine, variance_paths[i])
    patient = [float(name == "patient") for name in group]
    return VarianceStudy(
        directory=directory,
        paths=paths,
        design_matrix=pd.DataFrame({"patient": patient, "intercept": 1.0}),
        participants=pd.DataFrame({"participant_id": labels, "group": group, "short": short}),
        effects=dict(_EFFECTS),
        truth={name: make_image(own, brain.affine) for name, own in truth.items()},
        mask_img=make_image(brain.mask, brain.affine, np.uint8),
        variance_paths=variance_paths,
        tau2_img=make_image(tau2, brain.affine),
    )


def _left_of_middle(brain: Brain) -> NDArray[np.bool_]:
    x = brain.affine[0, 0] * np.arange(brain.shape[0]) + brain.affine[0, 3]
    return np.broadcast_to((x < 0)[:, None, None], brain.shape)


def _more_at_the_bottom(brain: Brain) -> FloatArray:
    """Return the factor of the variances: 1 at the top of the brain, more below."""
    z = brain.affine[2, 2] * np.arange(brain.shape[2]) + brain.affine[2, 3]
    height = np.clip((z - z[0]) / (z[-1] - z[0]), 0.0, 1.0)
    factor: FloatArray = _FLOOR_FACTOR ** (1 - height)
    return np.broadcast_to(factor, brain.shape)
