# SPDX-License-Identifier: BSD-3-Clause
"""What is done to images before the statistics: `Masking`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from groupglm.errors import warn_caller
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.reading.unread import unread_kind
from groupglm.spaces.volume.resampling import target_grid
from groupglm.spaces.volume.smoothing import sigma_voxels

if TYPE_CHECKING:
    from groupglm.spaces.volume import Grid, ImageLike

__all__ = ["Masking"]

_SHARED = ("target_affine", "target_shape", "smoothing_fwhm")
# A masker made for time series can do these to its rows; across subjects they are not a mask's job.
_SERIES = ("standardize", "detrend", "high_variance_confounds", "low_pass", "high_pass", "runs")


@dataclass(frozen=True, eq=False)
class Masking:
    """The mask, the grid and the smoothing that a model asks for.

    Parameters
    ----------
    mask : image, path or None
        The mask; None when it is to be found.
    target_affine : array, shape (3, 3) or (4, 4), optional
        Of the grid that images are brought to.
    target_shape : tuple of 3 ints, optional
        Of that grid.
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
    ) -> Masking:
        """Take the estimator's parameters, or those of a masker given in their place.

        Parameters
        ----------
        mask_img : image, path, masker or None
            A masker is anything with ``mask_img_`` (fitted) or ``mask_img``, such as nilearn's
            ``NiftiMasker``; its own parameters are used.
        target_affine, target_shape, smoothing_fwhm, zero_is_missing
            The estimator's.

        Returns
        -------
        Masking
            What is to be done.

        Raises
        ------
        TypeError
            If `mask_img` is none of these.
        ValueError
            If a masker does what cannot be done here.

        Warns
        -----
        UserWarning
            If a masker's parameters override the estimator's.
        """
        if mask_img is None or isinstance(mask_img, str | os.PathLike | SpatialImage):
            return cls(mask_img, target_affine, target_shape, smoothing_fwhm, zero_is_missing)
        if not hasattr(mask_img, "mask_img_") and not hasattr(mask_img, "mask_img"):
            found = unread_kind(mask_img) or f"a {type(mask_img).__name__}"
            raise TypeError(
                f"mask_img is {found}; it must be an image, a file name, a masker, or None"
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
        """Whether images are brought to a grid of the user's."""
        return self.target_affine is not None or self.target_shape is not None

    def grid(self, grid: Grid) -> Grid:
        """Return the grid that the images of a grid are brought to.

        Parameters
        ----------
        grid : Grid
            The images'.

        Returns
        -------
        Grid
            The same, unless the user wants another.
        """
        return target_grid(grid, self.target_affine, self.target_shape)

    def preparation(
        self, grid: Grid, clip: tuple[float, float] | None, fill: float | None, n_threads: int
    ) -> Preparation | None:
        """Return what is done to volumes, once they are on a grid.

        Parameters
        ----------
        grid : Grid
            As `grid` returns it.
        clip : two floats or None
            Range of the images' values.
        fill : float or None
            Takes the place of missing values.
        n_threads : int
            Threads inside one image.

        Returns
        -------
        Preparation or None
            None when nothing is done, so that a row can be gathered as it is read.

        Raises
        ------
        ValueError
            If the width of the smoothing makes no sense.
        """
        smooths = any(sigma_voxels(grid, self.smoothing_fwhm, name="smoothing_fwhm"))
        if not (self.resamples or smooths or self.zero_is_missing):
            return None
        return Preparation(
            self.resamples, clip, self.smoothing_fwhm, fill, n_threads, self.zero_is_missing
        )


def _refuse_series(masker: object) -> None:
    wanted = {name: getattr(masker, name, None) for name in _SERIES}
    active = [f"{name}={value!r}" for name, value in wanted.items() if value not in (None, False)]
    if active:
        raise ValueError(
            f"the masker given as mask_img has {', '.join(active)}, which would treat subjects as "
            "the time points of a series; give a masker without it, or its mask image"
        )


def _refuse_strategy(masker: object) -> None:
    strategy = getattr(masker, "mask_strategy", "background")
    arguments = getattr(masker, "mask_args", None)
    if strategy != "background" or arguments:
        raise ValueError(
            f"the masker given as mask_img is not fitted, and its mask_strategy={strategy!r} with "
            f"mask_args={arguments!r} is its own; fit it on an image first"
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
    """Make None comparable with arrays."""
    return "None" if value is None else np.asarray(value)
