# SPDX-License-Identifier: BSD-3-Clause
"""A study of one group: `simulate_one_sample_study`."""

from __future__ import annotations

from os import PathLike

import numpy as np

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import SimulatedEffect, make_brain
from groupglm.datasets.files import subject_labels
from groupglm.datasets.study import GroupStudy, write_study

__all__ = ["simulate_one_sample_study"]

# Peaks are voxel centres of the grids of 3, 4, 6 and 12 mm: one strong and narrow, one weak and
# wide, one negative. With 20 subjects t is about 9, 4 and -6 there.
_EFFECTS = {
    "motor": SimulatedEffect(peak=(36.0, -30.0, 54.0), height=2.0, fwhm=24.0),
    "cerebellum": SimulatedEffect(peak=(-24.0, -66.0, -30.0), height=1.0, fwhm=36.0),
    "default mode": SimulatedEffect(peak=(-12.0, -66.0, 30.0), height=-1.4, fwhm=24.0),
}


def simulate_one_sample_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 20,
    voxel_size: float = 4.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> GroupStudy:
    """Simulate the effect maps of one group of subjects, as of pressing a button with one hand.

    Each map is the true effect plus Gaussian noise that is smooth in space and has a standard
    deviation of 1 in every voxel, independent between subjects.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=20
        At least 2.
    voxel_size : float, default=4.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    GroupStudy
        Paths of the images, design (``intercept`` alone), participants, truth and mask. The true
        effect is the sum of three blobs, ``motor`` (strong, narrow), ``cerebellum`` (weak, wide)
        and ``default mode`` (negative), each cut off where it falls to half of its height, so that
        every other voxel has exactly no effect.

    Raises
    ------
    ValueError
        If there are fewer than 2 subjects, or the voxels are too large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_one_sample_study(directory, n_subjects=2, voxel_size=12.0)
    >>> list(study.effects), study.design_matrix.shape
    (['motor', 'cerebellum', 'default mode'], (2, 1))
    >>> float(study.truth["intercept"].get_fdata().max())
    2.0
    """
    import pandas as pd

    check_n_subjects(n_subjects, 2, "one")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    brain = make_brain(voxel_size)
    blobs = brain.blobs(_EFFECTS)
    truth = np.zeros(brain.shape)
    for name, effect in _EFFECTS.items():
        truth += np.where(np.abs(blobs[name]) >= abs(effect.height) / 2, blobs[name], 0.0)
    return write_study(
        directory,
        brain,
        _EFFECTS,
        {"intercept": truth},
        pd.DataFrame({"participant_id": subject_labels(n_subjects)}),
        pd.DataFrame({"intercept": np.ones(n_subjects)}),
        noise_fwhm,
        np.random.SeedSequence(seed).spawn(n_subjects),
    )
