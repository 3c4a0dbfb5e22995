# SPDX-License-Identifier: BSD-3-Clause
"""The mask, and the preparation of images before the statistics: `VolumeMasking`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.messages import argument, arguments, either
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.reading.kept import KeptVolume, read_once
from groupglm.spaces.volume.reading.unread import unread_kind
from groupglm.spaces.volume.resampling import target_grid
from groupglm.spaces.volume.smoothing import plain_fwhm, sigma_voxels
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_SHARED = ("target_affine", "target_shape", "smoothing_fwhm")
# A masker for time series can do these to its rows. Across subjects they are not a mask's task.
_SERIES = ("standardize", "detrend", "high_variance_confounds", "low_pass", "high_pass", "runs")


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
    """

    mask: ImageLike | None = None
    target_affine: Any = None
    target_shape: Any = None
    smoothing_fwhm: Any = None
    zero_is_missing: bool = False

    @classmethod
    def resolve(
        cls,
        mask_img: Any,
        target_affine: Any,
        target_shape: Any,
        smoothing_fwhm: Any,
        *,
        zero_is_missing: bool = False,
    ) -> VolumeMasking:
        """Use the parameters of the estimator, or those of a masker."""
        if mask_img is None or isinstance(mask_img, str | os.PathLike | SpatialImage):
            return cls(mask_img, target_affine, target_shape, smoothing_fwhm, zero_is_missing)
        if not hasattr(mask_img, "mask_img_") and not hasattr(mask_img, "mask_img"):
            found = unread_kind(mask_img) or f"a {type(mask_img).__name__}"
            raise ArgumentTypeError(
                "mask_img", str(found), "an image, a file name, a masker, or None"
            )
        given = dict(zip(_SHARED, (target_affine, target_shape, smoothing_fwhm), strict=True))
        own = {name: getattr(mask_img, name, None) for name in _SHARED}
        mask = getattr(mask_img, "mask_img_", None)
        if mask is None:
            mask = getattr(mask_img, "mask_img", None)
        _refuse_series(mask_img)
        if mask is None:
            _refuse_strategy(mask_img)
        _report_conflicts(own, given)
        return cls(mask, **own, zero_is_missing=zero_is_missing)

    @property
    def resamples(self) -> bool:
        """Whether images are resampled to a grid that the user gives."""
        return self.target_affine is not None or self.target_shape is not None

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


def _refuse_series(masker: object) -> None:
    wanted = {name: getattr(masker, name, None) for name in _SERIES}
    active = [f"{name}={value!r}" for name, value in wanted.items() if value not in (None, False)]
    if active:
        raise ArgumentError(
            "mask_img",
            "the masker given as "
            + argument("mask_img")
            + f" has {', '.join(active)}, which would treat subjects as "
            "the time points of a series",
            remedy="give a masker without it, or its mask image",
            verb="",
        )


def _refuse_strategy(masker: object) -> None:
    strategy = getattr(masker, "mask_strategy", "background")
    arguments = getattr(masker, "mask_args", None)
    if strategy != "background" or arguments:
        raise ArgumentError(
            "mask_img",
            "the masker given as "
            + argument("mask_img")
            + f" is not fitted, and its mask_strategy={strategy!r} with "
            f"mask_args={arguments!r} is its own",
            remedy="fit it on an image first",
            verb="",
        )


def _report_conflicts(own: dict[str, Any], given: dict[str, Any]) -> None:
    conflicts = [
        f"Parameter {name} :\n    Masker parameter {own[name]} - overriding estimator parameter "
        f"{given[name]}"
        for name in sorted(_SHARED)
        if not np.array_equal(_plain(own[name]), _plain(given[name]))
    ]
    if conflicts:
        warn_caller(
            "Overriding provided-default estimator parameters with provided masker parameters :\n"
            + "\n".join(conflicts)
        )


def _plain(value: Any) -> Any:
    """Return a value that can be compared with arrays, in place of None."""
    return "None" if value is None else np.asarray(value)
