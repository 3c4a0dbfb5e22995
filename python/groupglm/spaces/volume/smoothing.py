# SPDX-License-Identifier: BSD-3-Clause
"""Smooth volumes with a Gaussian: `smooth_images`, and `sigma_voxels` for readers of rows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image
from nibabel.spatialimages import SpatialImage

from groupglm import _core
from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    ImageError,
    renamed,
    shown,
)
from groupglm.messages import again
from groupglm.runtime.arguments import real_array, real_number
from groupglm.runtime.naming import counted
from groupglm.spaces.volume.intent import descrip_of
from groupglm.spaces.volume.reading.opening import header_of, open_images
from groupglm.spaces.volume.reading.whole_image import expanded
from groupglm.spaces.volume.saving import NIFTI1_MAX_LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid
    from groupglm.spaces.volume.reading.opening import ImageLike
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["Fwhm", "plain_fwhm", "sigma_voxels", "smooth_images"]

Fwhm: TypeAlias = float | Sequence[float | None] | None
"""Full width at half maximum in mm: one for all axes, one an axis, or None for no smoothing."""

_FWHM_OF_SIGMA = math.sqrt(8.0 * math.log(2.0))

_MAX_FIELDS_OF_VIEW = 10.0
"""The widest kernel, in fields of view: it gives every voxel the mean to a few thousandths."""

# The header fields that a smoothed image takes from its original. The intent is not among them: a
# smoothed map of t no longer has the distribution of t.
_KEPT_FIELDS = ("xyzt_units", "dim_info", "toffset")


def sigma_voxels(grid: Grid, fwhm: Fwhm, *, name: str = "fwhm") -> tuple[float, float, float]:
    """Convert a width in millimetres to the Gaussian's standard deviations in voxels.

    A voxel's size along an axis is the length of the affine's column, so the kernel is as wide in
    mm on an oblique or flipped grid. On a sheared one it follows the grid's axes.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.spaces.volume import Grid
    >>> grid = Grid((91, 109, 91), np.diag([-2.0, 2.0, 2.0, 1.0]))
    >>> [round(sigma, 3) for sigma in sigma_voxels(grid, 8.0)]
    [1.699, 1.699, 1.699]
    >>> [round(sigma, 3) for sigma in sigma_voxels(grid, [8.0, 4.0, None])]
    [1.699, 0.849, 0.0]
    """
    widths = _widths(fwhm, name)
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    edge = float((sizes * grid.shape).max())
    if max(widths) > _MAX_FIELDS_OF_VIEW * edge:
        raise ArgumentError(
            name,
            (
                f"{shown(fwhm)} mm, but the longest edge of the image is {edge:.4g} mm, so nothing "
                "but the mean would be left of it"
            ),
            remedy="give the width in mm, usually 4 to 12",
        )
    x, y, z = (
        float(width / (_FWHM_OF_SIGMA * size)) for width, size in zip(widths, sizes, strict=True)
    )
    return x, y, z


def plain_fwhm(fwhm: Any) -> Fwhm:
    """Return a width that `sigma_voxels` takes as plain numbers, which a saved model holds."""
    given = fwhm.tolist() if isinstance(fwhm, np.ndarray) else fwhm
    if isinstance(given, list | tuple):
        return [None if width is None else float(width) for width in given]
    return given if given is None or type(given) is int else float(given)


def _widths(fwhm: object, name: str) -> tuple[float, ...]:
    """Return the width of each axis in mm, zero for no smoothing."""
    if isinstance(fwhm, str):
        raise ArgumentTypeError(
            name,
            f"{shown(fwhm)}, but must be a width in mm",
            remedy=again(name)
            + " must be of type int or float: nilearn's 'fast' is a fixed filter of neighbouring "
            "voxels whose width in mm depends on the image, so give a number",
        )
    if isinstance(fwhm, np.ndarray):
        fwhm = real_array(name, fwhm).tolist()
    if not isinstance(fwhm, list | tuple):
        return (_width(fwhm, fwhm, name),) * 3
    widths = tuple(_width(width, fwhm, name) for width in fwhm)
    if len(widths) != 3:
        raise ArgumentError(
            name,
            f"{shown(fwhm)}, which has {len(widths)} values",
            remedy="give one number in mm for all axes, or three, one for each axis of the image",
        )
    return widths


def _width(width: object, fwhm: object, name: str) -> float:
    if width is None:
        return 0.0
    kind, rule = ArgumentError, ""
    try:
        number = real_number(name, width)
    except ArgumentError as error:  # its message would speak of one number of three
        number = -1.0
        if isinstance(error, ArgumentTypeError):
            kind, rule = ArgumentTypeError, again(name) + " must be of type int or float: "
    if number < 0:
        raise kind(
            name,
            (
                f"{shown(fwhm)}, but a width must be a finite number of mm that is not negative, "
                "or None for no smoothing"
            ),
            remedy=rule + "give one number, or three, one for each axis of the image",
        )
    return number


def smooth_images(
    imgs: ImageLike | Iterable[ImageLike], fwhm: Fwhm
) -> Nifti1Image | list[Nifti1Image]:
    """Smooth one image, or each of several."""
    if isinstance(imgs, str | os.PathLike | SpatialImage):
        found = expanded(imgs, "imgs")
        if isinstance(found, list):
            sources = open_images(found, argument="imgs", at_least=1)
            return _smooth(found[0], sources, sigma_voxels(sources[0].grid, fwhm), fwhm)
        return _smooth(imgs, *_open(imgs, "imgs", fwhm), fwhm)
    if not np.iterable(imgs):
        raise ArgumentTypeError.about(
            "imgs",
            f"imgs must be an image (a file name or a nibabel image) or a list of images, but is a "
            f"{type(imgs).__name__}",
        )
    # All headers are read before any values, so that an error in the last image is known at once.
    opened = [
        (item, *_open(item, f"image {place} of imgs", fwhm))
        for place, item in enumerate(imgs, start=1)
    ]
    if not opened:
        raise ArgumentError("imgs", "empty", remedy="give at least one image")
    return [_smooth(*one, fwhm) for one in opened]


def _open(
    image: object, name: str, fwhm: Fwhm
) -> tuple[list[VolumeSource], tuple[float, float, float]]:
    """Open the volumes of an image, and find how far to smooth them."""
    if not isinstance(image, str | os.PathLike | SpatialImage):
        raise ArgumentTypeError.about(
            "imgs",
            f"{name} must be a file name or a nibabel image, but is a {type(image).__name__}",
        )
    with renamed(**{name: "imgs"}):
        sources = open_images(image, argument=name, at_least=1)
    return sources, sigma_voxels(sources[0].grid, fwhm)


def _smooth(
    image: ImageLike,
    sources: list[VolumeSource],
    sigma: tuple[float, float, float],
    fwhm: Fwhm,
) -> Nifti1Image:
    grid = sources[0].grid
    n_volumes = () if len(sources) == 1 else (len(sources),)
    # In Fortran order each volume is one run of memory, as in the file.
    data = np.empty((*grid.shape, *n_volumes), dtype=np.float32, order="F")
    if not _smooth_volumes(sources, sigma, data):
        data = data.astype(np.float64, order="F")
        _smooth_volumes(sources, sigma, data)
    # Only after reading: of damaged values, our reader says more than nibabel.
    smoothed = _image_on(grid, data, header_of(image))
    if max(sigma) > 0:
        smoothed.header["descrip"] = descrip_of(f"smoothed, FWHM {fwhm} mm")
    return smoothed


def _smooth_volumes(
    sources: list[VolumeSource], sigma: tuple[float, float, float], data: NDArray[Any]
) -> bool:
    """Fill the volumes of an array; False as soon as its type cannot hold a value."""
    rows = data.reshape(-1, len(sources), order="F").T
    return all(_smooth_volume(*one) for one in zip(sources, [sigma] * len(rows), rows, strict=True))


def _smooth_volume(
    source: VolumeSource, sigma: tuple[float, float, float], out: NDArray[Any]
) -> bool:
    """Read a volume and smooth it, in double where float32 could not hold what is read."""
    values: NDArray[Any] = out if source.dtype == out.dtype else np.empty(out.size, source.dtype)
    source.read_into(values)
    if np.isinf(values).any():
        raise ImageError(
            f"{source.name}: {counted(int(np.isinf(values).sum()), 'infinite value')}, which "
            "smoothing would spread; set to NaN (missing) or to a number"
        )
    _core.smooth_volume(values, source.grid.shape, sigma, 0)
    if values is out:
        return True
    return _core.narrow(values, out)


def _image_on(grid: Grid, data: NDArray[np.float32], header: Any) -> Nifti1Image:
    """Make an image, with what another image's header says of space and time."""
    is_nifti2 = isinstance(header, Nifti2Header) or max(data.shape) > NIFTI1_MAX_LENGTH
    image: Any = (Nifti2Image if is_nifti2 else Nifti1Image)(data, grid.affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")
    if isinstance(header, Nifti1Header):
        for field in _KEPT_FIELDS:
            image.header[field] = header[field]
        image.header["pixdim"][4:] = header["pixdim"][4:]
        code = int(header["sform_code"]) or int(header["qform_code"]) or 2
        image.header["sform_code"] = code
    return image  # type: ignore[no-any-return]
