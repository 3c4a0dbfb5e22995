# SPDX-License-Identifier: BSD-3-Clause
"""GIFTI files of the simulated surface studies; equal data give equal files, written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupglm.datasets.files import mark_of
from groupglm.runtime.writing import write_whole

__all__ = ["write_metric", "write_surface"]

_STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}


def write_metric(
    values: NDArray[np.float64] | NDArray[np.bool_], hemisphere: str, path: Path
) -> None:
    """Write one float32 value a vertex."""
    _write([(values.astype(np.float32), "NIFTI_INTENT_NONE", {})], hemisphere, path)


def write_surface(
    coordinates: NDArray[np.float64], faces: NDArray[np.int32], hemisphere: str, path: Path
) -> None:
    """Write a mesh: float32 coordinates in mm, and the vertices of each triangle."""
    kind = {"GeometricType": "Anatomical", "AnatomicalStructureSecondary": "MidThickness"}
    arrays = [
        (coordinates.astype(np.float32), "NIFTI_INTENT_POINTSET", kind),
        (faces, "NIFTI_INTENT_TRIANGLE", {"TopologicalType": "Closed"}),
    ]
    _write(arrays, hemisphere, path)


def _write(
    arrays: list[tuple[NDArray[Any], str, dict[str, str]]], hemisphere: str, path: Path
) -> None:
    from nibabel.gifti import gifti

    structure = {"AnatomicalStructurePrimary": _STRUCTURES[hemisphere]}
    make: Any = gifti.GiftiDataArray  # nibabel's constructors carry no types
    image: Any = gifti.GiftiImage(
        meta=gifti.GiftiMetaData({**structure, "Description": mark_of(*(a[0] for a in arrays))}),  # type: ignore[no-untyped-call]
        darrays=[
            make(own, intent, meta=gifti.GiftiMetaData({**structure, **said}))  # type: ignore[no-untyped-call]
            for own, intent, said in arrays
        ],
    )
    write_whole(path, image.to_bytes())
