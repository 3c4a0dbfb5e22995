# SPDX-License-Identifier: BSD-3-Clause
"""
How much of a cluster is active? True discovery proportions
===========================================================

A significant cluster has *some* effect, but most of its voxels may have none, above all in a wide
cluster. All-resolution inference answers the question of a reader of a cluster table: how many of
these voxels are active, at least? The bounds of all clusters, at all thresholds, and of every
region that you choose later are true together.
"""

# %%
# The data
# --------
# There are thirty subjects, and three places with a true effect: a strong one, a weak and wide one,
# and a negative one. All other voxels have no effect.
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
# Clusters are voxels with z above 2. At each voxel of a cluster, the image holds the least
# proportion of the cluster that is active, with 95 % confidence for all clusters at once.
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
# All bounds are true together, so you can use several thresholds. A higher threshold gives smaller
# clusters inside the larger ones. A larger proportion of them is active: the effect is *located*.
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
# takes such an image. The last column is known only because the data are simulated. The bound must
# not exceed it. The table leaves out clusters of fewer than 50 voxels.
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
# You may choose regions after you have seen the map, and they may overlap. Here they are spheres
# about the true peaks, of the size of the effects. ``two_sided=True`` tests the negative tail too.
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
# * To read a bound as an estimate. "At least 40 %" also allows that all of the cluster is active. A
#   bound of zero does not say that there is no effect.
# * To read the significance of a cluster as this bound. A cluster that passes a permutation test of
#   its size has an effect in at least *one* voxel, but the test does not say in which.
# * To change ``alpha`` after you have seen the result. (You may choose the threshold whose bounds
#   look best: the guarantee covers every threshold.)
#
# The method assumes Simes' inequality, as the false discovery rate does. It is true for smooth
# Gaussian noise whose correlations are positive.
#
# On real data: take any z map, for instance that of ``SecondLevelModel`` fitted to the maps of
# ``nilearn.datasets.fetch_localizer_contrasts(["left vs right button press"], n_subjects=20)``.
folder.cleanup()
