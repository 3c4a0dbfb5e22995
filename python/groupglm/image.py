# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: the operations on images of ``nilearn.image`` that are here."""

from typing import TYPE_CHECKING

from groupglm import math_img, resample_img, resample_to_img, smooth_img
from groupglm.runtime.elsewhere import absent_names
from groupglm.spaces.volume.arithmetic import get_data

__all__ = ["get_data", "math_img", "resample_img", "resample_to_img", "smooth_img"]

if not TYPE_CHECKING:  # a type checker would accept every name
    _BESIDE = "use nilearn.image.{name} beside groupglm: both take and return nibabel's images"
    __getattr__ = absent_names(
        __name__,
        {
            "threshold_img": "groupglm.threshold_stats_img(img, height_control=None, threshold=3)",
            "*_img": _BESIDE,
            "*_imgs": _BESIDE,
            "*_niimg*": _BESIDE,
            "coord_transform": "nibabel.affines.apply_affine turns indices into mm",
            "high_variance_confounds": _BESIDE,
            "new_img_like": "nibabel.Nifti1Image(values, image.affine) makes an image",
            "swap_img_hemispheres": _BESIDE,
        },
    )
