# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted model tells of each voxel besides contrasts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.estimator.holding_fits import HoldsFits
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.paths import given_path, refuse_inputs

if TYPE_CHECKING:
    import os

    from groupglm.group.fitted_group import FittedGroup, PartialZeros
    from groupglm.spaces.images import Image

__all__ = ["VoxelwiseMaps"]


class VoxelwiseMaps(HoldsFits):
    """The part of the estimator that makes maps of the fit itself.

    `residuals`, `predicted` and `r_square` are methods in nilearn's documentation up to 0.13 and
    attributes with a trailing underscore from 0.14 on: both are here.
    """

    minimize_memory: bool

    @property
    def n_observations_(self) -> Image:
        """Number of images that have each voxel, int32."""
        image: Image = self._current().n_observations_image()
        return image

    @property
    def n_zeros_(self) -> Image:
        """Number of images that are exactly zero at each voxel, int32."""
        image: Image = self._current().n_zeros_image()
        return image

    @property
    def zeros_(self) -> PartialZeros:
        """How many voxels are exactly zero in some images but not in others."""
        return self._current().zeros

    @property
    def df_residual_(self) -> Image:
        """Residual degrees of freedom of each voxel, int32."""
        image: Image = self._current().df_residual_image()
        return image

    @property
    def r_square_(self) -> Image:
        """R-squared of each voxel, float32; needs ``minimize_memory=False``."""
        image: Image = self._voxelwise().r_square_image()
        return image

    @property
    def predicted_(self) -> Image:
        """Fitted values, 4-D, one volume an image; needs ``minimize_memory=False``.

        float32, or float64 where a value leaves its range.
        """
        image: Image = self._voxelwise().predicted_image()
        return image

    @property
    def residuals_(self) -> Image:
        """Residuals, 4-D, one volume an image; needs ``minimize_memory=False``.

        float32, or float64 where a value leaves its range; NaN where an image has no value. The
        images are read again, in batches: memory is that of the result, 4 (8) bytes a voxel and
        image, besides what the fit took.
        """
        image: Image = self._voxelwise().residuals_image()
        return image

    def r_square(self) -> list[Image]:
        """Return a list holding `r_square_`."""
        return [self.r_square_]

    def predicted(self, *, out: str | os.PathLike[str] | None = None) -> list[Image]:
        """Return a list holding `predicted_`."""
        return [self._voxelwise().predicted_image(self._target(out))]

    def residuals(self, *, out: str | os.PathLike[str] | None = None) -> list[Image]:
        """Return a list holding `residuals_`."""
        return [self._voxelwise().residuals_image(self._target(out))]

    def _target(self, out: str | os.PathLike[str] | None) -> Path | None:
        if out is None:
            return None
        path = given_path("out", out)
        refuse_inputs("out", path, self._inputs())
        return path

    def _voxelwise(self) -> FittedGroup:
        if check_truth("minimize_memory", self.minimize_memory):
            raise AttributeError(
                "residuals, predicted and R-squared maps are refused with minimize_memory=True; "
                "set `minimize_memory` to `False` when making the model, and fit it again"
            )
        return self._current()
