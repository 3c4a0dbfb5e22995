# SPDX-License-Identifier: BSD-3-Clause
"""The preparation of a volume before its row is gathered: `Preparation`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.errors import ImageError
from groupglm.runtime.naming import counted
from groupglm.spaces.volume.resampling import Interpolation, Resampler
from groupglm.spaces.volume.smoothing import Fwhm, sigma_voxels
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """Call zeros missing, bring volumes to a grid and smooth them there, in that order.

    Parameters
    ----------
    resamples : bool, default=False
        Whether images on another grid are resampled (by a cubic spline); they are refused if not.
        Outside its field of view an image has no value.
    clip : two floats, optional
        Resampled values are kept within this range, which a spline may overshoot; by default within
        each image's own, zero included.
    smoothing_fwhm : float, three floats or None
        Full width at half maximum, in mm.
    fill : float, optional
        Put in the place of missing values before smoothing, which leaves them out otherwise.
    n_threads : int, default=1
        Threads inside one image, for when images are fewer than threads.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values.
    """

    resamples: bool = False
    clip: tuple[float, float] | None = None
    smoothing_fwhm: Fwhm = None
    fill: float | None = None
    n_threads: int = 1
    zero_is_missing: bool = False

    interpolation: ClassVar[Interpolation] = "continuous"

    def of_role(self, role: str) -> Preparation:
        """Return how what lies beside an image is prepared, of a role of `Space.reader_of`.

        Zeros of it and missing values are what they are. A covariate is smoothed and resampled as
        an image is, and kept within its own range. Variances and weights are not smoothed, and they
        are resampled linearly: a spline overshoots, and may make them negative.
        """
        if role == "covariate":
            return replace(self, clip=None, fill=None, zero_is_missing=False)
        return LinearPreparation(resamples=self.resamples, n_threads=self.n_threads)

    @property
    def mixes_voxels(self) -> bool:
        """Whether a voxel's value depends on other voxels, so that the whole volume is needed."""
        fwhm = self.smoothing_fwhm
        widths = fwhm if isinstance(fwhm, list | tuple | np.ndarray) else (fwhm,)
        return self.resamples or any(widths)

    def volume(
        self, source: VolumeSource, grid: Grid, dtype: np.dtype[Any]
    ) -> tuple[NDArray[np.float32] | NDArray[np.float64], Zeros]:
        """Read a volume and prepare it.

        Returns `values` (n_voxels,).
        """
        values = np.empty(source.grid.n_voxels, dtype=dtype)
        source.read_into(values)
        infinite = np.count_nonzero(np.isinf(values))
        if infinite:
            raise ImageError(
                f"{source.name}: {counted(int(infinite), 'infinite value')}, which smoothing or "
                "resampling would spread; replace by NaN to treat as missing"
            )
        zeros = Zeros.of(values)
        if self.fill == 0:
            zeros.places[np.isnan(values)] = True
        if self.zero_is_missing:
            values[zeros.places] = np.nan
        if self.resamples and source.grid.difference(grid) is not None:
            # Beyond its field of view an image has no value: NaN, because zero would be a value.
            resample = Resampler(
                source.grid, grid, self.interpolation, clip=self.clip is None, fill_value=np.nan
            )
            volume = values.reshape(source.grid.shape, order="F")
            values = resample(volume, self.n_threads).reshape(-1, order="F")
            if self.clip is not None:
                np.clip(values, *self.clip, out=values)  # NaN stays
            zeros = self._moved(zeros, source.grid, grid)
        if self.fill is not None:
            values[np.isnan(values)] = self.fill
        sigma = sigma_voxels(grid, self.smoothing_fwhm, name="smoothing_fwhm")
        if any(sigma):
            _core.smooth_volume(values, grid.shape, sigma, self.n_threads)
        return values, zeros

    def _moved(self, zeros: Zeros, source_grid: Grid, grid: Grid) -> Zeros:
        """Return for each voxel of another grid whether the nearest voxel is zero."""
        places = zeros.places.view(np.uint8).reshape(source_grid.shape, order="F")
        moved = Resampler(source_grid, grid, "nearest")(places, self.n_threads)
        return Zeros(moved.reshape(-1, order="F").view(np.bool_), zeros.all_whole)


@dataclass(frozen=True)
class LinearPreparation(Preparation):
    """The preparation of variances and weights, which a spline may not overshoot."""

    interpolation: ClassVar[Interpolation] = "linear"
