# SPDX-License-Identifier: BSD-3-Clause
"""CIFTI-2 files written by hand, so that any byte of them can be wrong."""

from __future__ import annotations

import struct
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

AFFINE = "-2 0 0 90\n0 2 0 -126\n0 0 2 -72\n0 0 0 1"
VERTICES = (0, 2, 3, 5)
VOXELS = ((0, 0, 0), (1, 0, 0), (2, 3, 1))
MORE_VOXELS = ((0, 1, 0), (0, 0, 1))
N_PLACES = len(VERTICES) + len(VOXELS) + len(MORE_VOXELS)
CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64}


def surface(
    first: int = 0,
    count: int | None = None,
    vertices: tuple[int, ...] | None = VERTICES,
    n_vertices: int = 6,
    structure: str = "CORTEX_LEFT",
) -> str:
    """Return the XML of a brain model of a surface."""
    listed = (
        "" if vertices is None else f"<VertexIndices>{' '.join(map(str, vertices))}</VertexIndices>"
    )
    number = len(vertices or ()) if count is None else count
    return (
        f'<BrainModel IndexOffset="{first}" IndexCount="{number}" BrainStructure='
        f'"CIFTI_STRUCTURE_{structure}" ModelType="CIFTI_MODEL_TYPE_SURFACE" '
        f'SurfaceNumberOfVertices="{n_vertices}">{listed}</BrainModel>'
    )


def voxels(
    first: int,
    ijk: tuple[tuple[int, int, int], ...],
    structure: str = "THALAMUS_LEFT",
    count: int | None = None,
) -> str:
    """Return the XML of a brain model of voxels."""
    listed = "\n".join(" ".join(map(str, one)) for one in ijk)
    return (
        f'<BrainModel IndexOffset="{first}" IndexCount="{len(ijk) if count is None else count}" '
        f'BrainStructure="CIFTI_STRUCTURE_{structure}" ModelType="CIFTI_MODEL_TYPE_VOXELS">'
        f"<VoxelIndicesIJK>{listed}</VoxelIndicesIJK></BrainModel>"
    )


MODELS = surface() + voxels(4, VOXELS) + voxels(7, MORE_VOXELS, "PUTAMEN_LEFT")


def volume(dimensions: str = "3,4,2", affine: str = AFFINE, exponent: str = "-3") -> str:
    """Return the XML of the volume of the voxels."""
    return (
        f'<Volume VolumeDimensions="{dimensions}"><TransformationMatrixVoxelIndicesIJKtoXYZ '
        f'MeterExponent="{exponent}">{affine}</TransformationMatrixVoxelIndicesIJKtoXYZ></Volume>'
    )


def axis(dimension: str, kind: str, inside: str = "", more: str = "") -> str:
    """Return the XML of an axis of the matrix."""
    return (
        f'<MatrixIndicesMap AppliesToMatrixDimension="{dimension}" IndicesMapToDataType='
        f'"CIFTI_INDEX_TYPE_{kind}" {more}>{inside}</MatrixIndicesMap>'
    )


def scalars(n_maps: int = 1, names: str = "map") -> str:
    """Return the XML of an axis of maps."""
    named = "".join(f"<NamedMap><MapName>{names} {n}</MapName></NamedMap>" for n in range(n_maps))
    return axis("0", "SCALARS", named)


def series(n_maps: int) -> str:
    """Return the XML of an axis of time points."""
    return axis(
        "0", "SERIES", "",
        f'NumberOfSeriesPoints="{n_maps}" SeriesExponent="0" SeriesStart="0" SeriesStep="1" '
        'SeriesUnit="SECOND"',
    )  # fmt: skip


def xml(maps: str = "", models: str = MODELS, space: str | None = None, before: str = "") -> bytes:
    """Return the XML of a file of grayordinates; `before` comes before its root."""
    places = axis("1", "BRAIN_MODELS", (volume() if space is None else space) + models)
    inside = f"<Matrix>{maps or scalars()}{places}</Matrix>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<CIFTI Version="2">{inside}</CIFTI>'
    ).encode()


