# SPDX-License-Identifier: BSD-3-Clause
"""
Two-sample test, unpaired and paired
====================================

Do two conditions differ? If each subject has a map of both, the two are not independent: what is
peculiar to a subject is in both of its maps. A design with a column for each subject takes that
out. This example fits the same maps with and without these columns, shows what becomes of the
rank, and permutes as pairs allow.
"""

# %%
# The data
# --------
# Sixteen subjects saw vertical and horizontal checkerboards. Both make the visual cortex respond;
# in one place the vertical ones do more. Of the variance between maps, 80 % is the subject's own,
# shared by its two maps.
import tempfile
import textwrap
import warnings

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import SecondLevelModel, non_parametric_inference
from groupglm.datasets import simulate_paired_study
from groupglm.errors import NotEstimableError
from groupglm.plotting import plot_design_matrix, plot_glass_brain, plot_peak

# sphinx_gallery_thumbnail_number = 3
folder = tempfile.TemporaryDirectory()
study = simulate_paired_study(folder.name, n_subjects=16, correlation=0.8)
images = study.images
images[["participant_id", "condition"]].head(4)

# %%
# Unpaired: two means
# -------------------
# One column a condition, no intercept: each coefficient is the mean of its condition, and the
# contrast is their difference. Right for two groups of *different* subjects; here it leaves the
# differences between subjects in the error. ``groupglm`` sees in the names of the files that each
# subject has two maps, and in the design that nothing says so, and warns. We fit this model on
# purpose, to see what is wrong with it, so we catch the warning and read it.
conditions = pd.get_dummies(images["condition"], dtype=float)
unpaired = SecondLevelModel(mask_img=study.mask_img)
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    unpaired.fit(images["path"], design_matrix=conditions)
print(textwrap.fill(str(heard[0].message)))

# %%
# The fit goes on all the same:
z_unpaired = unpaired.compute_contrast("vertical - horizontal")
plot_glass_brain(
    z_unpaired,
    mask_img=study.mask_img,
    threshold=3.1,
    vmax=6.0,
    title="unpaired: z > 3.1",
)

# %%
# Paired: a column for each subject
# ---------------------------------
# The subjects' columns take the mean of each pair, and what is left for the last column is the
# difference within pairs: its coefficient is "vertical minus horizontal", averaged over subjects.
subjects = pd.get_dummies(images["participant_id"], dtype=float)
paired_design = subjects.assign(vertical_minus_horizontal=conditions["vertical"])
paired = SecondLevelModel(mask_img=study.mask_img)
paired.fit(images["path"], design_matrix=paired_design)
z_paired = paired.compute_contrast("vertical_minus_horizontal")
plot_design_matrix(paired_design, title="paired design: 32 maps, 17 columns")

# %%
# Same maps, same question, same threshold:
plot_glass_brain(
    z_paired,
    mask_img=study.mask_img,
    threshold=3.1,
    vmax=6.0,
    title="paired: z > 3.1",
)

# %%
# The paired test has half the degrees of freedom, for 16 columns were spent on subjects, and yet
# the larger z: what they took away was mostly noise. Elsewhere about one voxel in a thousand is
# beyond the threshold in each tail, as it should be. The unpaired test had hardly any: its error
# is too large for these data, and all its z are too small.
peak = study.effects["difference"].peak
i, j, k = np.rint(np.linalg.inv(z_paired.affine) @ [*peak, 1])[:3].astype(int)
compared = pd.DataFrame(
    {
        "degrees of freedom": [
            unpaired.results_.df_residual,
            paired.results_.df_residual,
        ],
        "z at the true peak": [
            z_unpaired.get_fdata()[i, j, k],
            z_paired.get_fdata()[i, j, k],
        ],
    },
    index=["unpaired", "paired"],
).round(2)
compared

# %%
# The data at that place, as the paired contrast sees them, with the subjects' means taken out. The
# true difference there is 1.
plot_peak(
    images["path"],
    paired_design,
    "vertical_minus_horizontal",
    position=peak,
    title=f"at {peak} mm",
    label="effect (standard deviations)",
)

