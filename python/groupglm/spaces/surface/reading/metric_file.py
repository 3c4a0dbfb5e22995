# SPDX-License-Identifier: BSD-3-Clause
"""One value for each vertex, such as its area or depth, whole from a file: `read_metric`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from groupglm.errors import ImageError
from groupglm.runtime.paths import check_path
from groupglm.spaces.surface.reading.sources import open_file, open_image_in_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_metric"]


def read_metric(given: Any, name: str) -> NDArray[Any]:
    """Read the one map of a file of GIFTI or FreeSurfer, or of nibabel's image.

    Parameters
    ----------
    given : path or nibabel's image
        The file.
    name : str
        Its name in messages if it is no file.

    Returns
    -------
    array, shape (n_vertices,)
        The values, not to be written to.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or holds a surface or several maps.
    """
    if isinstance(given, str | os.PathLike):
        check_path(name, os.fspath(given), ImageError)
        path = os.path.expanduser(os.fspath(given))  # noqa: PTH111
        opened = open_file(path, packed=True)
    else:
        opened = open_image_in_memory(given, name)
    if opened.n_maps != 1:
        raise ImageError(
            f"{opened.name}: holds {opened.n_maps} maps, but one is wanted; give a file of one map"
        )
    return opened.source(opened.told_side or "left", 0, opened.name).read()