PARCEL_SURFACES = (
    '<Surface BrainStructure="CIFTI_STRUCTURE_CORTEX_LEFT" SurfaceNumberOfVertices="9"/>'
    '<Surface BrainStructure="CIFTI_STRUCTURE_CORTEX_RIGHT" SurfaceNumberOfVertices="7"/>'
)


def parcel(name: str, left: str = "", right: str = "", voxels: str = "") -> str:
    """Return the XML of a parcel of vertices of both hemispheres and of voxels."""
    inside = "".join(
        f'<Vertices BrainStructure="CIFTI_STRUCTURE_CORTEX_{side}">{text}</Vertices>'
        for side, text in (("LEFT", left), ("RIGHT", right))
        if text
    )
    inside += f"<VoxelIndicesIJK>{voxels}</VoxelIndicesIJK>" if voxels else ""
    return f'<Parcel Name="{name}">{inside}</Parcel>'


PARCELS_OF_FILE = (
    parcel("V1", "0 1 2"),
    parcel("V2", "4 8"),
    parcel("thalamus", voxels="0 0 0\n2 3 1"),
    parcel("left &amp; right", "5", "6 0"),
)


def parcel_xml(
    parts: str = "".join(PARCELS_OF_FILE), maps: str = "", space: str | None = None
) -> bytes:
    """Return the XML of a file of parcels."""
    inside = PARCEL_SURFACES + (volume() if space is None else space) + parts
    return xml().split(b"<Matrix>")[0] + (
        f"<Matrix>{maps or scalars()}{axis('1', 'PARCELS', inside)}</Matrix></CIFTI>".encode()
    )


def cifti(
    text: bytes | None = None,
    values: NDArray[Any] | None = None,
    *,
    dtype: str = "f4",
    order: Literal["<", ">"] = "<",
    slope: float = 1.0,
    inter: float = 0.0,
    fields: dict[int, tuple[str, Any]] | None = None,
    extension: tuple[int | None, int] = (None, 32),
) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    text : bytes, optional
        The XML.
    values : array, shape (n_maps, n_places), optional
        Before they are scaled.
    dtype, order : str
        The stored type, "f4" or another key of `CODES`, and the byte order, "<" or ">".
    slope, inter : float
        The header's scaling.
    fields : dict, optional
        Fields of the header that are wrong: the offset of each with its type and value.
    extension : pair of int
        The size that the extension declares (None: its own), and its code.
    """
    text = xml() if text is None else text
    values = np.arange(1.0, N_PLACES + 1)[np.newaxis] if values is None else values
    n_bytes = -(-(8 + len(text)) // 16) * 16
    header = bytearray(540)
    known: dict[int, tuple[str, Any]] = {
        0: ("i", 540), 12: ("h", CODES[dtype]), 14: ("h", np.dtype(dtype).itemsize * 8),
        168: ("q", 544 + n_bytes), 176: ("d", slope), 184: ("d", inter), 504: ("i", 3006),
    }  # fmt: skip
    known |= {104 + 8 * place: ("d", 1.0) for place in range(8)}  # sizes, which CIFTI does not use
    for place, length in enumerate((6, 1, 1, 1, 1, *values.shape, 1)):
        known[16 + 8 * place] = ("q", length)
    for offset, (kind, value) in (known | (fields or {})).items():
        struct.pack_into(order + kind, header, offset, value)
    header[4:12] = b"n+2\0\r\n\x1a\n"
    declared = n_bytes if extension[0] is None else extension[0]
    before = struct.pack(f"{order}2i", declared, extension[1]) + text.ljust(n_bytes - 8, b"\0")
    stored = np.ascontiguousarray(values.T).astype(np.dtype(dtype).newbyteorder(order))
    return bytes(header) + b"\1\0\0\0" + before + stored.tobytes()
