# SPDX-License-Identifier: BSD-3-Clause
"""Make ``geometry.npz`` beside this file anew, by the Connectome Workbench.

``python tests/oracles/workbench/make_geometry.py`` needs ``wb_command`` (Debian's package
connectome-workbench; the file was made with version 1.5.0). It holds areas of vertices and
distances from some of them, in mm, on the mesh `reference.meshes.folded` of `LEVEL`.
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

from reference.meshes import folded, write_surface  # noqa: E402

LEVEL = 3
STARTS = (0, 17, 400)


def main() -> None:
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        surface, out = Path(name, "mesh.surf.gii"), Path(name, "out.func.gii")
        write_surface(surface, *folded(LEVEL), side="left")

        def made(command: str, *arguments: object) -> Any:
            words = ["wb_command", command, surface, *arguments]
            subprocess.run([str(word) for word in words], check=True)  # noqa: S603
            return nib.load(out).darrays[0].data  # type: ignore[attr-defined]

        tables["areas"] = made("-surface-vertex-areas", out)
        for start in STARTS:
            command = "-surface-geodesic-distance"
            tables[f"edges_from_{start}"] = made(command, start, out, "-naive")
            tables[f"triangles_from_{start}"] = made(command, start, out)
    np.savez_compressed(HERE / "geometry.npz", **tables)


if __name__ == "__main__":
    main()
