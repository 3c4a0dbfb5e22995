# SPDX-License-Identifier: BSD-3-Clause
"""Says what to use in the place of ``nilearn.maskers``, which has no name here."""

from typing import TYPE_CHECKING

from groupglm.runtime.elsewhere import absent_names

__all__: list[str] = []

if not TYPE_CHECKING:  # a type checker would accept every name
    __getattr__ = absent_names(
        __name__,
        {
            "*Masker": "use nilearn.maskers.{name} beside groupglm: mask_img takes nilearn's "
            "maskers of voxels, fitted or not",
        },
    )
