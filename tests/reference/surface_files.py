# SPDX-License-Identifier: BSD-3-Clause
"""Small files of values at vertices, for tests."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

nib: Any = nibabel  # typed only in part

N = {"left": 30, "right": 25}
LETTERS = {"left": "L", "right": "R"}


def rows(n_images: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Values of each hemisphere, shape (n_images, n_vertices)."""
    rng = np.random.default_rng(seed)
    return {side: rng.standard_normal((n_images, n)).astype(np.float32) for side, n in N.items()}


def gifti(values: NDArray[Any], structure: str = "", intent: str = "NIFTI_INTENT_NONE") -> Any:
    """A GIFTI image of one map, or of one for each row."""
    meta = nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": structure} if structure else {})
    arrays = [
        nib.gifti.GiftiDataArray(row, intent=intent, datatype=row.dtype)
        for row in np.atleast_2d(values)
    ]
    return nib.GiftiImage(darrays=arrays, meta=meta)


def write_gifti(path: Path, values: NDArray[Any], **how: Any) -> Path:
    """A GIFTI file of one map, or of one for each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    gifti(values, **how).to_filename(path)
    return path


def pairs_of_files(folder: Path, n_images: int) -> dict[str, list[Path]]:
    """Files of both hemispheres of some subjects, by side."""
    values = rows(n_images)
    return {
        side: [
            write_gifti(folder / f"sub-{k + 1:02}_hemi-{letter}_effect.func.gii", values[side][k])
            for k in range(n_images)
        ]
        for side, letter in LETTERS.items()
    }


def write_curvature(path: Path, values: NDArray[Any]) -> Path:
    """A FreeSurfer file without ending, as ``lh.thickness``."""
    header = b"\xff\xff\xff" + struct.pack(">iii", len(values), 2 * len(values) - 4, 1)
    path.write_bytes(header + values.astype(">f4").tobytes())
    return path


def gifti_text(
    values: NDArray[Any],
    *,
    encoding: str = "GZipBase64Binary",
    endian: str = "LittleEndian",
    external: str = "",
    n: int | None = None,
    intent: str = "NIFTI_INTENT_NONE",
    kind: str = "NIFTI_TYPE_FLOAT32",
    before: str = "",
    data: str | None = None,
) -> str:
    """The text of a GIFTI file of one array, right or wrong as the arguments have it."""
    raw = values.astype("<f4" if endian == "LittleEndian" else ">f4").tobytes()
    if data is None:
        data = {
            "GZipBase64Binary": base64.b64encode(zlib.compress(raw)).decode(),
            "Base64Binary": base64.b64encode(raw).decode(),
            "ASCII": " ".join(map(repr, values.tolist())),
        }.get(encoding, "")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{before}<GIFTI Version="1.0" NumberOfDataArrays="1"><MetaData/><LabelTable/>
<DataArray Intent="{intent}" DataType="{kind}" ArrayIndexingOrder="RowMajorOrder"
 Dimensionality="1" Dim0="{len(values) if n is None else n}" Encoding="{encoding}"
 Endian="{endian}" ExternalFileName="{external}" ExternalFileOffset="0"><MetaData/>
<Data>{data}</Data></DataArray></GIFTI>
"""
