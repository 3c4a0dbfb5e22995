# SPDX-License-Identifier: BSD-3-Clause
"""Write maps of hemispheres to files, whole or not at all."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.regular_files import make_folder
from groupglm.runtime.writing import write_whole
from groupglm.spaces.surface.reading.pairing import hemisphere_files
from groupglm.spaces.surface.reading.surface_image import is_surface_image
from groupglm.spaces.surface.writing import gifti_image, mgh_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["save_map", "save_pair"]

_ENDINGS = (".gii", ".mgh", ".mgz")


def save_map(image: Any, path: Path) -> Path:
    """Save a map under the name that a user gives it: one file, or one for each hemisphere."""
    if is_surface_image(image):
        arrays = {side: np.asarray(values).T for side, values in image.data.parts.items()}
        save_pair(arrays, path)
    elif hasattr(image, "parts"):  # SurfaceMaps
        save_pair(image.parts, path)
    else:
        _save_one(image, "left", path)
    return path


def save_pair(images: Mapping[str, Any], path: Path) -> tuple[Path, ...]:
    """Save the image, or the values, of each hemisphere in a file of its own."""
    names = hemisphere_files(path)
    return tuple(_save_one(image, side, names[side]) for side, image in images.items())


def _save_one(image: Any, side: str, path: Path) -> Path:
    name = path.name.lower()
    if not name.endswith(_ENDINGS):
        raise ArgumentError.about(
            "path",
            f"the name of a map of a surface must end in {', '.join(_ENDINGS)}, but "
            f"{in_quotes(os.fspath(path))} does not",
            "use for instance .func.gii",
        )
    make_folder(path.parent)
    as_gifti = name.endswith(".gii")
    if hasattr(image, "darrays") != as_gifti:
        values = _values(image)
        image = (gifti_image if as_gifti else mgh_image)(values, side, "", None)
    # Double, of what single cannot hold, is none of GIFTI's own types, but programs read it.
    data: bytes = image.to_bytes(mode="force") if as_gifti else image.to_bytes()
    if name.endswith(".mgz"):
        data = gzip.compress(data, 6, mtime=0)  # equal maps make equal files
    return write_whole(path, data)


def _values(image: Any) -> NDArray[Any]:
    """Return the values of an image, or of an array, shape (n_vertices,) or (k, n_vertices)."""
    if isinstance(image, np.ndarray):
        return image
    if hasattr(image, "darrays"):
        rows = np.stack([array.data for array in image.darrays])
        return rows[0] if len(rows) == 1 else rows
    values = np.asanyarray(image.dataobj)[:, 0, 0]
    return np.asarray(values.T)
