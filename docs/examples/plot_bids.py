# SPDX-License-Identifier: BSD-3-Clause
"""
From a BIDS data set to the group
=================================

A BIDS data set has preprocessed runs, events and a table of participants. nilearn fits the run of
each subject (the first level). ``groupglm`` fits the group to these models: does reading words
activate more than looking at symbols, and does this change with age?

This example needs nilearn, but ``groupglm`` itself does not.
"""

# %%
# The data set
# ------------
# Twelve subjects read words and symbols in blocks. The folder has the shape that fMRIPrep leaves:
# events beside the subjects, preprocessed runs in a data set of derivatives.
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from nilearn.glm.first_level import first_level_from_bids
from nilearn.maskers import NiftiMasker

from groupglm import SecondLevelModel, get_clusters_table, threshold_stats_img
from groupglm.datasets import simulate_bids_study
from groupglm.plotting import (
    plot_design_matrix,
    plot_glass_brain,
    plot_peak,
    plot_stat_map,
)

# sphinx_gallery_thumbnail_number = 3
folder = tempfile.TemporaryDirectory()
study = simulate_bids_study(Path(folder.name) / "study", n_subjects=12)
for path in sorted(study.directory.rglob("*")):
    if path.is_file() and ("sub-" not in path.name or "sub-01" in path.name):
        print(path.relative_to(study.directory).as_posix())

# %%
# What was shown to the first subject, and when (s):
pd.read_csv(
    study.directory / "sub-01" / "func" / "sub-01_task-reading_events.tsv", sep="\t"
).head(4)

# %%
# First level: one model a subject
# --------------------------------
# ``first_level_from_bids`` finds runs, events and confounds by their names and makes a model for
# each subject, with the subject's label. The brain mask is a fitted masker, so that all subjects
# have the same voxels. Only the effects go to the group model. They are unbiased for every noise
# model, and ``noise_model="ols"`` is the fastest. For z within a subject, use ``"ar1"``.
models, runs, events, _ = first_level_from_bids(
    study.directory,
    task_label="reading",
    space_label=study.space,
    derivatives_folder="derivatives/preproc",
    hrf_model="spm",
    noise_model="ols",
    mask_img=NiftiMasker(study.mask_img).fit(),
)
for model, run, event in zip(models, runs, events, strict=True):
    model.fit(run, events=event)
[model.subject_label for model in models]

# %%
# The design of one subject has a column for each kind of block, drifts, and a constant.
plot_design_matrix(
    models[0].design_matrices_[0], title="first level of sub-01: 100 scans"
)

# %%
# The effect of one subject: the difference is there, beneath the noise of this subject.
plot_stat_map(
    models[0].compute_contrast("words - symbols", output_type="effect_size"),
    mask_img=study.mask_img,
    cut_coords=study.effects["difference"].peak,
    title="words minus symbols, sub-01",
    label="difference (% signal)",
)

# %%
# Second level: the group
# -----------------------
# The group model takes the fitted models. Covariates come from ``participants.tsv``. BIDS writes
# ``sub-01`` there, but the label of the subject is ``01``. Rows are then matched by label, not by
# order. Age is centred, so that the intercept is the difference at the mean age.
participants = pd.read_csv(study.directory / "participants.tsv", sep="\t")
confounds = pd.DataFrame(
    {
        "subject_label": participants["participant_id"].str.removeprefix("sub-"),
        "age": participants["age"] - participants["age"].mean(),
    }
)
group = SecondLevelModel(mask_img=study.mask_img).fit(models, confounds=confounds)

# %%
# ``compute_contrast`` names both the second-level and the first-level contrast. The map of each
# subject is computed once, and kept for further contrasts.
z_difference = group.compute_contrast(
    "intercept", first_level_contrast="words - symbols"
)
difference_map, bonferroni = threshold_stats_img(
    z_difference, mask_img=study.mask_img, height_control="bonferroni", alpha=0.05
)
plot_stat_map(
    difference_map,
    mask_img=study.mask_img,
    cut_coords=study.effects["difference"].peak,
    title=f"words minus symbols, group: |z| > {bonferroni:.2f} (Bonferroni, 0.05)",
)

# %%
# Does the difference change with age?
z_age = group.compute_contrast("age", first_level_contrast="words - symbols")
plot_glass_brain(
    z_age,
    mask_img=study.mask_img,
    plot_abs=False,
    threshold=3.1,
    title="change of words minus symbols with age: |z| > 3.1",
)

# %%
# Against the truth
# -----------------
# Effects are in percent of the mean signal, so you can compare them with the simulated effect. Here
# it is their mean over the voxels where the true effect is at least half as high as at its peak.
means = {}
for name, contrast in {"difference": "intercept", "age": "age"}.items():
    estimate = group.compute_contrast(
        contrast, first_level_contrast="words - symbols", output_type="effect_size"
    )
    truth = study.truth[name].get_fdata()
    core = np.abs(truth) >= np.abs(truth).max() / 2
    means[name] = {
        "true effect": truth[core].mean(),
        "estimate": estimate.get_fdata()[core].mean(),
    }
compared = pd.DataFrame(means).T
compared.round(3)

# %%
get_clusters_table(z_difference, bonferroni)

# %%
# The difference of each subject at the true peak, with the fit of the group model:
maps = [
    model.compute_contrast("words - symbols", output_type="effect_size")
    for model in models
]
plot_peak(
    maps,
    group.design_matrix_,
    "intercept",
    position=study.effects["difference"].peak,
    title=f"at {study.effects['difference'].peak} mm",
    label="words minus symbols (% signal)",
)

# %%
# Common mistakes
# ---------------
# * To give z or t maps to the group model. It averages *effects* over subjects, in one unit.
#   ``groupglm`` gets them from the first-level models. If you give files, give effect maps.
# * To count scans as subjects, with all runs in one large first-level model. The differences
#   between subjects are then not in the error, and the result is about these twelve people only.
# * To use several runs of a subject as several subjects. Give the runs to *one* first-level model.
# * To match covariates by order. If a file is missing, or the table is sorted differently, every
#   age belongs to another subject, and nothing looks wrong.
#
# If FitLins or another tool has fitted the first level already, you need no Python:
# ``groupglm bids`` reads its effect maps and ``participants.tsv`` (see :doc:`/guide/bids`).
#
# On real data: ``nilearn.datasets.fetch_language_localizer_demo_dataset()`` downloads a data set of
# this shape; its contrast is ``"language - string"``.
folder.cleanup()
