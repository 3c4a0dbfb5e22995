# SPDX-License-Identifier: BSD-3-Clause
"""
One-sample test: parametric, and by permutation
===============================================

Does the group respond, on average? The t test, with Bonferroni's bound over all voxels, assumes
Gaussian errors. A permutation test does not. It uses the smoothness of the data, which gives it
more power. It can also test clusters, or enhance the map by the support that each voxel has from
its neighbours. This example runs all of these tests on the same maps, and compares them with the
truth.
"""

# %%
# The data
# --------
# The maps of twenty subjects who pressed a button: a strong narrow effect, a weak wide one and a
# negative one, each in a known place, and smooth noise.
import tempfile

import numpy as np
import pandas as pd
from scipy import stats

from groupglm import SecondLevelModel, non_parametric_inference, threshold_stats_img
from groupglm.datasets import simulate_one_sample_study
from groupglm.plotting import plot_glass_brain

folder = tempfile.TemporaryDirectory()
study = simulate_one_sample_study(folder.name, n_subjects=20, noise_fwhm=14.0)

# %%
# The parametric test
# -------------------
# The design of a one-sample test is a column of ones. Its coefficient is the mean over subjects.
model = SecondLevelModel(mask_img=study.mask_img)
model.fit(study.paths, design_matrix=study.design_matrix)
z_map = model.compute_contrast("intercept")
bonferroni_map, z_bonferroni = threshold_stats_img(
    z_map,
    mask_img=study.mask_img,
    height_control="bonferroni",
    alpha=0.05,
    two_sided=False,
)
plot_glass_brain(
    bonferroni_map,
    mask_img=study.mask_img,
    plot_abs=False,
    title=f"t test: z > {z_bonferroni:.2f} (Bonferroni, 0.05)",
)

# %%
# The permuted test
# -----------------
# If there is no effect and the errors are symmetric, the map of each subject could equally have the
# opposite sign. A thousand random flips of signs show how large the largest t of the whole brain
# gets by chance. A voxel whose t exceeds 95 % of these is significant, corrected for all voxels.
# The same run tests the mass of clusters (formed where one voxel has p < 0.001) and threshold-free
# cluster enhancement (TFCE), which needs no such threshold.
#
# All rows of the design are equal, so permuting them would change nothing. ``groupglm`` knows this
# from the contrast, and flips signs instead.
permuted = non_parametric_inference(
    study.paths,
    design_matrix=study.design_matrix,
    second_level_contrast="intercept",
    mask=study.mask_img,
    n_perm=1000,
    threshold=0.001,
    tfce=True,
    random_state=0,
)
sorted(permuted)

# %%
# Images named ``logp`` hold -log10 of the corrected p: 1.3 is 0.05, and 3 is the largest that a
# thousand permutations can give.
LOGP_LIMIT = -np.log10(0.05)
plot_glass_brain(
    permuted["logp_max_t"],
    mask_img=study.mask_img,
    threshold=LOGP_LIMIT,
    vmax=3.0,
    title="largest t, by permutation",
    label="-log10 p, corrected",
)

# %%
plot_glass_brain(
    permuted["logp_max_mass"],
    mask_img=study.mask_img,
    threshold=LOGP_LIMIT,
    vmax=3.0,
    title="mass of clusters, by permutation",
    label="-log10 p, corrected",
)

# %%
plot_glass_brain(
    permuted["logp_max_tfce"],
    mask_img=study.mask_img,
    threshold=LOGP_LIMIT,
    vmax=3.0,
    title="TFCE, by permutation",
    label="-log10 p, corrected",
)

# %%
# How high is the bar?
# --------------------
# Bonferroni's bound treats voxels as independent tests. Smooth noise has fewer chances to be large.
# The permutation distribution contains this smoothness, so its threshold is lower.
(result,) = permuted.results
n_tests, df = model.n_elements_, len(study.paths) - 1
bars = {
    "Bonferroni": stats.t.isf(0.05 / n_tests, df),
    "largest t of 95 % of the sign flips": np.quantile(result.null["t"], 0.95),
}
pd.Series(bars, name="least t that is significant").round(2).to_frame()

# %%
# Against the truth
# -----------------
# The tests do not find the negative effect, because all four are one-sided, like the question. Give
# ``two_sided_test=True`` to test both tails. Of the other effects, each test finds those that it is
# sensitive to.
truth = study.truth["intercept"].get_fdata()
tests = {
    "t, Bonferroni": bonferroni_map.get_fdata() != 0,
    "largest t": permuted["logp_max_t"].get_fdata() > LOGP_LIMIT,
    "mass of clusters": permuted["logp_max_mass"].get_fdata() > LOGP_LIMIT,
    "TFCE": permuted["logp_max_tfce"].get_fdata() > LOGP_LIMIT,
}
half_of = {name: abs(effect.height) / 2 for name, effect in study.effects.items()}
is_motor = truth >= half_of["motor"]
is_cerebellum = (truth > 0) & ~is_motor
found = pd.DataFrame(
    {
        name: {
            "motor, strong": f"{significant[is_motor].mean():.0%}",
            "cerebellum, weak and wide": f"{significant[is_cerebellum].mean():.0%}",
            "false voxels": int((significant & (truth <= 0)).sum()),
        }
        for name, significant in tests.items()
    }
).T
found

# %%
# A few false voxels beside a true effect are not an error of the cluster tests. Their error rate is
# about clusters with *no* effect. They do not say which voxels of a cluster are active. For that
# see :ref:`sphx_glr_auto_examples_plot_true_discoveries.py`.

# %%
# Common mistakes
# ---------------
# * To permute the rows of a design of ones. Nothing changes, and every p is 1. Sign flips are right
#   here. They assume symmetric errors.
# * To report a p of zero. The smallest p of *n* permutations is 1 / (n + 1), because the data
#   themselves count as one of them.
# * To lower the cluster-forming threshold until something is significant. The test is valid for a
#   threshold that you choose in advance, not for one that you choose by its result. TFCE needs
#   none.
#
# On real data: use the ``cmaps`` of ``nilearn.datasets.fetch_localizer_contrasts(["left vs right
# button press"], n_subjects=20)`` instead of ``study.paths``, and leave ``mask`` out.
folder.cleanup()
