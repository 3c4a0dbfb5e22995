# SPDX-License-Identifier: BSD-3-Clause
"""A study of two groups on the surface of the cortex: `simulate_surface_study`, `SurfaceStudy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.arguments import check_lengths, check_n_subjects, check_seed
from groupglm.datasets.cortex import FEWEST_DIVISIONS, SIDES, Cortex, SurfaceEffect, make_cortex
from groupglm.datasets.grayordinate_files import DscalarWriter
from groupglm.datasets.group_study import group_and_age
from groupglm.datasets.noise import SmoothSurfaceNoise
from groupglm.datasets.own_files import make_place
from groupglm.datasets.surface_files import write_metric, write_surface
from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.arguments import whole_number
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SurfaceStudy", "simulate_surface_study"]

FloatArray = NDArray[np.float64]
Pair = tuple[Path, Path]

_MOST_DIVISIONS = 6  # 40,962 vertices a hemisphere; fsLR has 32,492
# By column of the design: hemisphere, where the peak is in mm (the nearest vertex), height, FWHM.
# The heights make t about 7 to 12 there, with 24 subjects.
_EFFECTS = {
    "group": ("left", (-60.0, -24.0, 48.0), 3.5, 24.0),
    "age": ("right", (48.0, 30.0, 24.0), 0.12, 24.0),
    "intercept": ("left", (-24.0, -90.0, 6.0), 2.5, 30.0),
}


@dataclass(frozen=True, repr=False)
class SurfaceStudy:
    """A simulated study on surfaces: the maps on disk, the design, and the truth.

    A pair is (left, right).

    Attributes
    ----------
    directory : pathlib.Path
        Where the files are.
    paths : list of pairs of pathlib.Path
        One map a subject (``sub-01_hemi-L_effect.func.gii`` and ``sub-01_hemi-R_effect.func.gii``,
        float32), in the order of the rows of ``design_matrix``.
    dscalars : list of pathlib.Path
        The same maps as CIFTI, one file a subject (``sub-01_effect.dscalar.nii``), without the
        medial walls.
    design_matrix : pandas.DataFrame, shape (n_subjects, n_columns)
        The design that the maps were made from.
    participants : pandas.DataFrame
        One row a subject: ``participant_id``, and what is known of each in words and units.
    surfaces : pair of pathlib.Path
        The meshes of all subjects (``hemi-L_midthickness.surf.gii``), in mm.
    mask : pair of pathlib.Path
        The cortex (``hemi-L_cortex.shape.gii``): 1, and 0 on the medial wall.
    effects : mapping of str to SurfaceEffect
        The blobs, by the column of the design that each belongs to.
    truth : mapping of str to mapping of str to array, shape (n_vertices,)
        The true effect of each column at the vertices of "left" and "right"; zero off the cortex.
    n_vertices : int
        Vertices of one hemisphere.
    """

    directory: Path
    paths: list[Pair]
    dscalars: list[Path]
    design_matrix: pd.DataFrame
    participants: pd.DataFrame
    surfaces: Pair
    mask: Pair
    effects: Mapping[str, SurfaceEffect]
    truth: Mapping[str, Mapping[str, FloatArray]]
    n_vertices: int

    def __repr__(self) -> str:
        columns = ", ".join(map(str, self.design_matrix.columns))
        return (
            f"SurfaceStudy({len(self.paths)} maps in {in_quotes(self.directory)}, of 2 x "
            f"{self.n_vertices:,} vertices; design: {columns})"
        )


def simulate_surface_study(
    directory: str | PathLike[str],
    *,
    n_subjects: int = 24,
    n_divisions: int = 4,
    noise_fwhm: float = 8.0,
    seed: int = 0,
) -> SurfaceStudy:
    """Simulate the surface maps of a study of two groups with age as a covariate.

    The map of a subject is the row of the design times the true effects, plus Gaussian noise that
    is smooth in space, has a standard deviation of 1 at every vertex of the cortex, and is
    independent between subjects and hemispheres. The noise of subject i depends only on the seed
    and on i. The medial wall is exactly zero in all maps.

    The meshes are divided icosahedra in the shape of two hemispheres that mirror each other.

    Parameters
    ----------
    directory : path
        Folder of the files, which is made if it does not exist. Files of the same names are
        replaced if a simulator of this package has written them; other files are an error.
    n_subjects : int, default=24
        Every second one a patient; at least 4, so that degrees of freedom remain.
    n_divisions : int, default=4
        How often each triangle of an icosahedron is divided in four, from 2 to 6: a hemisphere has
        ``10 * 4**n_divisions + 2`` vertices, by default 2,562. Peaks are the same vertices in all.
    noise_fwhm : float, default=8.0
        Smoothness of the noise, in mm.
    seed : int, default=0
        The same seed gives the same study.

    Returns
    -------
    SurfaceStudy
        Paths of the maps in both forms, of the meshes and of the mask; design, participants and
        truth. The design has the columns ``group`` (0 control, 1 patient), ``age`` (years from the
        mean) and ``intercept``; participants have ``group`` in words and ``age`` in years.

    Raises
    ------
    ValueError
        If there are fewer than 4 subjects, `n_divisions` is out of range, the noise is too smooth
        for the mesh, or `directory` holds a file of these names that no simulator wrote.
    OSError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     study = simulate_surface_study(directory, n_subjects=4, n_divisions=2)
    >>> [path.name for path in study.paths[0]]
    ['sub-01_hemi-L_effect.func.gii', 'sub-01_hemi-R_effect.func.gii']
    >>> study.n_vertices, study.effects["group"].hemisphere
    (162, 'left')
    """
    check_n_subjects(n_subjects, 4, "three")
    n_divisions = whole_number("n_divisions", n_divisions)
    if not FEWEST_DIVISIONS <= n_divisions <= _MOST_DIVISIONS:
        raise ArgumentError(
            "n_divisions", f"{n_divisions}", f"from {FEWEST_DIVISIONS} to {_MOST_DIVISIONS}"
        )
    check_lengths(noise_fwhm=noise_fwhm)
    check_seed(seed)
    cortex = make_cortex(n_divisions)
    noise = SmoothSurfaceNoise(cortex.coordinates["left"], noise_fwhm)
    effects = {name: cortex.effect(*own) for name, own in _EFFECTS.items()}
    truth = {name: cortex.blob(effect) for name, effect in effects.items()}
    design_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants, design_matrix = group_and_age(n_subjects, np.random.default_rng(design_seed))

    directory = given_path("directory", directory)
    paths = [
        _pair(directory, f"{label}_hemi-{{}}_effect.func.gii")
        for label in participants["participant_id"]
    ]
    dscalars = [
        directory / f"{label}_effect.dscalar.nii" for label in participants["participant_id"]
    ]
    surfaces = _pair(directory, "hemi-{}_midthickness.surf.gii")
    mask = _pair(directory, "hemi-{}_cortex.shape.gii")
    written = [path for pair in (*paths, surfaces, mask) for path in pair] + dscalars
    make_place(directory, [path.name for path in written])
    _write_cortex(cortex, surfaces, mask)
    names = [str(name) for name in design_matrix]
    maps = np.stack([truth[name] for name in names])  # (n_columns, 2, n_vertices)
    grayordinates = DscalarWriter(cortex.inside)
    rows = zip(paths, dscalars, design_matrix.to_numpy(), subject_seeds, strict=True)
    for pair, dscalar, row, own_seed in rows:
        values = np.tensordot(row, maps, axes=1) + noise.draw(np.random.default_rng(own_seed))
        _write_pair(np.where(cortex.inside, values, 0.0), pair)
        grayordinates.write(values, dscalar)
    return SurfaceStudy(
        directory=directory,
        paths=paths,
        dscalars=dscalars,
        design_matrix=design_matrix,
        participants=participants,
        surfaces=surfaces,
        mask=mask,
        effects=effects,
        truth={name: dict(zip(SIDES, truth[name], strict=True)) for name in names},
        n_vertices=cortex.n_vertices,
    )


def _pair(directory: Path, name: str) -> Pair:
    return directory / name.format("L"), directory / name.format("R")


def _write_cortex(cortex: Cortex, surfaces: Pair, mask: Pair) -> None:
    for side, path in zip(SIDES, surfaces, strict=True):
        write_surface(cortex.coordinates[side], cortex.faces[side], side, path)
    _write_pair(np.stack([cortex.inside, cortex.inside]), mask)


def _write_pair(values: FloatArray | NDArray[np.bool_], pair: Pair) -> None:
    for side, own, path in zip(SIDES, values, pair, strict=True):
        write_metric(own, side, path)
