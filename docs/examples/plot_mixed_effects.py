# SPDX-License-Identifier: BSD-3-Clause
"""
Mixed effects: subjects who were measured well, and others
==========================================================

The first level of an analysis yields an effect for each subject, and how exactly it was measured.
Ordinary least squares uses the effects alone, so that a subject who moved counts as much as one who
lay still. Mixed effects use both: they weight subjects, and they estimate how much subjects differ
beyond their measurements. This example fits both to simulated maps, whose truth is known.
"""

# %%
# The data
# --------
# Twenty-four subjects, every second one a patient. Each has a map of an effect and a map of its
# variance, the squared standard error. The measurement of every second patient was short, so that
# its variance is ten times larger. In the left half of the brain subjects differ, with a variance
# tau\ :sup:`2` of 0.5. In the right half they do not: all differences are measurement error.
import tempfile

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import MixedEffects, SecondLevelModel, UnequalVariances
from groupglm.datasets import simulate_variance_study
from groupglm.plotting import plot_forest, plot_stat_map

folder = tempfile.TemporaryDirectory()
study = simulate_variance_study(folder.name, n_subjects=24)
inside = study.mask_img.get_fdata() > 0
variances = np.stack(
    [nib.load(path).get_fdata()[inside] for path in study.variance_paths]
)
study.participants.assign(median_variance=np.median(variances, axis=1).round(2)).head(
    8
)

# %%
# Two models
# ----------
# The design and the contrasts are the same for both. Mixed effects also take the maps of variances.
ols = SecondLevelModel(mask_img=study.mask_img)
ols.fit(study.paths, design_matrix=study.design_matrix)
mixed = SecondLevelModel(mask_img=study.mask_img, model="mixed effects")
mixed.fit(
    study.paths,
    design_matrix=study.design_matrix,
    variances=study.variance_paths,
)
mixed

# %%
# The controls respond at one place in each half, the weaker one on the right.
z_maps = {name: model.compute_contrast("intercept")
          for name, model in {"ols": ols, "mixed effects": mixed}.items()}  # fmt: skip
for name, z_map in z_maps.items():
    plot_stat_map(
        z_map, threshold=3.1, vmax=8.0, cut_coords=[54], display_mode="z", title=name
    )


# %%
# The z at the two true peaks. Least squares have one variance for all subjects, so that the noise
# of the patients makes the mean of the controls uncertain, too. Mixed effects know who was measured
# well. They gain most on the right. On the left, tau\ :sup:`2` is part of every subject's variance,
# so that subjects are more alike.
def at(image, position):
    i, j, k = np.rint(np.linalg.inv(image.affine) @ [*position, 1])[:3].astype(int)
    return float(image.get_fdata()[i, j, k])


z_at_peaks = pd.DataFrame(
    {
        name: [at(z_map, study.effects[side].peak) for side in ("left", "right")]
        for name, z_map in z_maps.items()
    },
    index=["left", "right"],
).round(2)
z_at_peaks

# %%
# The subjects at the place where patients respond less: the area of a square is the weight of a
# subject, and the diamonds are the groups and the contrast. Patients with short measurements have
# long intervals and little weight.
plot_forest(
    study.paths,
    study.variance_paths,
    study.design_matrix,
    "patient",
    position=study.effects["patient"].peak,
    labels=study.participants["participant_id"],
)

# %%
# How much do subjects differ?
# ----------------------------
# The estimate of tau\ :sup:`2` at each voxel, by restricted maximum likelihood.
plot_stat_map(
    mixed.tau2_,
    vmax=1.0,
    cut_coords=[-30, 0, 30],
    display_mode="z",
    label="variance between subjects",
)

# %%
# Beside the truth: an estimate cannot be below 0, so that their mean is above the truth where this
# is 0. Half of the estimates are 0 there.
tau2, true_tau2 = mixed.tau2_.get_fdata()[inside], study.tau2_img.get_fdata()[inside]
recovered = pd.DataFrame(
    {
        "mean estimate": [tau2[true_tau2 == truth].mean() for truth in (0.0, 0.5)],
        "share at 0": [
            np.mean(tau2[true_tau2 == truth] == 0) for truth in (0.0, 0.5)
        ],
    },
    index=pd.Index([0.0, 0.5], name="true tau2"),
).round(3)
recovered

# %%
# I\ :sup:`2` says the same as a share of the variance. Cochran's Q tests whether subjects differ at
# all: its p is evenly distributed where they do not.
q_p = mixed.q_p_value_.get_fdata()[inside]
heterogeneous = pd.Series(
    {side: np.mean(q_p[true_tau2 == truth] < 0.05)
     for side, truth in {"left: tau2 0.5": 0.5, "right: tau2 0": 0.0}.items()},
    name="share of voxels with Q significant at 0.05",
).round(3)  # fmt: skip
heterogeneous

# %%
# Is p right?
# -----------
# Far from all effects, a test at 0.05 should find one voxel in twenty. Ordinary least squares find
# fewer here: the few large variances make its t small. Fixed effects count measurement error only.
# They find far too much where subjects differ, and are right where they do not.
fixed = SecondLevelModel(mask_img=study.mask_img, model="fixed effects")
fixed.fit(
    study.paths,
    design_matrix=study.design_matrix,
    variances=study.variance_paths,
)
null = np.abs(study.truth["intercept"].get_fdata()[inside]) < 0.001
rates = {}
for name, model in {
    "ols": ols,
    "mixed effects": mixed,
    "fixed effects": fixed,
}.items():
    p = model.compute_contrast("intercept", output_type="p_value").get_fdata()[inside]
    rates[name] = [
        np.mean(p[null & (true_tau2 == truth)] < 0.05) for truth in (0.5, 0.0)
    ]
false_positives = pd.DataFrame(
    rates, index=["left: tau2 0.5", "right: tau2 0"]
).round(3)
false_positives

# %%
# Groups that differ in their variance
# ------------------------------------
# Patients have noisier measurements, which mixed effects know of. If patients also differ more
# among each other, give the groups, and each gets a tau\ :sup:`2` of its own.
by_group = SecondLevelModel(
    mask_img=study.mask_img,
    model=MixedEffects(variance_groups=study.participants["group"]),
)
by_group.fit(
    study.paths,
    design_matrix=study.design_matrix,
    variances=study.variance_paths,
)

# %%
# Without any maps of variances, Welch's test allows each group its own variance. Its degrees of
# freedom differ from voxel to voxel.
welch = SecondLevelModel(
    mask_img=study.mask_img,
    model=UnequalVariances(study.participants["group"]),
)
welch.fit(study.paths, design_matrix=study.design_matrix)
compared = pd.DataFrame(
    {
        name: [at(model.compute_contrast("patient"), study.effects["patient"].peak)]
        for name, model in {
            "ols": ols,
            "Welch": welch,
            "mixed effects": mixed,
            "mixed effects, tau2 by group": by_group,
        }.items()
    },
    index=["z of patients - controls at the true peak"],
).T.round(2)
compared

# %%
# Common mistakes
# ---------------
# * To give standard errors or t maps for variances. A variance is the squared standard error, in
#   squared units of the effect.
# * To speak of the population after fixed effects. They describe these subjects only.
# * To smooth the effects and not the variances. ``smoothing_fwhm`` with variances is an error.
# * To read tau\ :sup:`2` = 0 as proof that subjects are alike. With few subjects, it often is 0 by
#   chance.
folder.cleanup()
