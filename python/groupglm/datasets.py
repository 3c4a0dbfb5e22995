# SPDX-License-Identifier: BSD-3-Clause
"""A simulated group study with a known truth, to try things on without any download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

__all__ = ["GroupStudy", "SimulatedEffect", "simulate_group_study"]

FloatArray = NDArray[np.float64]

# The box of the common 3 mm standard-space grid: 61 x 73 x 61 voxels about this centre.
_CENTRE = np.array([0.0, -18.0, 18.0])  # mm
_EXTENT = np.array([183.0, 219.0, 183.0])  # mm

# Two hemispheres, the cerebellum and the brain stem: (centre, semi-axes) of ellipsoids in mm.
_BRAIN = (
    ((-32.0, -18.0, 16.0), (38.0, 84.0, 60.0)),
    ((32.0, -18.0, 16.0), (38.0, 84.0, 60.0)),
    ((0.0, -62.0, -36.0), (48.0, 36.0, 26.0)),
    ((0.0, -30.0, -30.0), (16.0, 18.0, 40.0)),
)

_FWHM_PER_SIGMA = float(np.sqrt(8.0 * np.log(2.0)))


@dataclass(frozen=True)
class SimulatedEffect:
    """A Gaussian blob of true effect.

    Attributes
    ----------
    peak : tuple of float
        Its centre, in mm.
    height : float
        The effect there, for a change of 1 in its column of the design, in units of the
        between-subject standard deviation.
    fwhm : float
        Its full width at half maximum, in mm.
    """

    peak: tuple[float, float, float]
    height: float
    fwhm: float


# Voxel centres of the default grid. Heights make t about 7 to 12 at the peak with 24 subjects.
_EFFECTS = {
    "group": SimulatedEffect(peak=(-42.0, -24.0, 48.0), height=3.5, fwhm=18.0),
    "age": SimulatedEffect(peak=(36.0, 30.0, 24.0), height=0.12, fwhm=18.0),
    "intercept": SimulatedEffect(peak=(-12.0, -78.0, 6.0), height=2.5, fwhm=24.0),
}


@dataclass(frozen=True)
class GroupStudy:
    """A simulated study: the images on disk, the design, and the truth.

    Attributes
    ----------
    directory : pathlib.Path
        Where the images are.
    paths : list of pathlib.Path
        One effect map a subject (``sub-01_effect.nii.gz`` and so on, float32), in the order of the
        rows of ``design_matrix``.
    design_matrix : pandas.DataFrame, shape (n_subjects, 3)
        ``group`` (0 control, 1 patient), ``age`` (years from the mean) and ``intercept``.
    participants : pandas.DataFrame, shape (n_subjects, 3)
        ``participant_id``, ``group`` in words and ``age`` in years.
    effects : mapping of str to SimulatedEffect
        The blob of each column of the design.
    truth : mapping of str to nibabel.nifti1.Nifti1Image
        The map of the true effect of each column of the design; zero outside the mask.
    mask_img : nibabel.nifti1.Nifti1Image
        The brain: 1 inside, 0 outside.
    """

    directory: Path
    paths: list[Path]
    design_matrix: pd.DataFrame
    participants: pd.DataFrame
    effects: Mapping[str, SimulatedEffect]
    truth: Mapping[str, Nifti1Image]
    mask_img: Nifti1Image


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

    Each subject's map is the design's row times the true effects, plus Gaussian noise that is
    smooth in space and has a standard deviation of 1 in every voxel, independent between
    subjects. The noise of subject i depends on the seed and i alone.

    Parameters
    ----------
    directory : path
        Where to write the images; made if it is not there. Files of the same names are replaced.
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
        Paths of the images, design, participants, truth and mask.

    Raises
    ------
    ValueError
        If there are fewer than 4 subjects, or the grid does not hold the peaks of the effects.
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
    _check_arguments(n_subjects, voxel_size, noise_fwhm, seed)
    directory = Path(directory).expanduser()
    shape = shape or _default_shape(voxel_size)
    affine = _affine(shape, voxel_size)
    mask = _brain_mask(shape, affine)
    _check_peaks(mask, affine, shape, voxel_size)
    truth = {name: _blob(effect, mask, affine) for name, effect in _EFFECTS.items()}
    design_seed, *subject_seeds = np.random.SeedSequence(seed).spawn(n_subjects + 1)
    participants, design_matrix = _participants(n_subjects, np.random.default_rng(design_seed))

    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{label}_effect.nii.gz" for label in participants["participant_id"]]
    sigma = noise_fwhm / voxel_size / _FWHM_PER_SIGMA
    gain = _noise_gain(shape, sigma)
    rows = design_matrix[list(truth)].to_numpy()
    blobs = np.stack(list(truth.values()))  # (n_effects, *shape)
    for path, row, subject_seed in zip(paths, rows, subject_seeds, strict=True):
        noise = _smooth_noise(np.random.default_rng(subject_seed), shape, sigma) / gain
        _write(np.where(mask, np.tensordot(row, blobs, axes=1) + noise, 0.0), affine, path)
    return GroupStudy(
        directory=directory,
        paths=paths,
        design_matrix=design_matrix,
        participants=participants,
        effects=dict(_EFFECTS),
        truth={name: _image(blob, affine) for name, blob in truth.items()},
        mask_img=_image(mask, affine, np.uint8),
    )


def _check_arguments(n_subjects: int, voxel_size: float, noise_fwhm: float, seed: int) -> None:
    if n_subjects < 4:
        raise ValueError(
            f"n_subjects is {n_subjects}, but a design of three columns needs at least 4 subjects "
            "to leave a degree of freedom; give 4 or more."
        )
    for name, value in (("voxel_size", voxel_size), ("noise_fwhm", noise_fwhm)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}, but must be a positive length in mm.")
    if seed < 0:
        raise ValueError(f"seed is {seed}, but must be 0 or a positive whole number.")


def _default_shape(voxel_size: float) -> tuple[int, int, int]:
    counts = np.maximum(1, np.rint(_EXTENT / voxel_size)).astype(int)
    return (int(counts[0]), int(counts[1]), int(counts[2]))


def _affine(shape: tuple[int, int, int], voxel_size: float) -> FloatArray:
    """Return the affine of a grid whose middle voxel lies at the brain's centre."""
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = _CENTRE - voxel_size * (np.array(shape) // 2)
    return affine


def _squared_distance(
    shape: tuple[int, ...], affine: FloatArray, centre: tuple[float, ...], axes: tuple[float, ...]
) -> FloatArray:
    """Return each voxel's squared distance from a point in mm, axis by axis in units of ``axes``.

    The affine must be diagonal, so that the axes of the grid are those of the space.
    """
    total: FloatArray = np.zeros(())
    for k, n in enumerate(shape):
        position = affine[k, k] * np.arange(n) + affine[k, 3]
        squared = ((position - centre[k]) / axes[k]) ** 2
        total = total + squared.reshape([n if axis == k else 1 for axis in range(3)])
    return total


def _brain_mask(shape: tuple[int, ...], affine: FloatArray) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    for centre, axes in _BRAIN:
        mask |= _squared_distance(shape, affine, centre, axes) <= 1.0
    return mask


def _check_peaks(
    mask: NDArray[np.bool_], affine: FloatArray, shape: tuple[int, ...], voxel_size: float
) -> None:
    for name, effect in _EFFECTS.items():
        voxel = np.rint((np.array(effect.peak) - affine[:3, 3]) / voxel_size).astype(int)
        inside = bool(np.all(voxel >= 0) and np.all(voxel < shape))
        if not inside or not mask[tuple(voxel)]:
            raise ValueError(
                f"shape {tuple(shape)} with voxels of {voxel_size} mm leaves out the peak of the "
                f"effect of {name} at {effect.peak} mm; leave shape out, or give a grid that "
                f"covers the brain ({_EXTENT.tolist()} mm)."
            )


def _blob(effect: SimulatedEffect, mask: NDArray[np.bool_], affine: FloatArray) -> FloatArray:
    sigma = effect.fwhm / _FWHM_PER_SIGMA
    distance = _squared_distance(mask.shape, affine, effect.peak, (sigma, sigma, sigma))
    return np.where(mask, effect.height * np.exp(-0.5 * distance), 0.0)


def _participants(
    n_subjects: int, generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    width = max(2, len(str(n_subjects)))
    group = np.arange(n_subjects) % 2
    age = np.round(generator.uniform(20.0, 70.0, size=n_subjects), 1)
    participants = pd.DataFrame(
        {
            "participant_id": [f"sub-{i + 1:0{width}d}" for i in range(n_subjects)],
            "group": np.where(group == 1, "patient", "control"),
            "age": age,
        }
    )
    design_matrix = pd.DataFrame(
        {"group": group.astype(np.float64), "age": age - age.mean(), "intercept": 1.0}
    )
    return participants, design_matrix


def _smooth_noise(
    generator: np.random.Generator, shape: tuple[int, ...], sigma: float
) -> FloatArray:
    """Return white noise of unit variance, smoothed; ``sigma`` in voxels."""
    from scipy.ndimage import gaussian_filter

    # The grid wraps around, so that voxels near its border average as many values as the others.
    smooth: FloatArray = gaussian_filter(generator.standard_normal(shape), sigma, mode="wrap")
    return smooth


def _noise_gain(shape: tuple[int, ...], sigma: float) -> float:
    """Return the standard deviation that smoothing leaves of white noise of unit variance."""
    from scipy.ndimage import gaussian_filter

    impulse = np.zeros(shape)
    impulse[0, 0, 0] = 1.0
    return float(np.linalg.norm(gaussian_filter(impulse, sigma, mode="wrap")))


def _image(
    values: NDArray[np.float64] | NDArray[np.bool_],
    affine: FloatArray,
    dtype: type[np.float32 | np.uint8] = np.float32,
) -> Nifti1Image:
    from nibabel.nifti1 import Nifti1Image

    make_image: Any = Nifti1Image  # nibabel's constructor carries no types
    image: Any = make_image(values.astype(dtype), affine)
    image.header.set_xyzt_units("mm")
    image.header.set_sform(affine, code="mni")
    image.header.set_qform(affine, code="mni")
    made: Nifti1Image = image
    return made


def _write(values: FloatArray, affine: FloatArray, path: Path) -> None:
    from groupglm.images.save import save_image

    save_image(_image(values, affine), path)
