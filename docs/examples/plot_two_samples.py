# SPDX-License-Identifier: BSD-3-Clause
"""
Two-sample test, unpaired and paired
====================================

Do two conditions differ? If each subject has a map of both, the two maps are not independent: they
share what is special about the subject. A design with a column for each subject removes this. This
example fits the same maps with and without these columns, looks at the rank of the design, and
exchanges maps within pairs in a permutation test.
"""

# %%
# The data
# --------
# Sixteen subjects saw vertical and horizontal checkerboards. Both make the visual cortex respond;
# in one place the response to vertical ones is larger. Of the variance between maps, 80 % is
# between subjects: both maps of a subject share it.
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
# This design has one column for each condition and no intercept. Each coefficient is the mean of
# its condition, and the contrast is their difference. It is right for two groups of *different*
# subjects. Here it leaves the differences between subjects in the error. The names of the files say
# that each subject has two maps, but the design does not, so ``groupglm`` refuses it and says what
# to do.
conditions = pd.get_dummies(images["condition"], dtype=float)
unpaired = SecondLevelModel(mask_img=study.mask_img)
try:
    unpaired.fit(images["path"], design_matrix=conditions)
except ValueError as error:
    refused = str(error)
print(textwrap.fill(refused))

# %%
# We fit this model on purpose, to see what is wrong with it. Maps without names do not tell whose
# they are:
loaded = [nib.load(path) for path in images["path"]]
without_names = [
    nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)
    for image in loaded
]
unpaired.fit(without_names, design_matrix=conditions)
z_unpaired = unpaired.compute_contrast("vertical - horizontal")
plot_glass_brain(
    z_unpaired,
    mask_img=study.mask_img,
    plot_abs=False,
    threshold=3.1,
    vmax=6.0,
    title="unpaired: z > 3.1",
)

# %%
# Paired: a column for each subject
# ---------------------------------
# The columns of the subjects describe the mean of each pair. The last column describes the
# difference within pairs. Its coefficient is "vertical minus horizontal", averaged over subjects.
subjects = pd.get_dummies(images["participant_id"], dtype=float)
paired_design = subjects.assign(vertical_minus_horizontal=conditions["vertical"])
paired = SecondLevelModel(mask_img=study.mask_img)
paired.fit(images["path"], design_matrix=paired_design)
z_paired = paired.compute_contrast("vertical_minus_horizontal")
plot_design_matrix(paired_design, title="paired design: 32 maps, 17 columns")

# %%
# The same maps, the same question, the same threshold:
plot_glass_brain(
    z_paired,
    mask_img=study.mask_img,
    plot_abs=False,
    threshold=3.1,
    vmax=6.0,
    title="paired: z > 3.1",
)

# %%
# The paired test has half the degrees of freedom, because 16 columns describe subjects. Its z is
# larger all the same, because these columns removed mostly noise. In other places about one voxel
# in a thousand is beyond the threshold in each tail, as expected. The unpaired test has hardly any:
# its error is too large for these data, and all its z are too small.
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
# The data at this place in the paired contrast, without the means of the subjects. The true
# difference there is 1.
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
# the t values are the same to the precision of the files. Use the way that you prefer. The design
# with columns for subjects also works with more than two maps per subject, or if one of a pair is
# missing.
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
# The columns of the subjects add up to a column of ones. An intercept beside them adds nothing: the
# matrix has 18 columns and rank 17. ``groupglm`` warns, and counts degrees of freedom by the rank.
# The result of the contrast is the same, because it does not depend on how the columns share the
# constant.
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
# But the intercept itself now means nothing: you can add any number to it and subtract the number
# from all subjects. A contrast of it is therefore an error.
try:
    redundant.compute_contrast("intercept")
except NotEstimableError as error:
    print(textwrap.fill(str(error)))

# %%
# Permuting pairs
# ---------------
# If the conditions do not differ, the two maps of *one* subject can be exchanged. Maps of different
# subjects cannot, because subjects differ. Each subject is an exchangeability block, and images are
# exchanged within blocks. There are 2\ :sup:`16` ways, of which a thousand are drawn.
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
# * To test pairs as two groups, as above. The maps of a subject then count as independent. The test
#   is weak if they are alike. It has too many false findings if they are negatively correlated, or
#   if you test the *mean* of both conditions.
# * To permute without blocks. The null distribution is then not that of these data.
# * To make the columns of conditions and of subjects from lists in different orders. Here both come
#   from one table, which has a row for each map.
# * To use columns for subjects in a comparison of groups. Each subject is in one group only, so the
#   columns of the subjects add up to those of the groups. The difference of the groups cannot be
#   estimated, and is an error.
#
# On real data: ``nilearn.datasets.fetch_localizer_contrasts`` with ``["vertical checkerboard"]``
# and with ``["horizontal checkerboard"]`` downloads such pairs; put the two lists of ``cmaps`` and
# the subjects into a table like ``images``.
folder.cleanup()
