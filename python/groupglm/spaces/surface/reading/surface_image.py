# SPDX-License-Identifier: BSD-3-Clause
"""Images of surfaces in memory, such as nilearn's ``SurfaceImage``, known by their members.

nilearn is not imported: such an image is what has ``data.parts`` and ``mesh.parts``, mappings of
"left" and "right" to the values of a hemisphere and to its mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError
from groupglm.runtime.arguments import real_array
from groupglm.spaces.surface.reading.pairing import SIDES
from groupglm.spaces.surface.reading.sources import ArraySource, Hemisphere

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hemispheres_of_image", "is_surface_image", "n_axes_of"]


def is_surface_image(given: object) -> bool:
    """Return whether an object has the values and the meshes of hemispheres."""
    return all(
        isinstance(getattr(getattr(given, name, None), "parts", None), Mapping)
        for name in ("data", "mesh")
    )


def n_axes_of(image: Any) -> int:
    """Return how many axes the values have: one for one map, two for several."""
    return int(next(iter(image.data.parts.values())).ndim)


def hemispheres_of_image(image: Any, name: str) -> dict[str, Hemisphere]:
    """Return the hemispheres of an image, whose values are not copied."""
    found = {}
    for side, values in image.data.parts.items():
        if side not in SIDES:
            raise ImageError(f"{name}: has a part {side!r}; hemispheres are 'left' and 'right'")
        mesh = image.mesh.parts.get(side)
        data = values if isinstance(values, np.ndarray) and values.dtype.kind in "fiu" else None
        if data is None:
            data = real_array(f"{name}, {side}", values, missing=True)
        if data.ndim not in (1, 2) or not data.size:
            raise ImageError(
                f"{name}: the values of its {side} hemisphere have the shape {data.shape}; they "
                "need one value for each vertex, and one column for each map"
            )
        found[side] = Hemisphere(
            f"{name}, {side}",
            len(data),
            1 if data.ndim == 1 else data.shape[1],
            side,
            "surface_image",
            _Columns(data, mesh),
        )
    if not found:
        raise ImageError(f"{name}: has no hemisphere; it needs 'left' or 'right', or both")
    return {side: found[side] for side in SIDES if side in found}


class _Columns:
    """Makes the source of a map of its column."""

    def __init__(self, data: NDArray[Any], mesh: Any) -> None:
        self._data, self._mesh = data, mesh

    def __call__(self, side: str, number: int, name: str) -> ArraySource:
        values = self._data if self._data.ndim == 1 else self._data[:, number]
        return ArraySource(name, side, values, self._mesh)
