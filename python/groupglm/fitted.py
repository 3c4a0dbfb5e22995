# SPDX-License-Identifier: BSD-3-Clause
"""One group of images fitted: read once into a result, and turned back into images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.engine import fit_state, read_rows
from groupglm.errors import GridMismatchError
from groupglm.images import open_images
from groupglm.results import OlsFit
from groupglm.spaces.background import background_mask
from groupglm.spaces.volume import VolumeSpace

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import ArrayLike, NDArray

    from groupglm.images import ImageLike, VolumeSource

__all__ = ["MISSING", "FittedGroup", "Missing", "VolumeMasker", "fit_group"]

Missing = Literal["omit", "zero", "raise", "intersect"]
MISSING: tuple[Missing, ...] = ("omit", "zero", "raise", "intersect")


@dataclass(frozen=True, eq=False)
class FittedGroup:
    """A fit of one group of images, and what it takes to make images of it.

    Parameters
    ----------
    space : VolumeSpace
        The voxels.
    result : OlsFit
        The fit.
    sources : tuple of VolumeSource
        The images, to be read again when residuals are asked for.
    missing : {"omit", "zero", "raise", "intersect"}
        What was done about missing values.
    """

    space: VolumeSpace
    result: OlsFit
    sources: tuple[VolumeSource, ...]
    missing: Missing

    def n_observations_image(self) -> Nifti1Image:
        """Return the number of images that have each voxel."""
        return self._count_image(self.result.n_observations, "number of images")

    def df_residual_image(self) -> Nifti1Image:
        """Return the residual degrees of freedom of each voxel."""
        return self._count_image(self.result.df_residual, "residual degrees of freedom")

    def _count_image(self, counts: int | NDArray[np.int64], descrip: str) -> Nifti1Image:
        row = np.broadcast_to(np.asarray(counts), (self.space.n_values,))
        return self.space.to_image(row, descrip, dtype=np.int32)

    def r_square_image(self) -> Nifti1Image:
        """Return R-squared of each voxel."""
        return self.space.to_image(self.result.r_square, "r_square")

    def predicted_image(self) -> Nifti1Image:
        """Return the fitted values, 4-D: one volume an image. The images are not read."""
        beta = self.result.beta
        series = self._empty_series()
        for volume in range(len(self.sources)):
            self.space.put(self._predict(volume, beta), series[..., volume])
        return self.space.image_of(series, "predicted")

    def residuals_image(self) -> Nifti1Image:
        """Return the residuals, 4-D: one volume an image; NaN where an image has no value.

        The images are read again, a batch at a time.
        """
        beta = self.result.beta
        series = self._empty_series()
        batches = read_rows(
            self.sources, self.space, n_threads=self.result.n_threads, fill=self._fill
        )
        for first, rows in batches:
            for row, values in enumerate(rows):
                volume = first + row
                self.space.put(values - self._predict(volume, beta), series[..., volume])
        return self.space.image_of(series, "residuals")

    @property
    def _fill(self) -> float | None:
        return 0.0 if self.missing == "zero" else None

    def _predict(self, volume: int, beta: NDArray[np.float64]) -> NDArray[np.float64]:
        row = np.ascontiguousarray(self.result.X[volume : volume + 1])
        fitted = _core.predict(row, beta, self.result.n_threads)
        return fitted.reshape(-1)

    def _empty_series(self) -> NDArray[np.float32]:
        shape = (*self.space.grid.shape, len(self.sources))
        return np.zeros(shape, dtype=np.float32, order="F")


@dataclass(frozen=True, eq=False)
class VolumeMasker:
    """Images to rows of values inside the mask of a fit, and back.

    Parameters
    ----------
    space : VolumeSpace
        The voxels.
    n_threads : int
        Number of threads that read images.
    """

    space: VolumeSpace
    n_threads: int

    @property
    def mask_img_(self) -> Nifti1Image:
        """The mask, uint8."""
        return self.space.mask_image()

    def transform(self, imgs: Any) -> NDArray[np.float32] | NDArray[np.float64]:
        """Read images inside the mask.

        Parameters
        ----------
        imgs : list or pandas.Series of images, or one 4-D image
            On the grid of the fit.

        Returns
        -------
        array, shape (n_images, n_voxels)
            Values in file order (the first axis varies fastest); NaN where an image has none.

        Raises
        ------
        groupglm.errors.ImageError
            If an image cannot be read.
        groupglm.errors.GridMismatchError
            If the images are on another grid.
        """
        sources = open_images(imgs, argument="imgs")
        difference = sources[0].grid.difference(self.space.grid)
        if difference is not None:
            raise GridMismatchError(
                f"{sources[0].name}: the image is not on the grid of the fit: {difference}; "
                "resample it to that grid"
            )
        batches = read_rows(sources, self.space, n_threads=self.n_threads)
        matrix = np.empty(
            (len(sources), self.space.n_values),
            dtype=np.result_type(*{source.dtype for source in sources}),
        )
        for first, rows in batches:
            matrix[first : first + len(rows)] = rows
        return matrix

    def inverse_transform(self, X: ArrayLike) -> Nifti1Image:
        """Turn values back into an image.

        Parameters
        ----------
        X : array_like, shape (n_voxels,) or (n_images, n_voxels)
            One row gives a 3-D image, several a 4-D image.

        Returns
        -------
        nibabel.nifti1.Nifti1Image
            float32, zero outside the mask.

        Raises
        ------
        ValueError
            If the number of values is not that of the mask.
        """
        return self.space.to_image(np.asarray(X))


def fit_group(
    sources: Sequence[VolumeSource],
    design: _core.Design,
    X: NDArray[np.float64],
    names: tuple[str, ...],
    *,
    mask_img: ImageLike | None,
    missing: Missing,
    n_threads: int,
) -> FittedGroup:
    """Read every image once and fit the model at every voxel.

    Parameters
    ----------
    sources : sequence of VolumeSource
        The images, in the order of the design's rows.
    design : _core.Design
        The factorised design.
    X : array, shape (n_images, n_columns)
        The design matrix.
    names : tuple of str
        Its columns.
    mask_img : image, path or None
        The mask; found from the mean image when None.
    missing : {"omit", "zero", "raise", "intersect"}
        What to do about missing values.
    n_threads : int
        Number of threads.

    Returns
    -------
    FittedGroup
        The fit at the mask's voxels.

    Raises
    ------
    groupglm.errors.ImageError
        If an image cannot be read.
    ValueError
        If the mask is empty, or values are missing and `missing` is "raise".
    """
    grid = sources[0].grid
    space = VolumeSpace(grid) if mask_img is None else VolumeSpace.from_mask(mask_img, grid)
    fill = 0.0 if missing == "zero" else None
    state = fit_state(sources, space, design, n_threads=n_threads, fill=fill)
    if mask_img is None:
        keep = _background(space, state, design, n_threads)
        space, state = _restrict(space, state, keep)
    if state.has_missing and missing in ("raise", "intersect"):
        n_observations, _ = _core.observations_and_rank(state, design, n_threads)
        complete = n_observations == len(sources)
        if missing == "raise" and not complete.all():
            raise ValueError(
                f"missing='raise', and {np.count_nonzero(~complete)} of {space.n_values} voxels "
                "lack a value in some image; give missing='omit' to leave the values out voxel by "
                "voxel, or missing='intersect' to leave the voxels out"
            )
        if not complete.any():
            raise ValueError(
                "missing='intersect' leaves no voxel: none has a value in every image; give "
                "missing='omit', or leave out images that cover little"
            )
        space, state = _restrict(space, state, complete)
    result = OlsFit(X=X, column_names=names, n_threads=n_threads, _state=state, _design=design)
    return FittedGroup(space, result, tuple(sources), missing)


def _background(
    space: VolumeSpace, state: _core.OlsState, design: _core.Design, n_threads: int
) -> NDArray[np.bool_]:
    """Find the voxels that are not background, now that the mean of the images is known."""
    shape = space.grid.shape
    mean = _core.mean(state, design, n_threads)
    n_observations, _ = _core.observations_and_rank(state, design, n_threads)
    mask = background_mask(
        mean.reshape(shape, order="F"),
        n_observations.reshape(shape, order="F"),
        n_images=state.n_rows,
        min_observations=design.rank + 1,
    )
    return mask.ravel(order="F")


def _restrict(
    space: VolumeSpace, state: _core.OlsState, keep: NDArray[np.bool_]
) -> tuple[VolumeSpace, _core.OlsState]:
    return space.restrict(keep), state.select(np.flatnonzero(keep).astype(np.int64))
