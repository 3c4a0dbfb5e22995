# SPDX-License-Identifier: BSD-3-Clause
"""Resample image files: `resample_img` and `resample_to`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.runtime.arguments import check_truth
from groupglm.spaces.volume.images import image_of
from groupglm.spaces.volume.reading.opening import ImageLike, open_image_or_series
from groupglm.spaces.volume.resampling import (
    Interpolation,
    Resampler,
    check_interpolation,
    clip_finite,
    target_grid,
)

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import ArrayLike, NDArray

    from groupglm.spaces.volume.grid import Grid
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["resample_img", "resample_to"]


def resample_img(
    img: ImageLike,
    target_affine: ArrayLike | None = None,
    target_shape: ArrayLike | None = None,
    interpolation: Interpolation = "continuous",
    *,
    clip: bool = True,
) -> Nifti1Image:
    """Resample an image to other voxels.

    Parameters
    ----------
    img : str, os.PathLike or nibabel image
        A 3-D image, or a 4-D one, whose volumes are resampled one by one.
    target_affine : array, shape (3, 3) or (4, 4), optional
        The affine of the new grid, from voxel indices to millimetres. A 3 x 3 matrix gives the
        axes: the grid then begins at the corner of the bounding box of the image and covers it. A
        4 x 4 affine without `target_shape` says where the grid begins, and the grid ends at the end
        of the bounding box. By default the grid of the image.
    target_shape : three ints, optional
        Number of voxels along each axis. It needs a 4 x 4 affine.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline, trilinear, or the nearest voxel (for labels and masks).
    clip : bool, default=True
        Whether values are kept within the range of the image's finite values and zero, which a
        spline may overshoot.

    Returns
    -------
    nibabel.nifti1.Nifti1Image
        The image on the target grid, zero where `img` has no voxels. It is 3-D if `img` holds one
        volume. It is float32, or float64 if `img` needs it. "nearest" keeps integers that are not
        scaled.

    Raises
    ------
    TypeError
        If `img` is not an image.
    ValueError
        If an argument is not possible, or the target grid would be absurdly large.
    groupglm.errors.GridMismatchError
        If the target grid holds nothing of the image.
    groupglm.errors.ImageError
        If the image cannot be read.

    See Also
    --------
    resample_to : Resample to the grid of another image.

    Notes
    -----
    The numbers are those of ``nilearn.image.resample_img``, except that infinite values stay
    infinite. NaN and infinite values are resampled by the nearest neighbour, and do not change
    other values.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> import groupglm
    >>> img = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> groupglm.resample_img(img, np.diag([3.0, 3.0, 3.0])).shape
    (7, 7, 7)
    """
    kind = check_interpolation(interpolation)
    clips = check_truth("clip", clip)
    sources = open_image_or_series(img, name="img")
    grid = target_grid(sources[0].grid, target_affine, target_shape)
    return _resample(sources, grid, kind, clip=clips)


def resample_to(
    img: ImageLike,
    reference: ImageLike,
    interpolation: Interpolation = "continuous",
    *,
    clip: bool = False,
) -> Nifti1Image:
    """Resample an image to the grid of another.

    Parameters
    ----------
    img : str, os.PathLike or nibabel image
        A 3-D image, or a 4-D one, whose volumes are resampled one by one.
    reference : str, os.PathLike or nibabel image
        The image, 3-D or 4-D, that has the new grid. Only its header is read.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline, trilinear, or the nearest voxel (for labels and masks).
    clip : bool, default=False
        Whether values are kept within the range of the image's finite values and zero, which a
        spline may overshoot.

    Returns
    -------
    nibabel.nifti1.Nifti1Image
        As of `resample_img`.

    Raises
    ------
    TypeError
        If `img` or `reference` is not an image.
    ValueError
        If `interpolation` is not possible, or the reference is absurdly large.
    groupglm.errors.GridMismatchError
        If the reference's grid holds nothing of the image.
    groupglm.errors.ImageError
        If an image cannot be read.

    See Also
    --------
    resample_img : Resample to a given affine.

    Notes
    -----
    The numbers are those of ``nilearn.image.resample_to_img``, which does not clip either, except
    that infinite values stay infinite. The images must be aligned already: nothing is registered.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> import groupglm
    >>> img = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> reference = nib.Nifti1Image(np.zeros((5, 5, 5), np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    >>> groupglm.resample_to(img, reference).shape
    (5, 5, 5)
    """
    kind = check_interpolation(interpolation)
    clips = check_truth("clip", clip)
    sources = open_image_or_series(img, name="img")
    wanted = open_image_or_series(reference, name="reference")[0].grid
    grid = target_grid(sources[0].grid, wanted.affine, wanted.shape)
    return _resample(sources, grid, kind, clip=clips)


def _resample(
    sources: list[VolumeSource], grid: Grid, interpolation: Interpolation, *, clip: bool
) -> Nifti1Image:
    resampler = Resampler(sources[0].grid, grid, interpolation)
    n_threads = _core.max_threads()
    shape = (*grid.shape, len(sources))
    data = np.empty(shape, dtype=_type_read(sources[0], interpolation), order="F")
    lowest, highest = 0.0, 0.0
    for place, source in enumerate(sources):
        values = _read(source, interpolation)
        data[..., place], low, high = resampler.unclipped(values, n_threads)
        lowest, highest = min(lowest, low), max(highest, high)
    if clip and resampler.may_leave_range:
        clip_finite(data, lowest, highest)  # the range of all volumes together
    if len(sources) == 1:
        data = data[..., 0]
    return image_of(grid, data, f"resampled, {interpolation}")


def _type_read(source: VolumeSource, interpolation: Interpolation) -> np.dtype[Any]:
    keeps = interpolation == "nearest" and source.value_dtype.kind in "iu"
    return source.value_dtype if keeps else source.dtype


def _read(source: VolumeSource, interpolation: Interpolation) -> NDArray[Any]:
    row = np.empty(source.grid.n_voxels, dtype=_type_read(source, interpolation))
    source.read_into(row)
    return row.reshape(source.grid.shape, order="F")