# %%
# It is the test of the differences
# ---------------------------------
# Subtract one map from the other in each subject, and test whether the mean difference is zero:
# the t values are the same to the precision of the files. Use whichever you prefer; the design
# with subject columns also takes more than two maps a subject, or pairs with one missing.
differences = []
for _, pair in images.groupby("participant_id"):
    vertical, horizontal = (nib.load(path) for path in pair["path"])
    differences.append(
        nib.Nifti1Image(
            vertical.get_fdata() - horizontal.get_fdata(), vertical.affine
        )
    )
one_sample = SecondLevelModel(mask_img=study.mask_img)
one_sample.fit(differences, design_matrix=pd.DataFrame({"intercept": np.ones(16)}))
t_paired = paired.compute_contrast("vertical_minus_horizontal", output_type="stat")
t_differences = one_sample.compute_contrast("intercept", output_type="stat")
largest_gap = np.abs(t_paired.get_fdata() - t_differences.get_fdata()).max()
print(f"largest difference in t: {largest_gap:.1e}")

# %%
# What an intercept does to it
# ----------------------------
# The subjects' columns add up to a column of ones. An intercept beside them adds nothing: the
# matrix has 18 columns and rank 17. ``groupglm`` says so, counts degrees of freedom by the rank,
# and the contrast of interest comes out the same, because it does not depend on how the constant
# is shared.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    redundant = SecondLevelModel(mask_img=study.mask_img)
    redundant.fit(images["path"], design_matrix=paired_design.assign(intercept=1.0))
warning = caught[0]
print(textwrap.fill(f"{warning.category.__name__}: {warning.message}"), end="\n\n")
same = redundant.compute_contrast("vertical_minus_horizontal")
print("same z map:", np.allclose(same.get_fdata(), z_paired.get_fdata(), atol=1e-5))
print("degrees of freedom:", redundant.results_.df_residual)

# %%
# The intercept itself, though, now means nothing: any number can be added to it and taken from all
# subjects. A contrast on it is refused rather than answered at random.
try:
    redundant.compute_contrast("intercept")
except NotEstimableError as error:
    print(textwrap.fill(str(error)))

# %%
# Permuting pairs
# ---------------
# If the conditions do not differ, the two maps of *one* subject can be exchanged; maps of different
# subjects cannot, for subjects do differ. Each subject is a block of exchangeability, and images
# are exchanged within blocks: 2\ :sup:`16` ways, of which a thousand are drawn.
permuted = non_parametric_inference(
    images["path"],
    design_matrix=paired_design,
    second_level_contrast="vertical_minus_horizontal",
    mask=study.mask_img,
    exchangeability_blocks=images["participant_id"],
    n_perm=1000,
    tfce=True,
    random_state=0,
)
plot_glass_brain(
    permuted["logp_max_tfce"],
    mask_img=study.mask_img,
    threshold=-np.log10(0.05),
    vmax=3.0,
    title="paired, TFCE, exchanged within subjects",
    label="-log10 p, corrected",
)

# %%
# Common mistakes
# ---------------
# * Testing pairs as two groups, as above, or silencing the warning. It takes the maps of a subject
#   for independent: weak where they are alike, and false, with too many findings, where they are
#   negatively correlated, or where the *mean* of both conditions is tested.
# * Permuting without blocks. The null distribution is then that of other data than these.
# * Building the condition and subject columns from lists in different orders. Here both come from
#   one table whose rows are those of the maps.
# * Subject columns in a comparison of groups: each subject is in one group only, so the subjects'
#   columns add up to those of the groups, and their difference cannot be estimated. It is refused.
#
# On real data: ``nilearn.datasets.fetch_localizer_contrasts`` with ``["vertical checkerboard"]``
# and with ``["horizontal checkerboard"]`` downloads such pairs; put the two lists of ``cmaps`` and
# the subjects into a table like ``images``.
folder.cleanup()
