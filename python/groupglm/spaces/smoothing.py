# SPDX-License-Identifier: BSD-3-Clause
"""The public function that smooths images of every kind of data: `smooth_img`."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, overload

from groupglm.errors import warn_caller
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

    from groupglm.spaces.images import ImageLike
    from groupglm.spaces.volume.smoothing import Fwhm

__all__ = ["smooth_img"]


@overload
def smooth_img(  # type: ignore[overload-overlap]  # a str is also an iterable of str
    imgs: ImageLike, fwhm: Fwhm, *, surfaces: Any = None, areas: Any = None
) -> Nifti1Image: ...
@overload
def smooth_img(
    imgs: Iterable[ImageLike], fwhm: Fwhm, *, surfaces: Any = None, areas: Any = None
) -> list[Nifti1Image]: ...
@overload
def smooth_img(imgs: Any, fwhm: Fwhm, *, surfaces: Any = None, areas: Any = None) -> Any: ...
def smooth_img(imgs: Any, fwhm: Fwhm, *, surfaces: Any = None, areas: Any = None) -> Any:
    """Smooth images: volumes with a Gaussian kernel, surfaces on their meshes.

    The kernel is cut off at four standard deviations, and a volume is mirrored at its faces, as
    SciPy and nilearn do. Missing values (NaN) stay missing and take part in no average: a voxel
    beside them gets the weighted mean of the values that are there [1]_. (In nilearn, NaN counts as
    zero, which pulls the edge of the brain towards zero.)

    A vertex of a surface becomes the mean of itself and its neighbours, as often as FreeSurfer's
    rule says for the width and the mean area of a vertex [2]_. Missing values are in no mean.

    Parameters
    ----------
    imgs : image or iterable of images
        File names or nibabel images, 3-D or 4-D. Each volume of a 4-D image is smoothed by itself.
        The images may be on different grids. The files of a pattern, such as
        ``"sub-*_effect.nii.gz"``, are the volumes of one image, in the order of their names.
        Images of surfaces come in every form that `SecondLevelModel.fit` takes.
    fwhm : float, sequence of 3 floats, or None
        Full width at half maximum of the kernel in mm, for all axes, or for each axis of the image.
        None or 0, also in a sequence, means no smoothing. One number on surfaces.
    surfaces, areas : optional
        The meshes of images of surfaces that have none, such as files, and the areas of their
        vertices, as `SecondLevelModel` takes them.

    Returns
    -------
    nibabel.nifti1.Nifti1Image, an image of surfaces, or list of them
        Images of the same shape and affine, or on the same meshes and of the type of the inputs; a
        list if `imgs` is a list. Volumes are float32, or float64 if float32 cannot hold the values.
        The header keeps units, repetition time and coordinate system.

    Raises
    ------
    TypeError
        If `imgs` holds something else than images.
    ValueError
        If `imgs` is empty, or `fwhm` is negative, not finite, neither one number nor three, or more
        than ten times the image's longest edge, or than a surface is long; if surfaces have no
        mesh, or `imgs` are of a kind that cannot be smoothed.
    groupglm.errors.ImageError
        If an image cannot be read, is not of real numbers, or holds an infinite value.

    Warns
    -----
    UserWarning
        If `fwhm` is the number 0: None says that nothing shall be smoothed.

    References
    ----------
    .. [1] H. Knutsson and C.-F. Westin, "Normalized and differential convolution", CVPR 1993,
       pp. 515-523.
    .. [2] FreeSurfer's ``mris_fwhm``; D. J. Hagler, A. P. Saygin and M. I. Sereno, "Smoothing and
       cluster thresholding for cortical surface-based group analysis of fMRI data", NeuroImage 33
       (2006), pp. 1093-1103.

    Examples
    --------
    >>> import numpy as np
    >>> import nibabel as nib
    >>> import groupglm
    >>> data = np.zeros((5, 5, 5), np.float32)
    >>> data[2, 2, 2] = 1.0
    >>> smooth = groupglm.smooth_img(nib.Nifti1Image(data, np.diag([2.0, 2.0, 2.0, 1.0])), 4.0)
    >>> smooth.get_fdata()[2, 2, :].round(4)
    array([0.0067, 0.0518, 0.1036, 0.0518, 0.0067])
    """
    if isinstance(fwhm, Real) and fwhm == 0:
        warn_caller(
            f"fwhm is specified as {fwhm!r}. Setting it to None says the same: nothing is smoothed"
        )
    return kind_of(imgs).smooth_images(imgs, fwhm, Geometry(surfaces, areas))
