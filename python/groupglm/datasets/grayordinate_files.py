# SPDX-License-Identifier: BSD-3-Clause
"""CIFTI files of the simulated surface study; equal data give equal files, written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.files import mark_of
from groupglm.runtime.writing import write_whole

__all__ = ["DscalarWriter"]

_STRUCTURES = ("CORTEX_LEFT", "CORTEX_RIGHT")


class DscalarWriter:
    """Write maps of both hemispheres as one file each, without the medial walls.

    Parameters
    ----------
    inside : array of bool, shape (n_vertices,)
        Which vertices of either hemisphere are cortex.
    """

    def __init__(self, inside: NDArray[np.bool_]) -> None:
        import nibabel

        self._cifti: Any = nibabel.cifti2  # which has no types
        left, right = (
            self._cifti.BrainModelAxis.from_mask(inside, name=name) for name in _STRUCTURES
        )
        scalars = self._cifti.ScalarAxis(["effect"])
        self._inside = inside
        self._header = self._cifti.Cifti2Header.from_axes((scalars, left + right))

    def write(self, values: NDArray[np.float64], path: Path) -> None:
        """Write a map, shape (2, n_vertices): left, right; as float32."""
        data = np.concatenate([half[self._inside] for half in values]).astype(np.float32)
        image = self._cifti.Cifti2Image(data[np.newaxis], self._header, dtype=np.float32)
        image.nifti_header.set_intent("ConnDenseScalar")
        image.nifti_header["descrip"] = mark_of(data)
        write_whole(path, image.to_bytes())
