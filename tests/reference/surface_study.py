# SPDX-License-Identifier: BSD-3-Clause
"""A small study on both hemispheres, in files, for tests of what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reference.meshes import folded, write_metric, write_surface

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SIDES", "SurfaceStudy", "surface_study"]

SIDES = ("left", "right")


@dataclass(frozen=True)
class SurfaceStudy:
    """Pairs of files, and the design.

    Parameters
    ----------
    images : list of (Path, Path)
        The metric files of each subject, left and right.
    surfaces : tuple of 2 Paths
        The surfaces, left and right.
    design : pandas.DataFrame
        Columns "group", "age" and "intercept".
    """

    images: list[tuple[Path, Path]]
    surfaces: tuple[Path, Path]
    design: pd.DataFrame


def surface_study(folder: Path, level: int, n_subjects: int) -> SurfaceStudy:
    """Simulate subjects of two groups, which differ on the outside of both hemispheres.

    The second group is higher there on the left, and lower on the right. Vertices that lie deep
    between the hemispheres have no values. Surfaces are those of `folded`.
    """
    rng = np.random.default_rng(5)
    design = pd.DataFrame(
        {
            "group": np.arange(n_subjects) % 2.0,
            "age": rng.normal(0, 9, n_subjects),
            "intercept": 1.0,
        }
    )
    surfaces, effects, inside = [], [], []
    for side, sign in zip(SIDES, (1, -1), strict=True):
        points, faces = folded(level, side)
        surfaces.append(write_surface(folder / f"{side}.surf.gii", points, faces, side=side))
        outermost = points[np.abs(points[:, 0]).argmax()]
        distance = np.linalg.norm(points - outermost, axis=1)
        effects.append(6 * sign * np.exp(-((distance / 18) ** 2)))
        inside.append(np.abs(points[:, 0]) > 6)
    images = []
    for subject, group in enumerate(design["group"]):
        pair = []
        for number, letter in enumerate("LR"):
            noise = rng.standard_normal(len(effects[number]))
            values = (group * effects[number] + noise) * inside[number]
            file = folder / f"sub-{subject:02d}_hemi-{letter}_effect.func.gii"
            pair.append(write_metric(file, values.astype(np.float32)))
        images.append((pair[0], pair[1]))
    return SurfaceStudy(images, (surfaces[0], surfaces[1]), design)
