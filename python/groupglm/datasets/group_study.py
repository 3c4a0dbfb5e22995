# SPDX-License-Identifier: BSD-3-Clause
"""A study of two groups, with age as a covariate: `simulate_group_study`."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed, check_shape
from groupglm.datasets.brain import SimulatedEffect, make_brain
from groupglm.datasets.files import subject_labels
from groupglm.datasets.study import GroupStudy, write_study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["group_and_age", "simulate_group_study"]

# Peaks are voxel centres of the default grid. The heights make t about 7 to 12 there, with 24
# subjects.
_EFFECTS = {
    "group": SimulatedEffect(peak=(-42.0, -24.0, 48.0), height=3.5, fwhm=18.0),
    "age": SimulatedEffect(peak=(36.0, 30.0, 24.0), height=0.12, fwhm=18.0),
    "intercept": SimulatedEffect(peak=(-12.0, -78.0, 6.0), height=2.5, fwhm=24.0),
}


def simulate_group_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 24,
    shape: tuple[int, int, int] | None = None,
    voxel_size: float = 3.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> GroupStudy:
    """Simulate the effect maps of a study of two groups with age as a covariate.

    The map of a subject is the row of the design times the true effects, plus Gaussian noise that
    is smooth in space, has a standard deviation of 1 in every voxel, and is independent between
    subjects. The noise of subject i depends only on the seed and on i.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=24
        Every second one a patient; at least 4, so that degrees of freedom remain.
    shape : tuple of int, optional
        Voxels along each axis of the grid, which is centred on the brain. By default enough for
        183 x 219 x 183 mm: (61, 73, 61) voxels of 3 mm, 64,005 of them in the brain.
    voxel_size : float, default=3.0
        Edge of the cubic voxels, in mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    GroupStudy
        Paths of the images, design, participants, truth and mask. The design has the columns
        ``group`` (0 control, 1 patient), ``age`` (years from the mean) and ``intercept``;
        participants have ``group`` in words and ``age`` in years.

    Raises
    ------
    ValueError
        If there are fewer than 4 subjects, or the grid does not hold the peaks of the effects,
        or `directory` holds a file of these names that no simulator wrote.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_group_study(directory, n_subjects=4, voxel_size=12.0)
    >>> study.paths[0].name, study.mask_img.shape, list(study.design_matrix)
    ('sub-01_effect.nii.gz', (15, 18, 15), ['group', 'age', 'intercept'])
    """
    check_n_subjects(n_subjects, 4, "three")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_shape(shape)
    check_seed(seed)
    brain = make_brain(voxel_size, shape)
    truth = brain.blobs(_EFFECTS)
    design_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants, design_matrix = group_and_age(n_subjects, np.random.default_rng(design_seed))
    return write_study(
        directory, brain, _EFFECTS, truth, participants, design_matrix, noise_fwhm, subject_seeds
    )


def group_and_age(
    n_subjects: int, generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return participants of two groups with their ages, and the design over both."""
    import pandas as pd

    group = np.arange(n_subjects) % 2
    age = np.round(generator.uniform(20.0, 70.0, size=n_subjects), 1)
    participants = pd.DataFrame(
        {
            "participant_id": subject_labels(n_subjects),
            "group": np.where(group == 1, "patient", "control"),
            "age": age,
        }
    )
    design_matrix = pd.DataFrame(
        {"group": group.astype(np.float64), "age": age - age.mean(), "intercept": 1.0}
    )
    return participants, design_matrix
