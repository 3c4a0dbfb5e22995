# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error of random field theory over null sets of smooth noise: run as a program.

    python tests/reference/familywise_fields.py --sets 1000 --fwhm 4

Each set has images of smooth Gaussian noise, whose smoothness is estimated anew, and one t. It
counts how often any peak, and any cluster above p < 0.001, has a corrected p of at most 0.05.
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
from scipy import ndimage, special

from groupglm.inference.random_fields.images import smoothness_of_rows
from groupglm.inference.random_fields.p_values import cluster_p, peak_p
from groupglm.spaces.volume import Grid
from groupglm.spaces.volume.space import VolumeSpace

ALPHA = 0.05


def false_positives(
    n_sets: int, fwhm: float, *, side: int = 20, n_images: int = 16, seed: int = 0
) -> tuple[int, int]:
    """Return in how many sets any peak, and any cluster, is significant."""
    rng = np.random.default_rng(seed)
    pad, sigma = math.ceil(1.5 * fwhm), fwhm / math.sqrt(8 * math.log(2))
    space = VolumeSpace(Grid((side,) * 3, np.eye(4)))
    df = n_images - 1.0
    forming = -float(special.stdtrit(df, 0.001))
    peaks = clusters = 0
    for _ in range(n_sets):
        wide = rng.standard_normal((n_images, *(side + 2 * pad,) * 3), dtype=np.float32)
        smooth = ndimage.gaussian_filter(wide, (0, sigma, sigma, sigma))
        rows = smooth[:, pad:-pad, pad:-pad, pad:-pad].reshape(n_images, -1).astype(np.float64)
        mean = rows.mean(axis=0)
        t = mean / rows.std(axis=0, ddof=1) * math.sqrt(n_images)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the noise is only", UserWarning)
            found = smoothness_of_rows(iter(rows - mean), space, df)
        peaks += bool(peak_p([t.max()], "t", df, found)[0] <= ALPHA)
        labels, n_clusters = ndimage.label(t.reshape((side,) * 3) > forming)
        if n_clusters:
            largest = np.bincount(labels.ravel())[1:].max()
            clusters += bool(cluster_p([largest], forming, "t", df, found)[0][0] <= ALPHA)
    return peaks, clusters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--fwhm", type=float, default=4.0)
    parser.add_argument("--images", type=int, default=16)
    given = parser.parse_args()
    peaks, clusters = false_positives(given.sets, given.fwhm, n_images=given.images)
    limit = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / given.sets)
    print(f"FWHM {given.fwhm:g} voxels, {given.images} images, {given.sets} sets")
    print(
        f"peaks {peaks / given.sets:.4f}, clusters {clusters / given.sets:.4f}; limit {limit:.4f}"
    )


if __name__ == "__main__":
    main()
