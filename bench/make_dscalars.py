# SPDX-License-Identifier: BSD-3-Clause
"""Write the CIFTI files that `bench_surfaces.py` reads: a dscalar of grayordinates a subject.

The cortex has 29,696 and 29,716 of 32,492 vertices, and a box of voxels stands for the subcortex,
as in the files of 91,282 grayordinates of the Human Connectome Project. The same seed writes the
same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel.cifti2
import numpy as np
from make_maps import AFFINE

nib: Any = nibabel  # typed only in part


@dataclass(frozen=True)
class Grayordinates:
    """Vertices of a hemisphere, how many have values on either side, voxels, and files."""

    n_vertices: int
    left: int
    right: int
    n_voxels: int
    n_files: int


FULL = Grayordinates(32_492, 29_696, 29_716, 31_870, 100)
QUICK = Grayordinates(642, 600, 610, 300, 12)
_SHAPE = (91, 109, 91)


def axis(size: Grayordinates) -> Any:
    """Return what the grayordinates are."""
    made = nib.cifti2.BrainModelAxis
    sides = (("left", size.left), ("right", size.right))
    cortex = [
        made.from_surface(np.arange(n), size.n_vertices, name=f"cortex_{side}") for side, n in sides
    ]
    box = np.zeros(_SHAPE, dtype=bool)
    box.flat[: size.n_voxels] = True
    return cortex[0] + cortex[1] + made.from_mask(box, affine=AFFINE, name="thalamus_left")


def make_dscalars(folder: Path, size: Grayordinates = FULL) -> list[Path]:
    """Write the files that are not there yet; return their paths."""
    grayordinates = axis(size)
    folder = folder / f"{size.n_files}-dscalars-of-{len(grayordinates)}-grayordinates"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"sub-{i:03d}.dscalar.nii" for i in range(size.n_files)]
    for i, path in enumerate(paths):
        if path.exists():
            continue
        values = np.random.default_rng([4, i]).standard_normal((1, len(grayordinates)), np.float32)
        scalars = nib.cifti2.ScalarAxis(["effect"])
        image = nib.Cifti2Image(values, header=(scalars, grayordinates))
        # Under another name first: an interrupted run leaves no half file behind.
        partial = path.with_name(f"partial-{path.name}")
        nib.save(image, partial)
        partial.rename(path)
    return paths
