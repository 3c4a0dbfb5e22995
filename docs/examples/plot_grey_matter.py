# SPDX-License-Identifier: BSD-3-Clause
"""
Voxel-based morphometry: age and sex on grey matter
===================================================

Where does grey matter shrink with age, and where do women and men differ? The maps hold the volume
of grey matter in each voxel. Men have larger heads, and therefore more grey matter everywhere. If
you leave head size out, you find a difference of the sexes in the whole brain.
"""

# %%
# The data
# --------
# Eighty subjects of 18 to 90 years, with age, sex and the total intracranial volume (TIV) of each.
# The simulated truth: in the left frontal cortex grey matter shrinks by 0.003 a year, in the right
# temporal cortex women have 0.13 more, and everywhere it grows in proportion to the TIV.
import tempfile

import numpy as np
import pandas as pd

from groupglm import SecondLevelModel, get_clusters_table, threshold_stats_img
from groupglm.datasets import simulate_grey_matter_study
from groupglm.plotting import (
    plot_design_correlation,
    plot_histogram,
    plot_peak,
    plot_stat_map,
)

# sphinx_gallery_thumbnail_number = 3
folder = tempfile.TemporaryDirectory()
study = simulate_grey_matter_study(folder.name, n_subjects=80)
study.participants.groupby("sex")[["age", "tiv"]].agg(["count", "mean", "std"]).round(
    2
)

# %%
# The mask
# --------
# Only voxels with grey matter are of interest, and only they should count in the correction for the
# number of tests. Here the mask has the voxels whose mean is 0.2 or more. This is the mean map.
plot_stat_map(
    study.truth["intercept"],
    mask_img=study.mask_img,
    cut_coords=(-36, 54, 18),
    title="mean over subjects",
    label="grey matter, volume in a voxel (fraction)",
)

# %%
# The design
# ----------
# Age and TIV are centred, so that the intercept is a man of mean age and head size. Sex and TIV
# correlate; look before you fit.
people = study.participants
design = pd.DataFrame(
    {
        "age": people["age"] - people["age"].mean(),
        "female": (people["sex"] == "F").astype(float),
        "tiv": people["tiv"] - people["tiv"].mean(),
        "intercept": 1.0,
    }
)
plot_design_correlation(design)

# %%
# Age
# ---
# A negative slope is atrophy. Thresholded by Bonferroni's bound over the voxels of the mask:
model = SecondLevelModel(mask_img=study.mask_img)
model.fit(study.paths, design_matrix=design)
z_age = model.compute_contrast("age")
age_map, bound = threshold_stats_img(
    z_age, mask_img=study.mask_img, height_control="bonferroni", alpha=0.05
)
plot_stat_map(
    age_map,
    mask_img=study.mask_img,
    cut_coords=study.effects["age"].peak,
    title=f"age: |z| > {bound:.2f} (Bonferroni, 0.05)",
)

# %%
# Statistics say where an effect is; effects say how large it is. The slope is in the unit of the
# maps per year, so you can compare it with the truth.
slope = model.compute_contrast("age", output_type="effect_size")
inside = study.mask_img.get_fdata() > 0
truth = study.truth["age"].get_fdata()
print("correlation of the estimated and the true slope over voxels:", end=" ")
print(round(np.corrcoef(slope.get_fdata()[inside], truth[inside])[0, 1], 2))
plot_stat_map(
    slope,
    mask_img=study.mask_img,
    cut_coords=study.effects["age"].peak,
    vmax=0.004,
    title="age: estimated slope",
    label="change of grey matter a year",
)

# %%
plot_stat_map(
    study.truth["age"],
    mask_img=study.mask_img,
    cut_coords=study.effects["age"].peak,
    vmax=0.004,
    title="age: true slope",
    label="change of grey matter a year",
)

# %%
# Every subject at the true peak, without the effects of sex and head size; age is in years from the
# mean:
plot_peak(
    study.paths,
    design,
    "age",
    position=study.effects["age"].peak,
    title=f"at {study.effects['age'].peak} mm",
    label="grey matter (fraction)",
)

# %%
# Sex, with head size in the model
# --------------------------------
# The coefficient of ``female`` is women minus men *of the same head size*.
z_sex = model.compute_contrast("female")
sex_map, _ = threshold_stats_img(
    z_sex, mask_img=study.mask_img, height_control="bonferroni", alpha=0.05
)
plot_stat_map(
    sex_map,
    mask_img=study.mask_img,
    cut_coords=study.effects["female"].peak,
    title="women minus men, head size in the model (Bonferroni, 0.05)",
)

# %%
table = get_clusters_table(z_sex, bound, two_sided=False)
table

# %%
# A common mistake: head size left out
# ------------------------------------
# The same test without TIV finds the opposite nearly everywhere: men have more grey matter. This is
# because their heads are larger, and says nothing about any place in the brain.
without_tiv = SecondLevelModel(mask_img=study.mask_img)
without_tiv.fit(study.paths, design_matrix=design.drop(columns="tiv"))
z_without = without_tiv.compute_contrast("female")
map_without, _ = threshold_stats_img(
    z_without, mask_img=study.mask_img, height_control="fdr", alpha=0.05
)
plot_stat_map(
    map_without,
    mask_img=study.mask_img,
    cut_coords=study.effects["female"].peak,
    title="women minus men, head size left out (false discovery rate 0.05)",
)

# %%
# The histogram of z is the quickest check. With a real, local effect it stays on the curve. A
# variable that acts everywhere moves the whole histogram.
plot_histogram(
    z_without.get_fdata()[inside], title="women minus men, head size left out"
)

# %%
median_z = pd.Series(
    {
        "head size in the model": np.median(z_sex.get_fdata()[inside]),
        "head size left out": np.median(z_without.get_fdata()[inside]),
    },
    name="median z over the mask",
)
median_z.round(2).to_frame()

# %%
# More mistakes that are easily made
# ----------------------------------
# * To test outside grey matter. Where maps are nearly zero in all subjects, so is their variance,
#   and z can be anything.
# * To divide the maps by TIV *and* to put TIV into the design. Do one of them.
# * To use a straight line for age over a lifetime, without a look at the data. ``age`` squared is
#   one more column, and one F contrast tests both:
#   :ref:`sphx_glr_auto_examples_plot_covariates.py`.
#
# On real data: ``nilearn.datasets.fetch_oasis_vbm(n_subjects=100)`` has ``gray_matter_maps`` and,
# in ``ext_vars``, ``age``, ``mf`` (sex) and ``etiv``. A mask is
# ``nilearn.datasets.fetch_icbm152_brain_gm_mask()``, brought to the maps' grid by
# ``groupglm.resample_to(mask, maps[0], interpolation="nearest")``.
folder.cleanup()
