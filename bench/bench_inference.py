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
from measure import HEAD, Row, clock, compare, show
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


LABEL_SECONDS = 0.05


def label_row(image: Any, size: Size, *, quick: bool) -> Row:
    """Return the row about naming the places of a table of 100 clusters; nilearn has no such."""
    from groupglm import load_atlas
    from groupglm.inference.cluster_regions import with_regions
    from groupglm.inference.cluster_table import tabulate_clusters
    from groupglm.inference.found_clusters import n_clusters

    blocks = [np.arange(n) // 12 for n in size.shape]
    labels = 1 + blocks[0][:, None, None] + 10 * blocks[1][:, None] + 100 * blocks[2]
    atlas = load_atlas(Image(labels.astype(np.int16), AFFINE))
    values = np.abs(np.asarray(image.dataobj))
    steps = np.sort(values[values > 0])[::-1]
    for threshold in np.quantile(steps, np.linspace(0.9999, 0.9, 40)):
        found = tabulate_clusters(image, float(threshold), two_sided=True)
        if n_clusters(found.table) >= 100:
            break
    time = clock(partial(with_regions, found, atlas), repeat=2 if quick else 7, warm_up=1)
    met = time.median <= LABEL_SECONDS
    count = n_clusters(found.table)
    work = f"z-map: places of a table of {count} clusters named by an atlas"
    return Row(work, show(time), "", "", f"{LABEL_SECONDS:g} s", met)


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
            label_row(image, QUICK if quick else FULL, quick=quick),
        ]


if __name__ == "__main__":
    print(HEAD)
    for line in bench(quick=False):
        print(line)
