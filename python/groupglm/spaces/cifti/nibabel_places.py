# SPDX-License-Identifier: BSD-3-Clause
"""The places of a CIFTI matrix, of nibabel's objects and back."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

from groupglm.spaces.cifti.brain_models import STRUCTURE, GivenModel, GivenVolume, brain_axis
from groupglm.spaces.cifti.parcel_axis import GivenParcel, ParcelAxis, parcel_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.cifti.axes import BrainAxis
    from groupglm.spaces.volume.grid import Grid

__all__ = ["brain_mapping", "parcel_mapping", "places_of_mapping"]

cifti2: Any = nibabel.cifti2  # which has no types


def places_of_mapping(mapping: Any, kind: str) -> BrainAxis | ParcelAxis:
    """Return the axis that nibabel's object describes: of "BRAIN_MODELS" or "PARCELS"."""
    volume = mapping.volume
    if volume is not None:
        affine = volume.transformation_matrix_voxel_indices_ijk_to_xyz
        volume = GivenVolume(
            tuple(volume.volume_dimensions), np.asarray(affine.matrix), int(affine.meter_exponent)
        )
    if kind == "PARCELS":
        surfaces = [
            (str(one.brain_structure), int(one.surface_number_of_vertices))
            for one in mapping.surfaces
        ]
        return parcel_axis([_parcel(one) for one in mapping.parcels], surfaces, volume)
    return brain_axis([_model(one) for one in mapping.brain_models], volume)


def _model(model: Any) -> GivenModel:
    is_surface = model.model_type == "CIFTI_MODEL_TYPE_SURFACE"

    def indices() -> NDArray[np.int64] | None:
        if not is_surface:
            return _ijk(model.voxel_indices_ijk)
        vertices = model.vertex_indices
        return None if vertices is None else np.array(vertices[:], np.int64)

    return GivenModel(
        str(model.brain_structure),
        is_surface,
        int(model.index_offset),
        int(model.index_count),
        int(model.surface_number_of_vertices or 0),
        indices,
    )


def _ijk(voxels: Any) -> NDArray[np.int64] | None:
    return None if voxels is None else np.array(list(voxels), np.int64).reshape(-1, 3)


def _parcel(parcel: Any) -> GivenParcel:
    vertices = [(str(v.brain_structure), np.array(v[:], np.int64)) for v in parcel.vertices]
    voxels = _ijk(parcel.voxel_indices_ijk)
    return GivenParcel(
        str(parcel.name or ""), vertices, np.empty((0, 3), np.int64) if voxels is None else voxels
    )


def brain_mapping(axis: BrainAxis) -> bytes:
    """Return nibabel's object for an axis, pickled: each image gets a copy of its own."""
    parts = _volume(axis.grid)
    for model in axis.models:
        kind = "VOXELS" if model.n_vertices is None else "SURFACE"
        made = cifti2.Cifti2BrainModel(
            model.first,
            len(model.indices),
            f"CIFTI_MODEL_TYPE_{kind}",
            STRUCTURE + model.structure,
            model.n_vertices,
        )
        if model.n_vertices is not None:
            made.vertex_indices = cifti2.Cifti2VertexIndices(model.indices.tolist())
        else:
            made.voxel_indices_ijk = _voxels(model.indices, axis.grid)
        parts.append(made)
    return _pickled("BRAIN_MODELS", parts)


def parcel_mapping(axis: ParcelAxis) -> bytes:
    """Return nibabel's object for an axis of parcels, pickled."""
    parts = _volume(axis.grid)
    for structure, n_vertices in axis.surfaces:
        parts.append(cifti2.Cifti2Surface(STRUCTURE + structure, n_vertices))
    for number, name in enumerate(axis.table.names):
        own = axis.content[axis.content[:, 0] == number]
        vertices = [
            cifti2.Cifti2Vertices(STRUCTURE + structure, own[own[:, 1] == place, 2].tolist())
            for place, (structure, _) in enumerate(axis.surfaces)
            if (own[:, 1] == place).any()
        ]
        voxels = own[own[:, 1] < 0, 2]
        ijk = _voxels(voxels, axis.grid) if len(voxels) else None
        parts.append(cifti2.Cifti2Parcel(name, ijk, vertices))
    return _pickled("PARCELS", parts)


def _volume(grid: Grid | None) -> list[Any]:
    if grid is None:
        return []
    affine = cifti2.Cifti2TransformationMatrixVoxelIndicesIJKtoXYZ(-3, grid.affine.copy())
    return [cifti2.Cifti2Volume(grid.shape, affine)]


def _voxels(indices: NDArray[np.int64], grid: Any) -> Any:
    ijk = np.stack(np.unravel_index(indices, grid.shape, order="F"), axis=-1)
    return cifti2.Cifti2VoxelIndicesIJK(ijk.tolist())


def _pickled(kind: str, parts: list[Any]) -> bytes:
    mapping = cifti2.Cifti2MatrixIndicesMap((1,), f"CIFTI_INDEX_TYPE_{kind}", maps=parts)
    return pickle.dumps(mapping, pickle.HIGHEST_PROTOCOL)
