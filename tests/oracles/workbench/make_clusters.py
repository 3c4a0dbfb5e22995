# SPDX-License-Identifier: BSD-3-Clause
"""Make ``clusters.npz`` beside this file anew, by the Connectome Workbench.

``python tests/oracles/workbench/make_clusters.py`` needs ``wb_command`` (Debian's package
connectome-workbench; the file was made with version 1.5.0). It holds smooth maps on the mesh
`reference.meshes.folded` of `LEVEL`, a region, and the maps' clusters and enhanced statistics.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from reference.meshes import folded, graph_of, write_surface  # noqa: E402

LEVEL = 3
N_MAPS = 4
POWERS = ((1.0, 2.0), (0.5, 2.0), (0.7, 1.0))
THRESHOLD, LEAST_AREA = 0.8, 300.0


def write_metric(path: Path, rows: Any) -> Path:
    gifti: Any = nib.gifti
    arrays = [gifti.GiftiDataArray(row.astype(np.float32), "NIFTI_INTENT_NONE") for row in rows]
    image = gifti.GiftiImage(darrays=arrays)
    image.meta["AnatomicalStructurePrimary"] = "CortexLeft"
    nib.save(image, path)
    return path


def smooth_maps(faces: Any, n_vertices: int) -> Any:
    """Draw maps of both signs, each smoother than the one before."""
    graph = graph_of(faces, n_vertices)
    n_beside = np.diff(graph.indptr)
    rng, maps = np.random.default_rng(8), []
    for number in range(N_MAPS):
        row = rng.standard_normal(n_vertices)
        for _ in range(number):
            row = (row + graph @ row) / (1 + n_beside)
        maps.append((1.5 * row / row.std()).astype(np.float32))
    return np.stack(maps)


def main() -> None:
    points, faces = folded(LEVEL)
    maps = smooth_maps(faces, len(points))
    region = points[:, 2] > -10
    tables: dict[str, Any] = {"maps": maps, "region": region}
    tables |= {"threshold": THRESHOLD, "least_area": LEAST_AREA}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        surface = write_surface(folder / "mesh.surf.gii", points, faces, side="left")
        metric = write_metric(folder / "maps.func.gii", maps)
        roi = write_metric(folder / "roi.func.gii", region[np.newaxis])
        out = folder / "out.func.gii"

        def made(command: str, *arguments: object) -> Any:
            words = ["wb_command", command, surface, metric, *arguments]
            subprocess.run([str(word) for word in words], check=True)  # noqa: S603
            return np.stack([array.data for array in nib.load(out).darrays])  # type: ignore[attr-defined]

        for e, h in POWERS:
            tables[f"tfce_{e}_{h}"] = made("-metric-tfce", out, "-parameters", e, h)
        tables["tfce_region"] = made("-metric-tfce", out, "-roi", roi)
        for least in (0.0, LEAST_AREA):
            find = ("-metric-find-clusters", THRESHOLD, least, out)
            tables[f"above_{least:g}"] = made(*find).astype(np.int32)
            below = ("-metric-find-clusters", -THRESHOLD, least, out, "-less-than")
            tables[f"below_{least:g}"] = made(*below).astype(np.int32)
        tables["above_region"] = made(
            "-metric-find-clusters", THRESHOLD, 0, out, "-roi", roi
        ).astype(np.int32)
    np.savez_compressed(HERE / "clusters.npz", **tables)


if __name__ == "__main__":
    main()
