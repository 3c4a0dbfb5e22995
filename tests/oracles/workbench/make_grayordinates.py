# SPDX-License-Identifier: BSD-3-Clause
"""Make ``grayordinates.npz`` beside this file anew, by the Connectome Workbench.

``python tests/oracles/workbench/make_grayordinates.py`` needs ``wb_command`` (Debian's package
connectome-workbench; the file was made with version 1.5.0). It holds a map of grayordinates on the
meshes `reference.meshes.folded` of `LEVEL`, and the clusters in it. That version breaks some
clusters of voxels in two, also by ``-volume-find-clusters``, although two of their voxels share a
face. Its clusters of vertices are whole.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from reference.meshes import folded, graph_of, write_surface  # noqa: E402

LEVEL, SHAPE = 3, (9, 8, 7)
AFFINE = np.array([[-2.0, 0, 0, 8], [0, 2, 0, -8], [0, 0, 2, -6], [0, 0, 0, 1]])
THRESHOLD, LEAST_AREA = 0.7, 60.0
EVERY_VOXEL = 0.0  # mm3: no cluster of voxels is too small
nib: Any = nibabel  # typed only in part


def axis_of(left: Any, right: Any, structures: Any) -> Any:
    """Return nibabel's axis of vertices of both hemispheres and of the voxels of two structures."""
    models = nib.cifti2.BrainModelAxis
    n_vertices = len(folded(LEVEL)[0])
    axis = models.from_surface(left, n_vertices, "CORTEX_LEFT")
    axis = axis + models.from_surface(right, n_vertices, "CORTEX_RIGHT")
    for number, name in ((1, "thalamus_left"), (2, "caudate_left")):
        axis = axis + models.from_mask(structures == number, name, AFFINE)
    return axis


def main() -> None:
    rng = np.random.default_rng(12)
    faces = folded(LEVEL)[1]
    n_vertices = len(folded(LEVEL)[0])
    left, right = (np.flatnonzero(rng.random(n_vertices) < 0.9) for _ in range(2))
    # Structures side by side, so that a cluster of voxels reaches over both.
    structures = np.where(np.arange(SHAPE[0])[:, None, None] < 4, 1, 2) * (rng.random(SHAPE) < 0.8)
    axis = axis_of(left, right, structures)
    graph = graph_of(faces.astype(np.intp), n_vertices)
    whole = rng.standard_normal((2, n_vertices))
    smooth = (whole.T + graph @ whole.T).T / (1 + np.diff(graph.indptr))
    values = [smooth[0][left] * 2.5, smooth[1][right] * 2.5]
    values.append(rng.standard_normal(len(axis) - len(left) - len(right)))
    row = np.concatenate(values).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = nib.Cifti2Image(row[np.newaxis], header=(nib.cifti2.ScalarAxis(["map"]), axis))
        image.nifti_header.set_intent("ConnDenseScalar")
        image.to_filename(folder / "map.dscalar.nii")
        surfaces = [
            write_surface(folder / f"{side}.surf.gii", *folded(LEVEL, side), side=side)
            for side in ("left", "right")
        ]
        command = [
            "wb_command", "-cifti-find-clusters", folder / "map.dscalar.nii", THRESHOLD, LEAST_AREA,
            THRESHOLD, EVERY_VOXEL, "COLUMN", folder / "out.dscalar.nii", "-left-surface",
            surfaces[0], "-right-surface", surfaces[1], "-merged-volume",
        ]  # fmt: skip
        subprocess.run([str(word) for word in command], check=True)  # noqa: S603
        labels = nib.load(folder / "out.dscalar.nii").get_fdata()[0]
    np.savez_compressed(
        HERE / "grayordinates.npz",
        left=left, right=right, structures=structures.astype(np.uint8), values=row,
        labels=labels.astype(np.int32),
    )  # fmt: skip


if __name__ == "__main__":
    main()
