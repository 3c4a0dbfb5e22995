# SPDX-License-Identifier: BSD-3-Clause
"""Resample image files: `resample_img`, `resample_to_img` and `resample_to`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.spatialimages import SpatialImage

from groupglm import _core
from groupglm.errors import warn_caller
from groupglm.messages import argument
from groupglm.runtime.arguments import check_choice, check_truth, real_number
from groupglm.spaces.volume.images import image_of
from groupglm.spaces.volume.like import image_like
from groupglm.spaces.volume.reading.opening import ImageLike, open_image_or_series
from groupglm.spaces.volume.reading.whole_image import MOST_AXES, WholeImage, open_whole_image
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

__all__ = ["resample_img", "resample_to", "resample_to_img"]

Order = Literal["F", "C"]
_ORDERS = ("F", "C")


def resample_img(
    img: ImageLike | Sequence[ImageLike],
    target_affine: ArrayLike | None = None,
    target_shape: ArrayLike | None = None,
    interpolation: Interpolation = "continuous",
    copy: bool = True,
    order: Order = "F",
    clip: bool = True,
    fill_value: float = 0.0,
    force_resample: bool = True,
    copy_header: bool = True,
) -> Nifti1Image:
    """Resample an image to other voxels.

    Parameters
    ----------
    img : str, os.PathLike, nibabel image or list of them
        A 3-D image, or one of more axes, whose volumes are resampled one by one. A list of 3-D
        images, or a pattern such as ``"maps/sub-*.nii.gz"``, is a 4-D image.
    target_affine : array, shape (3, 3) or (4, 4), optional
        The affine of the new grid, from voxel indices to millimetres. A 3 x 3 matrix gives the
        axes: the grid then begins at the corner of the bounding box of the image and covers it. A
        4 x 4 affine without `target_shape` says where the grid begins, and the grid ends at the end
        of the bounding box. By default the grid of the image.
    target_shape : three ints, optional
        Number of voxels along each axis. It needs a 4 x 4 affine.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline, trilinear, or the nearest voxel (for labels and masks).
    copy : bool, default=True
        Whether the result is a new image also if `img` is on the target grid already. With False,
        it is then `img` itself.
    order : {"F", "C"}, default="F"
        Whether the first or the last axis of the result varies fastest in memory.
    clip : bool, default=True
        Whether values are kept within the range of the image's finite values and zero, which a
        spline may overshoot.
    fill_value : float, default=0.0
        The value where `img` has no voxels. If `clip`, it is clipped too.
    force_resample : bool, default=True
        Has no effect, and is there for nilearn's sake: where the grids differ by whole voxels, the
        values are copied, with either value.
    copy_header : bool, default=True
        Whether to keep what the header of `img` says, such as the repetition time.

    Returns
    -------
    nibabel.nifti1.Nifti1Image
        The image on the target grid, with as many axes as `img`. It is float32, or float64 if `img`
        needs it. "nearest" keeps integers that are not scaled, if they can hold `fill_value`.

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

    Warns
    -----
    UserWarning
        If values that are all 0 or 1 are interpolated, or the header of `img` does not say where
        its voxels are.

    See Also
    --------
    resample_to_img : Resample to the grid of another image.

    Notes
    -----
    The numbers are those of ``nilearn.image.resample_img``, except that infinite values stay
    infinite, and integers become floats unless they are resampled by "nearest". NaN and infinite
    values are resampled by the nearest neighbour, and do not change other values.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> import groupglm
    >>> img = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> groupglm.resample_img(img, np.diag([3.0, 3.0, 3.0])).shape
    (7, 7, 7)
    """
    options = _Options(interpolation, copy, order, clip, fill_value, force_resample, copy_header)
    whole = open_whole_image(img, "img")
    grid = target_grid(whole.sources[0].grid, target_affine, target_shape)
    if target_affine is not None:
        _warn_without_place(whole)
    return _resampled(img, whole, grid, options)


def resample_to_img(
    source_img: ImageLike | Sequence[ImageLike],
    target_img: ImageLike,
    interpolation: Interpolation = "continuous",
    copy: bool = True,
    order: Order = "F",
    clip: bool = False,
    fill_value: float = 0.0,
    force_resample: bool = True,
    copy_header: bool = True,
) -> Nifti1Image:
    """Resample an image to the grid of another.

    Parameters
    ----------
    source_img : str, os.PathLike, nibabel image or list of them
        The image, as `resample_img` takes it.
    target_img : str, os.PathLike or nibabel image
        The image that has the new grid. Only its header is read.
    interpolation, copy, order, fill_value, force_resample, copy_header
        As of `resample_img`.
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
        If `source_img` or `target_img` is not an image.
    ValueError
        If an argument is not possible, or the target grid is absurdly large.
    groupglm.errors.GridMismatchError
        If the target grid holds nothing of the image.
    groupglm.errors.ImageError
        If an image cannot be read.

    See Also
    --------
    resample_img : Resample to a given affine.

    Notes
    -----
    The numbers are those of ``nilearn.image.resample_to_img``, as `resample_img` says. The images
    must be aligned already: nothing is registered.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> import groupglm
    >>> img = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> target = nib.Nifti1Image(np.zeros((5, 5, 5), np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    >>> groupglm.resample_to_img(img, target).shape
    (5, 5, 5)
    """
    options = _Options(interpolation, copy, order, clip, fill_value, force_resample, copy_header)
    return _resampled_like(source_img, "source_img", target_img, "target_img", options)


def resample_to(
    img: ImageLike | Sequence[ImageLike],
    reference: ImageLike,
    interpolation: Interpolation = "continuous",
    *,
    clip: bool = False,
) -> Nifti1Image:
    """Resample an image to the grid of another: `resample_to_img` with fewer options.

    Parameters
    ----------
    img : str, os.PathLike, nibabel image or list of them
        The image, as `resample_img` takes it.
    reference : str, os.PathLike or nibabel image
        The image that has the new grid. Only its header is read.
    interpolation, clip
        As of `resample_to_img`.

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
    options = _Options(interpolation, clip=clip)
    return _resampled_like(img, "img", reference, "reference", options)


@dataclass(frozen=True)
class _Options:
    """The options that these functions share, checked."""

    interpolation: Interpolation
    copy: bool = True
    order: Order = "F"
    clip: bool = False
    fill_value: float = 0.0
    force_resample: bool = True
    copy_header: bool = True

    def __post_init__(self) -> None:
        check_interpolation(self.interpolation)
        for name in ("copy", "clip", "force_resample", "copy_header"):
            check_truth(name, getattr(self, name))
        check_choice("order", self.order, _ORDERS)
        if not (isinstance(self.fill_value, float | np.floating) and np.isnan(self.fill_value)):
            real_number("fill_value", self.fill_value, infinite=True)


def _resampled_like(
    given: ImageLike | Sequence[ImageLike],
    name: str,
    target: ImageLike,
    name_of_target: str,
    options: _Options,
) -> Nifti1Image:
    """Resample an image to the grid of another; the names are those of the caller's arguments."""
    whole = open_whole_image(given, name)
    wanted = open_image_or_series(target, name=name_of_target, most_axes=MOST_AXES)[0].grid
    grid = target_grid(whole.sources[0].grid, wanted.affine, wanted.shape)
    return _resampled(given, whole, grid, options)


def _resampled(given: object, whole: WholeImage, grid: Grid, options: _Options) -> Nifti1Image:
    sources, kind = whole.sources, options.interpolation
    resampler = Resampler(sources[0].grid, grid, kind, fill_value=float(options.fill_value))
    if resampler.copies and isinstance(given, SpatialImage) and not options.copy:
        return cast("Nifti1Image", given)
    dtype = np.result_type(*{_type_of_result(source, resampler) for source in sources})
    data = np.empty((*grid.shape, *whole.axes), dtype=dtype, order=options.order)
    lowest, highest, binary = 0.0, 0.0, False
    for place, source in zip(np.ndindex(*whole.axes[::-1]), sources, strict=True):
        values = _read(source, dtype)
        data[(..., *place[::-1])], low, high = _one_volume(resampler, values)
        lowest, highest = min(lowest, low), max(highest, high)
        binary = binary or ((low, high) == (0.0, 1.0) and _is_binary(values))
    if binary and kind != "nearest" and not resampler.copies:
        warn_caller(
            "Resampling binary images with continuous or linear interpolation: the result has "
            "values between 0 and 1. "
            + argument("interpolation", shown="'nearest'")
            + " keeps a mask a mask"
        )
    if options.clip and resampler.may_leave_range:
        clip_finite(data, lowest, highest)  # the range of all volumes together
    if options.copy_header:
        return image_like(whole.header, grid, data)
    return image_of(grid, data, f"resampled, {kind}")


def _one_volume(resampler: Resampler, values: NDArray[Any]) -> tuple[NDArray[Any], float, float]:
    """Resample a volume, and tell the range of its values and zero."""
    n_threads = _core.max_threads()
    if values.dtype.kind == "f":
        return resampler.unclipped(values, n_threads)
    empty = replace(resampler, interpolation="nearest", fill_value=0.0)
    moved = empty(values, n_threads)
    if resampler.fill_value and not resampler.copies:
        inside = np.ones(values.shape, dtype=np.uint8, order="F")
        moved[empty(inside, n_threads) == 0] = moved.dtype.type(resampler.fill_value)
    return moved, min(float(values.min()), 0.0), max(float(values.max()), 0.0)


def _type_of_result(source: VolumeSource, resampler: Resampler) -> np.dtype[Any]:
    """Return the type of integers that stay as they are, or of floats that hold the values."""
    stored, filled = source.value_dtype, not resampler.copies
    stays = stored.kind in "iu" and (resampler.copies or resampler.interpolation == "nearest")
    if stays and filled:
        limits = np.iinfo(stored)
        fill = resampler.fill_value
        stays = fill.is_integer() and limits.min <= fill <= limits.max
    return stored if stays else source.dtype


def _is_binary(values: NDArray[Any]) -> bool:
    return bool(((values == 0) | (values == 1)).all()) and not values.all()


def _read(source: VolumeSource, dtype: np.dtype[Any]) -> NDArray[Any]:
    row = np.empty(source.grid.n_voxels, dtype=dtype)
    source.read_into(row)
    return row.reshape(source.grid.shape, order="F")


def _warn_without_place(whole: WholeImage) -> None:
    """Warn of a header from which nibabel has guessed where the voxels are."""
    header = whole.header
    if isinstance(header, Nifti1Header) and not (header["sform_code"] or header["qform_code"]):
        warn_caller(
            f"{whole.sources[0].name}: The provided image has no sform in its header, nor a qform: "
            "where its voxels are is a guess from their size. Set image.set_sform(affine, code=1)"
        )
