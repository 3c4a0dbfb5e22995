# SPDX-License-Identifier: BSD-3-Clause
"""The types of images that public functions take and return, for type checkers only.

Another kind of data adds its types here, and no signature above changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

    from groupglm.spaces.volume import ImageLike

    Image: TypeAlias = Nifti1Image

    __all__ = ["Image", "ImageLike"]
