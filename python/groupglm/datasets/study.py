# SPDX-License-Identifier: BSD-3-Clause
"""A study with one map a subject: `GroupStudy`, and how its maps are made and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.brain import Brain, SimulatedEffect
from groupglm.datasets.files import make_image, write_image
from groupglm.datasets.noise import SmoothNoise
from groupglm.datasets.own_files import make_place
from groupglm.errors import in_quotes
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

__all__ = ["GroupStudy", "write_study"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class GroupStudy:
    """A simulated study: the images on disk, the design, and the truth.

    Attributes
    ----------
    directory : pathlib.Path
        Where the images are.
    paths : list of pathlib.Path
        One map a subject (``sub-01_effect.nii.gz`` and so on, float32), in the order of the rows
        of ``design_matrix``.
    design_matrix : pandas.DataFrame, shape (n_subjects, n_columns)
        The design that the maps were made from.
    participants : pandas.DataFrame
        One row a subject: ``participant_id``, and what is known of each in words and units.
    effects : mapping of str to SimulatedEffect
        The blobs: by the column of the design that each belongs to, or by names of their own where
        a column has several.
    truth : mapping of str to nibabel.nifti1.Nifti1Image
        The map of the true effect of each column of the design; zero outside the mask.
    mask_img : nibabel.nifti1.Nifti1Image
        The brain, or its grey matter: 1 inside, 0 outside.
    """

    directory: Path
    paths: list[Path]
    design_matrix: pd.DataFrame
    participants: pd.DataFrame
    effects: Mapping[str, SimulatedEffect]
    truth: Mapping[str, Nifti1Image]
    mask_img: Nifti1Image

    def __repr__(self) -> str:
        columns = ", ".join(map(str, self.design_matrix.columns))
        return (
            f"GroupStudy({len(self.paths)} maps in {in_quotes(self.directory)}, of "
            f"{self.mask_img.shape} "
            f"voxels; design: {columns})"
        )


def write_study(
    directory: str | PathLike[str],
    brain: Brain,
    effects: Mapping[str, SimulatedEffect],
    truth: Mapping[str, FloatArray],
    participants: pd.DataFrame,
    design_matrix: pd.DataFrame,
    noise_fwhm: float,
    seeds: Sequence[np.random.SeedSequence],
    *,
    noise_sd: FloatArray | float = 1.0,
) -> GroupStudy:
    """Make each subject's map, design times truth plus noise, and write it."""
    directory = given_path("directory", directory)
    paths = [directory / f"{label}_effect.nii.gz" for label in participants["participant_id"]]
    noise = SmoothNoise(brain, noise_fwhm)
    names = [str(name) for name in design_matrix.columns]
    maps = np.stack([truth[name] for name in names])  # (n_columns, *shape)
    make_place(directory, [path.name for path in paths])
    for path, row, seed in zip(paths, design_matrix.to_numpy(), seeds, strict=True):
        values = np.tensordot(row, maps, axes=1)
        values += noise_sd * noise.draw(np.random.default_rng(seed))
        write_image(np.where(brain.mask, values, 0.0), brain.affine, path)
    return GroupStudy(
        directory=directory,
        paths=paths,
        design_matrix=design_matrix,
        participants=participants,
        effects=dict(effects),
        truth={name: make_image(truth[name], brain.affine) for name in names},
        mask_img=make_image(brain.mask, brain.affine, np.uint8),
    )
