# SPDX-License-Identifier: BSD-3-Clause
"""A study with two maps a subject, one for each condition: `simulate_paired_study`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.brain import SimulatedEffect, make_brain
from groupglm.datasets.files import make_image, subject_labels, write_image
from groupglm.datasets.noise import SmoothNoise
from groupglm.datasets.own_files import make_place
from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.arguments import real_number
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

__all__ = ["PairedStudy", "simulate_paired_study"]

# With 16 subjects and the default correlation, t of the difference is about 6 at its peak in a
# paired test, and 3 in an unpaired one.
_EFFECTS = {
    "difference": SimulatedEffect(peak=(-24.0, -78.0, 18.0), height=1.0, fwhm=24.0),
    "response": SimulatedEffect(peak=(12.0, -78.0, 6.0), height=2.0, fwhm=36.0),
}
_CONDITIONS = ("vertical", "horizontal")


@dataclass(frozen=True, repr=False)
class PairedStudy:
    """A simulated study of two conditions in the same subjects.

    Attributes
    ----------
    directory : pathlib.Path
        Where the images are.
    images : pandas.DataFrame, shape (2 n_subjects, 3)
        One row a map: ``participant_id``, ``condition`` ("vertical" or "horizontal") and ``path``;
        the two maps of a subject follow each other.
    effects : mapping of str to SimulatedEffect
        ``response``, in both conditions, and ``difference``, in "vertical" only.
    truth : mapping of str to nibabel.nifti1.Nifti1Image
        The maps of these; zero outside the mask.
    mask_img : nibabel.nifti1.Nifti1Image
        The brain: 1 inside, 0 outside.
    """

    directory: Path
    images: pd.DataFrame
    effects: Mapping[str, SimulatedEffect]
    truth: Mapping[str, Nifti1Image]
    mask_img: Nifti1Image

    def __repr__(self) -> str:
        return (
            f"PairedStudy({len(self.images)} maps in {in_quotes(self.directory)}, of "
            f"{self.mask_img.shape} voxels; two a subject: {', '.join(_CONDITIONS)})"
        )


def simulate_paired_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 16,
    correlation: float = 0.8,
    voxel_size: float = 4.0,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> PairedStudy:
    """Simulate the effect maps of two conditions in the same subjects.

    A map is the response to both conditions, plus the difference if the condition is "vertical",
    plus Gaussian noise that is smooth in space and has a standard deviation of 1 in every voxel.
    Part of the noise is the same in both maps of a subject.

    Parameters
    ----------
    directory : path
        Folder of the images, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=16
        At least 2.
    correlation : float, default=0.8
        Correlation of the noise in the two maps of a subject, from 0 to below 1.
    voxel_size : float, default=4.0
        Edge of the cubic voxels, in mm. The grid covers 183 x 219 x 183 mm.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    PairedStudy
        A table of the images, the truth and the mask.

    Raises
    ------
    ValueError
        If there are fewer than 2 subjects, the correlation is out of range, or the voxels are too
        large for the peaks.
    OSError
        If the images cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_paired_study(directory, n_subjects=2, voxel_size=12.0)
    >>> study.images[["participant_id", "condition"]]
      participant_id   condition
    0         sub-01    vertical
    1         sub-01  horizontal
    2         sub-02    vertical
    3         sub-02  horizontal
    """
    import pandas as pd

    check_n_subjects(n_subjects, 2, "one")
    check_lengths(voxel_size=voxel_size, noise_fwhm=noise_fwhm)
    check_seed(seed)
    if not 0 <= real_number("correlation", correlation) < 1:
        raise ArgumentError(
            "correlation", f"{correlation}, but must lie between 0 and 1, 1 excluded."
        )
    brain = make_brain(voxel_size)
    truth = brain.blobs(_EFFECTS)
    noise = SmoothNoise(brain, noise_fwhm)
    directory = given_path("directory", directory)
    labels = subject_labels(n_subjects)
    rows = [
        [label, condition, directory / f"{label}_{condition}_effect.nii.gz"]
        for label in labels
        for condition in _CONDITIONS
    ]
    images = pd.DataFrame(rows, columns=["participant_id", "condition", "path"])
    make_place(directory, [path.name for path in images["path"]])
    seeds = np.random.SeedSequence(seed).spawn(n_subjects)
    for label, subject_seed in zip(labels, seeds, strict=True):
        generator = np.random.default_rng(subject_seed)
        shared = np.sqrt(correlation) * noise.draw(generator)
        own = images[images["participant_id"] == label]
        for condition, path in zip(own["condition"], own["path"], strict=True):
            values = truth["response"] + (condition == "vertical") * truth["difference"]
            values += shared + np.sqrt(1 - correlation) * noise.draw(generator)
            write_image(np.where(brain.mask, values, 0.0), brain.affine, path)
    return PairedStudy(
        directory=directory,
        images=images,
        effects=dict(_EFFECTS),
        truth={name: make_image(values, brain.affine) for name, values in truth.items()},
        mask_img=make_image(brain.mask, brain.affine, np.uint8),
    )
