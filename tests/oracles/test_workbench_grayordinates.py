# SPDX-License-Identifier: BSD-3-Clause
"""Clusters of grayordinates beside the Connectome Workbench's and scipy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from groupglm import get_clusters_table
from groupglm.spaces.surface.mesh import Mesh
from oracles.workbench.make_grayordinates import (
    LEAST_AREA,
    LEVEL,
    THRESHOLD,
    axis_of,
)
from reference.meshes import folded, graph_of

nib: Any = nibabel  # typed only in part
STORED = np.load(Path(__file__).parent / "workbench" / "grayordinates.npz")


@pytest.fixture
def axis() -> Any:
    return axis_of(STORED["left"], STORED["right"], STORED["structures"])


@pytest.fixture
def surfaces() -> dict[str, Mesh]:
    # The Workbench read the coordinates from files of single precision.
    found = {}
    for side in ("left", "right"):
        points, faces = folded(LEVEL, side)
        found[side] = Mesh(side, points.astype(np.float32), faces, "anatomical")
    return found


def _same_partition(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    """Return whether places have equal labels in one where they have in the other."""
    pairs = set(zip(found.tolist(), wanted.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(wanted.tolist()))


def test_clusters_are_those_of_the_workbench(axis: Any, surfaces: dict[str, Mesh]) -> None:
    image = nib.Cifti2Image(
        STORED["values"][np.newaxis], header=(nib.cifti2.ScalarAxis(["map"]), axis)
    )
    table, maps = get_clusters_table(
        image, THRESHOLD, return_label_maps=True, surfaces=surfaces, min_distance=1000.0
    )
    labels: Any = maps[0]
    assert isinstance(labels, nib.Cifti2Image)
    assert labels.header.get_axis(1) == axis
    found = labels.get_fdata()[0].astype(int)
    areas = np.zeros(len(axis))
    for side, mesh in surfaces.items():
        own = axis.name == f"CIFTI_STRUCTURE_CORTEX_{side.upper()}"
        areas[own] = mesh.areas[axis.vertex[own]]
    cortex, labels_there = axis.surface_mask, STORED["labels"]
    totals = np.bincount(found[cortex], areas[cortex], minlength=found.max() + 1)
    kept = np.where((found > 0) & (totals[found] >= LEAST_AREA), found, 0)
    assert (labels_there[cortex] > 0).sum() > 200
    assert _same_partition(kept[cortex], labels_there[cortex])
    # The Workbench breaks some clusters of voxels; it joins none, and they are the same voxels.
    voxels, voxels_there = found[~cortex], labels_there[~cortex]
    np.testing.assert_array_equal(voxels > 0, voxels_there > 0)
    pairs = set(zip(voxels.tolist(), voxels_there.tolist(), strict=True))
    assert len(pairs) == len(set(voxels_there.tolist()))
    # Each cluster is in the table, by the file's names of structures.
    assert len(table) == len(np.unique(found)) - 1
    names = ["CORTEX_LEFT", "CORTEX_RIGHT", "THALAMUS_LEFT", "CAUDATE_LEFT"]
    assert set(table["Structure"]) == set(names)


def test_clusters_are_those_of_scipy(axis: Any, surfaces: dict[str, Mesh]) -> None:
    values = STORED["values"].astype(float)
    image = nib.Cifti2Image(values[np.newaxis], header=(nib.cifti2.ScalarAxis(["map"]), axis))
    _, maps = get_clusters_table(image, THRESHOLD, return_label_maps=True, surfaces=surfaces)
    found = maps[0].get_fdata()[0].astype(int)
    passes, wanted = values >= THRESHOLD, np.zeros(len(axis), int)
    for side, mesh in surfaces.items():
        own = np.flatnonzero((axis.name == f"CIFTI_STRUCTURE_CORTEX_{side.upper()}") & passes)
        vertices = axis.vertex[own]
        graph = graph_of(mesh.faces.astype(np.intp), mesh.n_vertices)[vertices][:, vertices]
        wanted[own] = 1 + wanted.max() + connected_components(graph, directed=False)[1]
    own = np.flatnonzero(~axis.surface_mask)
    whole = np.zeros(STORED["structures"].shape, bool)
    whole[tuple(axis.voxel[own].T)] = passes[own]
    labels, _ = scipy.ndimage.label(whole)  # neighbours share a face
    there = labels[tuple(axis.voxel[own].T)]
    wanted[own] = np.where(there > 0, there + wanted.max(), 0)
    assert _same_partition(found, wanted)
