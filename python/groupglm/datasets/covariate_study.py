# SPDX-License-Identifier: BSD-3-Clause
"""A study with correlated covariates: `simulate_covariate_study`."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import SimulatedEffect, make_brain
from groupglm.datasets.files import subject_labels
from groupglm.datasets.study import GroupStudy, write_study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["simulate_covariate_study"]

# The heights make t about 5 to 8 at each peak, with 60 subjects and all covariates in the model.
_EFFECTS = {
    "reading_speed": SimulatedEffect(peak=(-36.0, -54.0, -6.0), height=0.05, fwhm=24.0),
    "age": SimulatedEffect(peak=(36.0, 30.0, 30.0), height=-0.1, fwhm=24.0),
    "site[T.B]": SimulatedEffect(peak=(-24.0, 18.0, 42.0), height=1.5, fwhm=24.0),
    "site[T.C]": SimulatedEffect(peak=(-24.0, 18.0, 42.0), height=-1.5, fwhm=24.0),
    "intercept": SimulatedEffect(peak=(36.0, -30.0, 54.0), height=1.6, fwhm=24.0),
}
_SITES = ("A", "B", "C")


def simulate_covariate_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 60,
    voxel_size: float = 4.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> GroupStudy:
    """Simulate the effect maps of subjects of different age and reading speed, at three sites.

    Each map is the row of the design times the true effects, plus Gaussian noise that is smooth in
    space and has a standard deviation of 1 in every voxel. Older subjects read more slowly, on
    average by one word per minute for each year (a correlation of about -0.6). If one of the two
    is left out of a model, the other seems to have its effect.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=60
        Every third one at each site; at least 6.
    voxel_size : float, default=4.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    GroupStudy
        Participants have ``reading_speed`` (words a minute), ``age`` (years) and ``site`` ("A",
        "B" or "C"). The design has the columns ``reading_speed`` and ``age``, from their means,
        ``site[T.B]`` and ``site[T.C]``, differences from site A, and ``intercept``: site A at mean
        speed and age.

    Raises
    ------
    ValueError
        If there are fewer than 6 subjects, or the voxels are too large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_covariate_study(directory, n_subjects=6, voxel_size=12.0)
    >>> list(study.design_matrix)
    ['reading_speed', 'age', 'site[T.B]', 'site[T.C]', 'intercept']
    >>> study.participants.loc[0].to_dict()
    {'participant_id': 'sub-01', 'reading_speed': 214.3, 'age': 67.1, 'site': 'A'}
    """
    check_n_subjects(n_subjects, 6, "five")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    brain = make_brain(voxel_size)
    truth = brain.blobs(_EFFECTS)
    participants_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants = _participants(n_subjects, np.random.default_rng(participants_seed))
    return write_study(
        directory,
        brain,
        _EFFECTS,
        truth,
        participants,
        _design_matrix(participants),
        noise_fwhm,
        subject_seeds,
    )


def _participants(n_subjects: int, generator: np.random.Generator) -> pd.DataFrame:
    import pandas as pd

    age = np.round(generator.uniform(20.0, 70.0, n_subjects), 1)
    speed = np.round(220.0 - (age - 45.0) + generator.normal(0.0, 20.0, n_subjects), 1)
    site = [_SITES[i % len(_SITES)] for i in range(n_subjects)]
    return pd.DataFrame(
        {
            "participant_id": subject_labels(n_subjects),
            "reading_speed": speed,
            "age": age,
            "site": site,
        }
    )


def _design_matrix(participants: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns = {name: participants[name] - participants[name].mean() for name in list(_EFFECTS)[:2]}
    for site in _SITES[1:]:
        columns[f"site[T.{site}]"] = (participants["site"] == site).astype(np.float64)
    return pd.DataFrame(columns).assign(intercept=1.0)
