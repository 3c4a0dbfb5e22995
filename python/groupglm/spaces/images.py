# SPDX-License-Identifier: BSD-3-Clause
"""The types of images that public functions take and return, for type checkers only.

Another kind of data adds its types here, and no signature above changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pandas as pd
    from nibabel.cifti2.cifti2 import Cifti2Image
    from nibabel.gifti.gifti import GiftiImage
    from nibabel.spatialimages import SpatialImage

    from groupglm.spaces.surface.maps import SurfaceMaps

    class SurfaceImage(Protocol):
        """Values and meshes of hemispheres, as nilearn's image of this name has them."""

        data: Any
        mesh: Any

    Image: TypeAlias = Any
    """Of the kind of the inputs, which only they tell: an image of nibabel, and so on."""

    ImageLike: TypeAlias = (
        str | os.PathLike[str] | SpatialImage | Cifti2Image
        | SurfaceImage | SurfaceMaps | GiftiImage | tuple[Any, ...] | Mapping[str, Any]
        | pd.Series[Any] | pd.DataFrame
    )  # fmt: skip

    __all__ = ["Image", "ImageLike"]
