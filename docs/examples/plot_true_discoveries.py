# SPDX-License-Identifier: BSD-3-Clause
"""
How much of a cluster is active? True discovery proportions
===========================================================

A cluster that is significant as a whole holds *some* effect; it may still consist mostly of
voxels without any, the more so the wider it is. All-resolution inference answers the question
that a reader of a cluster table has: how many of these voxels are active, at least? The bounds of
all clusters, at all thresholds, and of any region you may think of later hold together.
"""

# %%
# The data
# --------
# Thirty subjects, and three places with a true effect: a strong one, a weak and wide one, and a
# negative one. Every other voxel has exactly none.
import tempfile

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    get_clusters_table,
    true_discovery_bounds,
)
from groupglm.datasets import simulate_one_sample_study
from groupglm.plotting import plot_stat_map

# sphinx_gallery_thumbnail_number = 2
folder = tempfile.TemporaryDirectory()
study = simulate_one_sample_study(folder.name, n_subjects=30)
truth = study.truth["intercept"].get_fdata()
model = SecondLevelModel(mask_img=study.mask_img)
model.fit(study.paths, design_matrix=study.design_matrix)
z_map = model.compute_contrast("intercept")

# %%
# A lower bound for each cluster
# ------------------------------
# The image holds, at each voxel of a cluster of z above 2, the proportion of the cluster that is
# active at least, with 95 % confidence for all clusters at once.
proportions = cluster_level_inference(
    z_map, mask_img=study.mask_img, threshold=2.0, alpha=0.05
)
plot_stat_map(
    proportions,
    mask_img=study.mask_img,
    cut_coords=study.effects["motor"].peak,
    vmax=1.0,
    title="clusters of z > 2",
    label="proportion truly active, at least",
)

# %%
# Because all bounds hold together, looking at several thresholds is free. Higher ones cut smaller
# clusters out of the larger, of which a larger proportion is active: so an effect is *located*.
several = cluster_level_inference(
    z_map, mask_img=study.mask_img, threshold=[2.0, 3.0, 4.0], alpha=0.05
)
plot_stat_map(
    several,
    mask_img=study.mask_img,
    cut_coords=study.effects["motor"].peak,
    vmax=1.0,
    title="clusters of z > 2, 3 and 4",
    label="proportion truly active, at least",
)

# %%
# The same in numbers, beside the truth
# -------------------------------------
# ``get_clusters_table`` returns the clusters as an image of numbers, and ``true_discovery_bounds``
# takes such an image. The last column is known only because the data are simulated; the bound
# must not exceed it. Clusters of fewer than 50 voxels are left out of the table.
rows = []
for threshold in (2.0, 3.0, 4.0):
    table, (labels,) = get_clusters_table(
        z_map, threshold, cluster_threshold=50, return_label_maps=True
    )
    bounds = true_discovery_bounds(z_map, labels, mask_img=study.mask_img, alpha=0.05)
    for region, voxels, found, share in bounds.itertuples(index=False):
        active = np.mean(truth[labels.get_fdata() == region] > 0)
        rows.append(
            [threshold, region, voxels, found, round(share, 2), round(active, 2)]
        )
compared = pd.DataFrame(
    rows,
    columns=[
        "z above",
        "cluster",
        "voxels",
        "active, at least",
        "as a proportion",
        "in truth",
    ],
)
compared

# %%
# Any region of your own
# ----------------------
# Regions may be chosen after looking at the map, and may overlap. Here a sphere about each true
# peak, of the size of the effect; and the negative tail too, with ``two_sided=True``.
grid = np.stack(np.meshgrid(*map(np.arange, truth.shape), indexing="ij"), axis=-1)
affine = z_map.affine
mm = grid @ affine[:3, :3].T + affine[:3, 3]
spheres = {}
for name, effect in study.effects.items():
    near = np.linalg.norm(mm - effect.peak, axis=-1) <= effect.fwhm / 2
    inside = near & (study.mask_img.get_fdata() > 0)
    spheres[name] = nib.Nifti1Image(inside.astype(np.uint8), affine)
spheres["the whole brain"] = study.mask_img
regions = true_discovery_bounds(
    z_map, spheres, mask_img=study.mask_img, alpha=0.05, two_sided=True
)
regions

# %%
# Common mistakes
# ---------------
# * Reading a bound as an estimate. "At least 40 %" is compatible with all of the cluster being
#   active; a bound of zero does not say that nothing is there.
# * Reading cluster-wise significance as if it were this bound: a cluster that survives a
#   permutation test of its size has an effect in *one* voxel at least, and nobody knows in which.
# * Choosing one threshold because its bounds look best and fearing that this was cheating. It was
#   not: the guarantee covers every threshold. Changing ``alpha`` after the fact would be.
#
# The method assumes what the false discovery rate assumes, that Simes' inequality holds, as it
# does for smooth Gaussian noise whose correlations are positive.
#
# On real data: take any z map, for instance that of ``SecondLevelModel`` fitted to the maps of
# ``nilearn.datasets.fetch_localizer_contrasts(["left vs right button press"], n_subjects=20)``.
folder.cleanup()
