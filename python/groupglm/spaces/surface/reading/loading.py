# SPDX-License-Identifier: BSD-3-Clause
"""nibabel's image of a file of one hemisphere: `image_of_file`."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np

from groupglm.spaces.surface.reading.sources import open_file
from groupglm.spaces.surface.writing import mgh_image

__all__ = ["image_of_file"]


def image_of_file(path: str, side: str) -> Any:
    """Read a file of one hemisphere whole.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or holds no values at vertices.
    """
    opened = open_file(path)
    if opened.form == "gifti":
        return nib.load(path)
    # nibabel would leave a .mgh open.
    rows = [opened.source(side, number, path).read() for number in range(opened.n_maps)]
    image = mgh_image(np.stack(rows) if len(rows) > 1 else rows[0], side, "", None)
    image.set_filename(path)
    return image
