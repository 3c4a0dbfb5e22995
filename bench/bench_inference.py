# SPDX-License-Identifier: BSD-3-Clause
"""From a z-map to what it shows, beside nilearn: thresholds, clusters, true discoveries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import nibabel as nib
import numpy as np
from make_maps import AFFINE, FULL, QUICK, Size, brain
from measure import HEAD, Row, clock, compare
from scipy import ndimage

Image: Any = nib.Nifti1Image  # nibabel is not typed throughout


def z_map(size: Size) -> tuple[Any, Any]:
    """Smooth noise with activation of either sign, and its mask."""
    inside = brain(size)
    z = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=size.shape), 1.5)
    z /= z[inside].std()
    third = [slice(n // 3, n // 2) for n in size.shape]
    z[third[0], third[1], third[2]] += 4.0
    z[third[0].stop :][: size.shape[0] // 8, third[1], third[2]] -= 4.0
    z = np.where(inside, z, 0).astype(np.float32)
    return Image(z, AFFINE), Image(inside.astype(np.uint8), AFFINE)


def row(
    work: str, ours: Callable[[], object], theirs: Callable[[], object], target: float, quick: bool
) -> Row:
    return compare(
        work,
        clock(ours, repeat=2 if quick else 7, warm_up=1),
        clock(theirs, repeat=1 if quick else 2),
        target=target,
    )


def bench(*, quick: bool) -> list[Row]:
    from nilearn.glm import cluster_level_inference, threshold_stats_img
    from nilearn.reporting import get_clusters_table

    import groupglm

    image, mask = z_map(QUICK if quick else FULL)
    fdr = {"mask_img": mask, "alpha": 0.05, "height_control": "fdr", "cluster_threshold": 10}
    table = {"stat_threshold": 3.0, "cluster_threshold": 10, "two_sided": True}
    bounds = {"mask_img": mask, "threshold": [2.3, 3.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn's, of a default to come
        return [
            row(
                "z-map: FDR, clusters of 10 voxels",
                partial(groupglm.threshold_stats_img, image, **fdr),
                partial(threshold_stats_img, image, **fdr),
                3,
                quick,
            ),
            row(
                "z-map: table of clusters, both tails",
                partial(groupglm.get_clusters_table, image, **table),
                partial(get_clusters_table, image, **table),
                20,
                quick,
            ),
            row(
                "z-map: true discoveries at two thresholds",
                partial(groupglm.cluster_level_inference, image, **bounds),
                partial(cluster_level_inference, image, **bounds),
                2,
                quick,
            ),
        ]


if __name__ == "__main__":
    print(HEAD)
    for line in bench(quick=False):
        print(line)
