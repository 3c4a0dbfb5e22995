# SPDX-License-Identifier: BSD-3-Clause
"""
Any design: covariates, centring, factors
=========================================

Where does activity follow how fast somebody reads? Reading speed goes together with age, and the
subjects come from three sites. This example makes a design from a formula, shows what happens
when age is left out and when covariates are not centred, and tests a factor of three levels with
one F contrast.
"""

# %%
# The data
# --------
# Sixty subjects with one map each, and a table of participants. Older subjects read more slowly.
import tempfile

import numpy as np
import pandas as pd

from groupglm import (
    SecondLevelModel,
    design_from_formula,
    make_second_level_design_matrix,
    threshold_stats_img,
)
from groupglm.datasets import simulate_covariate_study
from groupglm.plotting import plot_design_correlation, plot_glass_brain, plot_peak

# sphinx_gallery_thumbnail_number = 2
folder = tempfile.TemporaryDirectory()
study = simulate_covariate_study(folder.name, n_subjects=60)
participants = study.participants.set_index("participant_id")
participants.head()

# %%
# A design from a formula
# -----------------------
# The formula is the right-hand side in Wilkinson's notation. ``center`` takes the mean off, text
# columns become one column for each level but the first, and the intercept is added. Rows follow
# the table, whose order is that of the maps here; look at the names and the correlations before
# anything is fitted.
design = design_from_formula(
    "~ center(reading_speed) + center(age) + site", participants
)
model = SecondLevelModel(mask_img=study.mask_img).fit(
    study.paths, design_matrix=design
)
plot_design_correlation(design)

# %%
# Speed and age correlate by nearly -0.6. The contrast on one is its effect at a given value of the
# other: what only both together could explain is given to neither.
z_speed = model.compute_contrast("center(reading_speed)")
plot_glass_brain(
    z_speed,
    mask_img=study.mask_img,
    threshold=3.1,
    vmax=7.0,
    title="reading speed, with age and site in the model: z > 3.1",
)

# %%
# The data behind the peak, with the other columns' effects taken out. The true slope there is 0.05
# a word a minute.
voxel = np.unravel_index(np.nanargmax(z_speed.get_fdata()), z_speed.shape)
peak = tuple(float(x) for x in (z_speed.affine @ [*voxel, 1])[:3])
plot_peak(
    study.paths,
    design,
    "center(reading_speed)",
    position=peak,
    title=f"at {peak} mm",
    label="effect (standard deviations)",
)

# %%
# A common mistake: to leave out what goes together
# -------------------------------------------------
# Without age, reading speed stands for it too. A second place appears, in the right frontal lobe,
# where only age has an effect.
without_age = SecondLevelModel(mask_img=study.mask_img)
without_age.fit(
    study.paths,
    design_matrix=design_from_formula("~ center(reading_speed) + site", participants),
)
z_confounded = without_age.compute_contrast("center(reading_speed)")
plot_glass_brain(
    z_confounded,
    mask_img=study.mask_img,
    threshold=3.1,
    vmax=7.0,
    title="reading speed, age left out: z > 3.1",
)

# %%
# In numbers, at the two true peaks:


def value_at(image, position):
    """Return the value of the voxel that holds a place in mm."""
    index = np.rint(np.linalg.inv(image.affine) @ [*position, 1])[:3].astype(int)
    return round(float(image.get_fdata()[tuple(index)]), 1)


confounding = pd.DataFrame(
    {
        f"where {name} has an effect": [
            value_at(z, study.effects[name].peak) for z in (z_speed, z_confounded)
        ]
        for name in ("reading_speed", "age")
    },
    index=[
        "z of reading speed, age in the model",
        "z of reading speed, age left out",
    ],
)
confounding

# %%
# Centring: what the intercept means
# ----------------------------------
# The intercept is the expected map where every other column is zero. With centred covariates that
# is a subject of mean age and speed (at site A, the reference); without, one of age 0 who reads
# 0 words a minute, far outside the data. Slopes and their z are the same; the intercept's are not.
raw = SecondLevelModel(mask_img=study.mask_img)
raw.fit(
    study.paths,
    design_matrix=design_from_formula("~ reading_speed + age + site", participants),
)
motor = study.effects["intercept"].peak
centring = pd.DataFrame(
    {
        "largest z of reading speed": [
            z_speed.get_fdata().max(),
            raw.compute_contrast("reading_speed").get_fdata().max(),
        ],
        "z of the intercept, where the mean responds": [
            value_at(fitted.compute_contrast("Intercept"), motor)
            for fitted in (model, raw)
        ],
    },
    index=["centred", "not centred"],
).round(3)
centring

# %%
# For the mean over all sites, rather than at site A, add a third of each site's difference:
z_mean = model.compute_contrast("Intercept + (site[T.B] + site[T.C]) / 3")
print(f"z of the mean over sites: {value_at(z_mean, motor)}")

# %%
# One question about three sites: F
# ---------------------------------
# "Do the sites differ?" concerns two columns at once. A list of contrasts is an F contrast; it does
# not depend on which site is the reference. Its z is large for differences in any direction, and
# one tail alone counts: z below 0 only says that p is above 0.5.
z_site = model.compute_contrast(["site[T.B]", "site[T.C]"])
site_map, bonferroni = threshold_stats_img(
    z_site,
    mask_img=study.mask_img,
    height_control="bonferroni",
    alpha=0.05,
    two_sided=False,
)
plot_glass_brain(
    site_map,
    mask_img=study.mask_img,
    title=f"any difference of sites: z of F > {bonferroni:.2f} (Bonferroni, 0.05)",
)

# %%
# Each single difference is a t contrast; that of sites B and C is in no column, and still a
# contrast. The true differences there are 1.5, -1.5 and 3.
sites = pd.Series(
    {
        name: value_at(
            model.compute_contrast(contrast, output_type="effect_size"),
            study.effects["site[T.B]"].peak,
        )
        for name, contrast in {
            "B - A": "site[T.B]",
            "C - A": "site[T.C]",
            "B - C": "site[T.B] - site[T.C]",
        }.items()
    },
    name="estimated difference (standard deviations)",
)
sites.to_frame()

# %%
# The same without a formula
# --------------------------
# ``make_second_level_design_matrix`` matches a table of confounds to the maps by label, in whatever
# order its rows are, and codes categories in the same way. It takes numbers as they are: centre
# them first.
confounds = study.participants.rename(columns={"participant_id": "subject_label"})
for name in ("reading_speed", "age"):
    confounds[name] -= confounds[name].mean()
by_label = make_second_level_design_matrix(
    confounds["subject_label"], confounds.sample(frac=1, random_state=0)
)
by_label.head()

# %%
# More mistakes that are easily made
# ----------------------------------
# * Centring a covariate within each group although the groups differ in it. Their difference then
#   contains what the covariate would explain of it, as if it had been left out.
# * A site coded as 1, 2, 3 in one numeric column: that tests a trend from A to C, which is none.
#   Here B and C lie on either side of A and it would find nothing there. Text is coded as a factor;
#   for numbers write ``C(site)``.
# * Two t tests in the place of one F test, and the better one reported.
#
# On real data: ``nilearn.datasets.fetch_localizer_contrasts(["left button press (auditory cue)"],
# n_subjects=94)`` has ``cmaps`` and, in ``ext_vars``, the score ``pseudo`` of reading speed; leave
# out the subjects who have none.
folder.cleanup()
