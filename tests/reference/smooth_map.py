# SPDX-License-Identifier: BSD-3-Clause
"""A smooth map of both signs, for plots of maps."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

AFFINE = np.array([[4.0, 0, 0, -40], [0, 4, 0, -44], [0, 0, 4, -36], [0, 0, 0, 1]])
SHAPE = (20, 22, 18)
PLACES = (-20.0, 16.0, 12.0)


def image(values: Any) -> Any:
    return nib.Nifti1Image(np.asarray(values, np.float32), AFFINE)  # type: ignore[no-untyped-call]


def _values() -> NDArray[Any]:
    smooth = gaussian_filter(np.random.default_rng(5).standard_normal(SHAPE), 2.0)
    return np.asarray(8 * smooth / np.abs(smooth).max())


VALUES = _values()
MAP = image(VALUES)
