# SPDX-License-Identifier: BSD-3-Clause
"""A study of grey-matter volume, age and sex: `simulate_grey_matter_study`."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import CEREBELLUM, HEMISPHERES, Brain, SimulatedEffect, make_brain
from groupglm.datasets.files import subject_labels
from groupglm.datasets.study import GroupStudy, write_study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["simulate_grey_matter_study"]

FloatArray = NDArray[np.float64]

# Both peaks are in the cortical ribbon. The heights make t about -9 and 7 there, with 80 subjects.
_EFFECTS = {
    "age": SimulatedEffect(peak=(-36.0, 54.0, 18.0), height=-0.003, fwhm=36.0),
    "female": SimulatedEffect(peak=(60.0, -30.0, -6.0), height=0.13, fwhm=30.0),
}
_NUCLEI = (((-16.0, -12.0, 10.0), (8.0, 14.0, 8.0)), ((16.0, -12.0, 10.0), (8.0, 14.0, 8.0)))
_RELATIVE_NOISE = 0.1  # of the mean volume of grey matter in a voxel
_LEAST_GREY = 0.2  # a voxel with less is not in the mask
_MEAN_TIV = {"F": 1.40, "M": 1.55}  # litres
_SD_TIV = 0.12


def simulate_grey_matter_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 80,
    voxel_size: float = 4.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> GroupStudy:
    """Simulate maps of grey-matter volume, as voxel-based morphometry makes them.

    The value of a voxel is the fraction of grey matter in it. It is high in a cortical ribbon, the
    cerebellum and deep nuclei. In one place it shrinks with age, and in another it is higher in
    women. Everywhere it is proportional to the volume within the skull, which is larger in men.
    Gaussian noise, smooth in space, has a standard deviation of a tenth of the mean map.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=80
        Every second one a woman; at least 5.
    voxel_size : float, default=4.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    GroupStudy
        Participants have ``age`` (years), ``sex`` ("F" or "M") and ``tiv``, the total intracranial
        volume (litres). The design has the columns ``age`` and ``tiv``, from their means,
        ``female`` (1 or 0) and ``intercept``; ``truth`` has all of them, ``effects`` the blobs of
        ``age`` and ``female``. The mask has the voxels whose mean is 0.2 or more.

    Raises
    ------
    ValueError
        If there are fewer than 5 subjects, or the voxels are too large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_grey_matter_study(directory, n_subjects=5, voxel_size=12.0)
    >>> list(study.design_matrix), list(study.effects)
    (['age', 'female', 'tiv', 'intercept'], ['age', 'female'])
    >>> list(study.participants)
    ['participant_id', 'age', 'sex', 'tiv']
    """
    check_n_subjects(n_subjects, 5, "four")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    head = make_brain(voxel_size)
    grey = _grey_matter(head)
    brain = replace(head, mask=head.mask & (grey >= _LEAST_GREY))
    participants_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants = _participants(n_subjects, np.random.default_rng(participants_seed))
    return write_study(
        directory,
        brain,
        _EFFECTS,
        _truth(brain, grey, float(participants["tiv"].mean())),
        participants,
        _design_matrix(participants),
        noise_fwhm,
        subject_seeds,
        noise_sd=_RELATIVE_NOISE * grey,
    )


def _grey_matter(head: Brain) -> FloatArray:
    """Return the mean map: a ribbon below the surface of the hemispheres, cerebellum, nuclei."""
    hemispheres = np.minimum(*(head.squared_distance(*each) for each in HEMISPHERES))
    ribbon = 0.7 * np.exp(-(((np.sqrt(hemispheres) - 0.87) / 0.15) ** 2))
    cerebellum = 0.6 * (head.squared_distance(*CEREBELLUM) <= 1.0)
    nuclei = [0.6 * np.exp(-0.5 * head.squared_distance(*each)) for each in _NUCLEI]
    grey: FloatArray = np.maximum.reduce([ribbon * (hemispheres <= 1.0), cerebellum, *nuclei])
    return np.where(head.mask, grey, 0.0)


def _truth(brain: Brain, grey: FloatArray, mean_tiv: float) -> dict[str, FloatArray]:
    inside = np.where(brain.mask, grey, 0.0)
    truth = {}
    for name, blob in brain.blobs(_EFFECTS).items():
        # The effect is proportional to the grey matter; at the peak it has the stated height.
        truth[name] = blob * inside / inside[brain.voxel(_EFFECTS[name].peak)]
    return {**truth, "tiv": inside / mean_tiv, "intercept": inside}


def _participants(n_subjects: int, generator: np.random.Generator) -> pd.DataFrame:
    import pandas as pd

    sex = ["F" if i % 2 == 0 else "M" for i in range(n_subjects)]
    age = np.round(generator.uniform(18.0, 90.0, n_subjects), 1)
    tiv = [generator.normal(_MEAN_TIV[each], _SD_TIV) for each in sex]
    return pd.DataFrame(
        {
            "participant_id": subject_labels(n_subjects),
            "age": age,
            "sex": sex,
            "tiv": np.round(tiv, 3),
        }
    )


def _design_matrix(participants: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "age": participants["age"] - participants["age"].mean(),
            "female": (participants["sex"] == "F").astype(np.float64),
            "tiv": participants["tiv"] - participants["tiv"].mean(),
            "intercept": 1.0,
        }
    )
