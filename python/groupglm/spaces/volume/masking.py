# SPDX-License-Identifier: BSD-3-Clause
"""The mask, and the preparation of images before the statistics: `VolumeMasking`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.messages import arguments, either
from groupglm.spaces.masker_options import options_of
from groupglm.spaces.volume.foreign_maskers import (
    fit_masker,
    has_a_method,
    mask_of,
)
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.reading.kept import KeptVolume, read_once
from groupglm.spaces.volume.resampling import target_grid
from groupglm.spaces.volume.smoothing import plain_fwhm, sigma_voxels
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.volume import ImageLike, VolumeSource

__all__ = ["VolumeMasking"]

_MASK_REMEDY = (
    either("resample it to their grid with resample_to, or ", "")
    + "bring the images to its grid by "
    + arguments(target_affine=None, target_shape=None)
    + either(
        " of the mask",
        " IMAGE, with the mask as IMAGE, or the mask to theirs by resample_to in Python",
    )
)


@dataclass(frozen=True, eq=False)
class VolumeMasking:
    """The mask, the grid and the smoothing that a model asks for.

    Parameters
    ----------
    mask : image, path or None
        The mask; None if it has to be found.
    target_affine : array, shape (3, 3) or (4, 4), optional
        Affine of the grid to which images are resampled.
    target_shape : tuple of 3 ints, optional
        Shape of that grid.
    smoothing_fwhm : float or three floats, optional
        Full width at half maximum, in mm.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values.
    finder : masker, optional
        Finds the mask, by a method of its own.
    """

    mask: ImageLike | None = None
    target_affine: Any = None
    target_shape: Any = None
    smoothing_fwhm: Any = None
    zero_is_missing: bool = False
    finder: Any = None

    @classmethod
    def resolve(
        cls,
        mask_img: Any,
        target_affine: Any,
        target_shape: Any,
        smoothing_fwhm: Any,
        *,
        zero_is_missing: bool = False,
        smoothing_overrides: bool = False,
    ) -> VolumeMasking:
        """Use the parameters of the estimator, or those of a masker.

        With `smoothing_overrides`, the smoothing that is given comes before that of a masker.
        """
        if mask_img is None or isinstance(mask_img, str | os.PathLike | SpatialImage):
            return cls(mask_img, target_affine, target_shape, smoothing_fwhm, zero_is_missing)
        mask = mask_of(mask_img)
        given = {
            "target_affine": target_affine,
            "target_shape": target_shape,
            "smoothing_fwhm": smoothing_fwhm,
        }
        own = options_of(mask_img, given, smoothing_overrides=smoothing_overrides)
        finder = mask_img if mask is None and has_a_method(mask_img) else None
        return cls(mask, **own, zero_is_missing=zero_is_missing, finder=finder)

    @property
    def resamples(self) -> bool:
        """Whether images are resampled to a grid that the user gives."""
        return self.target_affine is not None or self.target_shape is not None

    @property
    def smooths(self) -> bool:
        """Whether images are smoothed."""
        return bool(np.any(self.smoothing_fwhm))

    def everywhere(
        self,
        sources: Sequence[VolumeSource],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> VolumeSpace:
        """Return all voxels of the grid on which images are read: the first image's, or the user's.

        If volumes need no preparation the space has none, so that a row can be gathered while it is
        read.
        """
        grid = target_grid(sources[0].grid, self.target_affine, self.target_shape)
        smooths = any(sigma_voxels(grid, self.smoothing_fwhm, name="smoothing_fwhm"))
        if not (self.resamples or smooths or self.zero_is_missing):
            return VolumeSpace(grid)
        fwhm = plain_fwhm(self.smoothing_fwhm)
        preparation = Preparation(self.resamples, clip, fwhm, fill, n_threads, self.zero_is_missing)
        return VolumeSpace(grid, None, preparation)

    def inside(self, everywhere: VolumeSpace) -> VolumeSpace | None:
        """Return the voxels of a grid that are inside the mask; None if no mask is given."""
        if self.mask is None:
            return None
        return VolumeSpace.from_mask(
            self.mask, everywhere.grid, everywhere.preparation, remedy=_MASK_REMEDY
        )

    def find(
        self,
        space: VolumeSpace,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the mask among all voxels of a grid: by the masker's method, or by ours."""
        if self.finder is None:
            return space.background(
                mean, n_observations, n_images=n_images, min_observations=min_observations
            )
        enough = n_observations >= min_observations
        mask = fit_masker(self.finder, space.grid, np.where(enough, mean, 0))
        return enough & VolumeSpace.from_mask(mask, space.grid).mask.ravel(order="F")

    def read_once(
        self, sources: Sequence[VolumeSource], memory_budget: float
    ) -> tuple[Sequence[VolumeSource], int]:
        """Return the same images, in a form that keeps the values of the first reading."""
        kept = read_once(sources, memory_budget)
        return kept, sum(each.kept_bytes for each in kept if isinstance(each, KeptVolume))

    def as_stored(self, sources: Sequence[VolumeSource]) -> VolumeSpace:
        """Return all voxels of the first image's grid; other images are resampled to it."""
        grid = sources[0].grid
        resamples = any(source.grid.difference(grid) is not None for source in sources)
        return VolumeSpace(grid, None, Preparation(resamples, zero_is_missing=self.zero_is_missing))
