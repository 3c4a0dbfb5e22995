# SPDX-License-Identifier: BSD-3-Clause
"""Images of other kinds of data, which are recognised where volumes are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groupglm.errors import ImageError

__all__ = ["refuse_other_spaces", "refuse_shape_of_other_space", "unread_kind"]

_GRAYORDINATES = "grayordinates (CIFTI)"
_TYPES = {
    "Cifti2Image": _GRAYORDINATES,
    "GiftiImage": "data of a surface (GIFTI)",
    "SurfaceImage": "data of a surface",
    "SurfaceMaps": "data of a surface",
}
_NAMES = (
    (re.compile(r"\.[dp](scalar|tseries|label|[dp]?conn|conns\w+)\.nii(\.gz)?$"), _GRAYORDINATES),
    (re.compile(r"\.gii(\.gz)?$"), "data of a surface (GIFTI)"),
)
_NOT_HERE = "a volume is wanted here, as the other images are; give images of one kind"


def unread_kind(item: object) -> str | None:
    """Return what another package's object holds, if it is known and not made of voxels."""
    found = _TYPES.get(type(item).__name__)
    return None if found is None else f"{found}, and {_NOT_HERE}"


def refuse_other_spaces(name: str) -> None:
    """Refuse a file whose name shows that it is of grayordinates or of a surface."""
    for pattern, kind in _NAMES:
        if pattern.search(name.lower()):
            raise ImageError(f"{name}: holds {kind}, and {_NOT_HERE}")


def refuse_shape_of_other_space(name: str, shape: Sequence[int]) -> None:
    """Refuse shapes that no volume has: axes of CIFTI, or a FreeSurfer file's row of vertices."""
    if len(shape) > 5 and tuple(shape[:4]) == (1, 1, 1, 1):
        raise ImageError(
            f"{name}: holds {_GRAYORDINATES}, but its name does not say so; give it a name that "
            "ends in .dscalar.nii"
        )
    is_row = len(shape) > 2 and shape[0] > 1 and tuple(shape[1:3]) == (1, 1)
    if is_row and name.lower().endswith((".mgh", ".mgz")):
        raise ImageError(
            f"{name}: holds {shape[0]} values in one row, as data of a surface do, and {_NOT_HERE}"
        )
