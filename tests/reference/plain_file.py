# SPDX-License-Identifier: BSD-3-Clause
"""A small volume, the bytes of its uncompressed file, and all that we read of a file."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from groupglm.spaces.volume import open_image

nib: Any = nibabel  # typed only in part

SHAPE = (11, 12, 13)
DATA = np.random.default_rng(0).normal(size=SHAPE).astype("<f4")
PLAIN: bytes = nib.Nifti1Image(DATA, np.eye(4)).to_bytes()
EXPECTED = DATA.ravel(order="F")


def read(image: Any) -> NDArray[Any]:
    source = open_image(image)
    out = np.empty(source.grid.n_voxels, source.dtype)
    source.read_into(out)
    return out
