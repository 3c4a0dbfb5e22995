# SPDX-License-Identifier: BSD-3-Clause
"""
Which voxels are significant? Thresholds and their errors
=========================================================

A statistic map has a value in every voxel, but a result has to say where there is an effect. The
choice of the threshold decides which kind of error is rare. This example applies three controls to
the same map: a false positive rate, a false discovery rate and Bonferroni's bound. The truth is
known, so it counts the errors of each.
"""

# %%
# The data
# --------
# Twenty subjects pressed a button. Their maps have a true effect in three places, one of them
# negative, and smooth noise of standard deviation 1 everywhere. All other voxels have no effect.
import tempfile

import numpy as np
import pandas as pd

from groupglm import SecondLevelModel, get_clusters_table, threshold_stats_img
from groupglm.datasets import simulate_one_sample_study
from groupglm.plotting import plot_histogram, plot_stat_map

# sphinx_gallery_thumbnail_number = 2
folder = tempfile.TemporaryDirectory()
study = simulate_one_sample_study(folder.name, n_subjects=20, seed=1)
truth = study.truth["intercept"].get_fdata()
pd.DataFrame(
    [
        [name, *effect.peak, effect.height, effect.fwhm]
        for name, effect in study.effects.items()
    ],
    columns=["effect", "x (mm)", "y (mm)", "z (mm)", "height (SD)", "FWHM (mm)"],
)

# %%
# The map to threshold
# --------------------
# One column of ones asks whether the mean over subjects differs from zero. The map must be of
# z-scores, which is what ``compute_contrast`` returns by default: thresholds are computed from the
# normal distribution.
model = SecondLevelModel(mask_img=study.mask_img)
model.fit(study.paths, design_matrix=study.design_matrix)
z_map = model.compute_contrast("intercept")

# %%
# First look at the whole distribution. Most voxels follow the normal curve, because they have no
# effect. Both tails are heavier than the curve.
inside = study.mask_img.get_fdata() > 0
_, fpr_threshold = threshold_stats_img(alpha=0.001, height_control="fpr")
plot_histogram(
    z_map.get_fdata()[inside],
    threshold=fpr_threshold,
    title="z in all voxels of the brain",
)

# %%
# Three controls, one map
# -----------------------
# * ``"fpr"``: of the voxels *without* an effect, a share of ``alpha`` passes, here one in a
#   thousand. There is no correction for the number of voxels.
# * ``"fdr"``: of the voxels that *pass*, at most a share of ``alpha`` is false, on average
#   (Benjamini and Hochberg). The threshold depends on the map.
# * ``"bonferroni"``: with a probability of ``1 - alpha``, *no* voxel without an effect passes.
#
# Both tails share ``alpha``, unless ``two_sided=False``.
controls = {
    "fpr, alpha 0.001": {"height_control": "fpr", "alpha": 0.001},
    "fdr, alpha 0.05": {"height_control": "fdr", "alpha": 0.05},
    "bonferroni, alpha 0.05": {"height_control": "bonferroni", "alpha": 0.05},
    "fpr, alpha 0.001, 10 voxels": {
        "height_control": "fpr",
        "alpha": 0.001,
        "cluster_threshold": 10,
    },
}
active = truth != 0
thresholded, counts = {}, {}
for name, control in controls.items():
    thresholded[name], threshold = threshold_stats_img(
        z_map, mask_img=study.mask_img, **control
    )
    found = thresholded[name].get_fdata() != 0
    counts[name] = {
        "threshold (z)": round(threshold, 2),
        "voxels found": found.sum(),
        "of these false": (found & ~active).sum(),
        "false share": round((found & ~active).sum() / max(found.sum(), 1), 3),
        "active voxels found": f"{(found & active).sum() / active.sum():.0%}",
    }
pd.DataFrame(counts).T

# %%
# The table shows what each control promises. At one in a thousand, a few dozen of the 26,500 voxels
# without an effect pass, as expected; on a grid of 2 mm it would be hundreds. The false discovery
# rate keeps the false share near five in a hundred. This is the average over studies: one study may
# have twice as many, or none. With Bonferroni's bound no false voxel passes, but most of the weak,
# wide effect is missed.
plot_stat_map(
    thresholded["fpr, alpha 0.001"],
    mask_img=study.mask_img,
    threshold=fpr_threshold,
    cut_coords=study.effects["motor"].peak,
    title="false positive rate 0.001, uncorrected",
)

# %%
plot_stat_map(
    thresholded["bonferroni, alpha 0.05"],
    mask_img=study.mask_img,
    cut_coords=study.effects["motor"].peak,
    title="Bonferroni, 0.05",
)

# %%
# And the truth, in the same planes:
plot_stat_map(
    study.truth["intercept"],
    mask_img=study.mask_img,
    cut_coords=study.effects["motor"].peak,
    title="the truth",
    label="true effect (standard deviations)",
)

# %%
# Reporting clusters
# ------------------
# The table lists each cluster's peak in mm and its size. With ``two_sided=True`` the negative tail
# follows the positive one.
_, fdr_threshold = threshold_stats_img(
    z_map, mask_img=study.mask_img, height_control="fdr", alpha=0.05
)
table = get_clusters_table(z_map, fdr_threshold, cluster_threshold=10, two_sided=True)
table

# %%
# How far is each true peak from the nearest one in the table?
positions = table[["X", "Y", "Z"]].to_numpy()
distances = {
    name: np.linalg.norm(positions - effect.peak, axis=1).min()
    for name, effect in study.effects.items()
}
pd.Series(distances, name="distance to the nearest peak found (mm)").round(
    1
).to_frame()

# %%
# A common mistake
# ----------------
# Removing clusters of fewer than ten voxels from an uncorrected map (the last row of the first
# table) looks like a correction, but it is none. How large a cluster grows by chance depends on the
# smoothness of the data, and a limit of ten voxels has no error rate. To test the extent of
# clusters, use a permutation test: see :ref:`sphx_glr_auto_examples_plot_one_sample.py`.
#
# Another mistake is to use the false discovery rate for one cluster. It is the share of false
# voxels among *all* voxels found, and all voxels of a small cluster may be false. For statements
# about one cluster see :ref:`sphx_glr_auto_examples_plot_true_discoveries.py`.
#
# On real data: ``nilearn.datasets.fetch_localizer_contrasts(["left vs right button press"],
# n_subjects=20)`` downloads maps of the same kind; give its ``cmaps`` to ``fit``, and leave
# ``mask_img`` out.
folder.cleanup()
