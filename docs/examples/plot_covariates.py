# SPDX-License-Identifier: BSD-3-Clause
"""
Any design: covariates, centring, factors
=========================================

Where does activity depend on how fast a subject reads? Reading speed is correlated with age, and
the subjects come from three sites. This example makes a design from a formula. It shows what
happens if you leave age out, and if you do not centre covariates. Then it tests a factor of three
levels with one F contrast.
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
# The formula is the right-hand side in Wilkinson's notation. ``center`` subtracts the mean. A
# column of text becomes one column for each level except the first. An intercept is added. The rows
# are in the order of the table, which here is that of the maps. Look at the names and the
# correlations before you fit.
design = design_from_formula(
    "~ center(reading_speed) + center(age) + site", participants
)
model = SecondLevelModel(mask_img=study.mask_img).fit(
    study.paths, design_matrix=design
)
plot_design_correlation(design)

# %%
# Speed and age have a correlation of nearly -0.6. The contrast of one is its effect at a fixed
# value of the other. What both could explain counts for neither.
z_speed = model.compute_contrast("center(reading_speed)")
plot_glass_brain(
    z_speed,
    mask_img=study.mask_img,
    plot_abs=False,
    threshold=3.1,
    vmax=7.0,
    title="reading speed, with age and site in the model: z > 3.1",
)

# %%
# The data behind the peak, without the effects of the other columns. The true slope there is 0.05
# for each word per minute.
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
# A common mistake: to leave out a correlated covariate
# -----------------------------------------------------
# Without age, reading speed explains the effects of age too. A second place appears, in the right
# frontal lobe, where only age has an effect.
without_age = SecondLevelModel(mask_img=study.mask_img)
without_age.fit(
    study.paths,
    design_matrix=design_from_formula("~ center(reading_speed) + site", participants),
)
z_confounded = without_age.compute_contrast("center(reading_speed)")
plot_glass_brain(
    z_confounded,
    mask_img=study.mask_img,
    plot_abs=False,
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
# The intercept is the expected map of a subject for whom every other column is zero. With centred
# covariates, this is a subject of mean age and speed (at site A, the reference). Without centring,
# it is a subject of age 0 who reads 0 words per minute, far outside the data. Slopes and their z
# are the same in both designs, the intercept and its z are not.
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
# "Do the sites differ?" is a question about two columns at once. A list of contrasts is an F
# contrast. It does not depend on which site is the reference. Its z is large for differences in any
# direction, so only one tail counts: a z below 0 says only that p is above 0.5.
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
# Each single difference is a t contrast. No column holds the difference of sites B and C, but it is
# a contrast too. The true differences there are 1.5, -1.5 and 3.
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
# ``make_second_level_design_matrix`` matches a table of confounds to the maps by label, for any
# order of its rows, and codes categories in the same way. It does not centre numbers: do so before.
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
# * To centre a covariate within each group, although the groups differ in it. The difference of the
#   groups then contains the effect of the covariate, as if you had left the covariate out.
# * To code a site as 1, 2, 3 in one numeric column. This tests a trend from A to C. Here B and C
#   lie on both sides of A, and the test would find nothing. Text becomes a factor by itself; for
#   numbers write ``C(site)``.
# * To do two t tests instead of one F test, and to report the better one.
#
# On real data: ``nilearn.datasets.fetch_localizer_contrasts(["left button press (auditory cue)"],
# n_subjects=94)`` has ``cmaps`` and, in ``ext_vars``, the score ``pseudo`` of reading speed; leave
# out the subjects who have none.
folder.cleanup()
