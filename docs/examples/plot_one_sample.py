# SPDX-License-Identifier: BSD-3-Clause
"""
One-sample test: parametric, and by permutation
===============================================

Does the group respond, on average? The t test answers under the assumption of Gaussian errors,
with Bonferroni's bound over all voxels. A permutation test answers without the assumption and uses
how smooth the data are, which gains power; and it can test clusters, or enhance the map by the
support that each voxel has from its neighbours. All are run here on the same maps and compared
with the truth.
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
    title=f"t test: z > {z_bonferroni:.2f} (Bonferroni, 0.05)",
)

# %%
# The permuted test
# -----------------
# If nothing happened and the errors are symmetric, each subject's map might as well have had the
# opposite sign. Flipping signs at random, a thousand times, shows how large the largest t of the
# whole brain gets by chance; a voxel whose t exceeds all but 5 % of those is significant,
# corrected for all voxels. The same run does it for the mass of clusters (formed where one voxel
# has p < 0.001) and for threshold-free cluster enhancement (TFCE), which needs no such threshold.
#
# Signs are flipped because there is nothing to permute: all rows of the design are alike.
# ``groupglm`` sees that from the contrast.
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
# Bonferroni's bound treats voxels as independent tests. Smooth noise has fewer chances to be large
# than that, and the permutation distribution knows: its threshold is lower.
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
# The negative effect is not to be found: all four tests are one-sided, as the question was. Give
# ``two_sided_test=True`` to look at both tails. Of the others, each test finds what it is made
# for.
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
# A few false voxels beside a true effect are no failure of the cluster tests. Their error rate is
# that of a cluster with *no* effect in it; which of the voxels of a cluster are active they do not
# say. For that see :ref:`sphx_glr_auto_examples_plot_true_discoveries.py`.

# %%
# Common mistakes
# ---------------
# * Permuting rows of a design that is all ones: nothing changes, and every p would be 1. Sign
#   flips are right here, and they assume symmetric errors.
# * Taking p to be zero. The smallest p of *n* permutations is 1 / (n + 1); the map as it is counts
#   as one of them.
# * Lowering the cluster-forming threshold until something is significant. The test is valid at
#   each threshold chosen in advance, and at none chosen for its result; TFCE does without.
#
# On real data: give ``nilearn.datasets.fetch_localizer_contrasts(["left vs right button press"],
# n_subjects=20)``'s ``cmaps`` in the place of ``study.paths``, and leave ``mask`` out.
folder.cleanup()
