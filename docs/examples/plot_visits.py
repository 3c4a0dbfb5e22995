# SPDX-License-Identifier: BSD-3-Clause
"""
Visits before and after, and visits that some subjects miss
===========================================================

Two studies of subjects who come several times: two groups before and after a treatment, and four
visits of which some are missed. A random intercept of each subject makes one model of both what
differs between subjects and what changes within them. The maps are simulated, so that the truth is
known.
"""

# %%
# Before and after, two groups
# ----------------------------
# Thirty-two subjects, every second one a patient, with two maps each. Patients change at one place
# more than controls.
import tempfile

import numpy as np
import pandas as pd

from groupglm import SecondLevelModel, repeated_from_formula
from groupglm.datasets import simulate_longitudinal_study
from groupglm.plotting import plot_spaghetti, plot_stat_map

folder = tempfile.TemporaryDirectory()
pairs = simulate_longitudinal_study(f"{folder.name}/pairs", n_subjects=32)
pairs.sessions.head(4)

# %%
# The formula says what is estimated, and whose maps belong together.
design, model_of_pairs = repeated_from_formula(
    "~ C(group) * time + (1 | participant_id)", pairs.sessions
)
model = SecondLevelModel(mask_img=pairs.mask_img, model=model_of_pairs)
model.fit(pairs.paths, design_matrix=design)
list(design.columns)

# %%
# Whether patients change more than controls. With two maps of each subject, this is the two-sample
# t-test of the differences, with 30 degrees of freedom.
change = design.columns[3]
weights = (design.columns == change).astype(float)
z_change = model.compute_contrast(weights)
plot_stat_map(
    z_change, threshold=3.1, cut_coords=[18], display_mode="z", title=change
)

# %%
model.results_.contrast(weights).df[:5]

# %%
# The same model tests the mean of the groups before the treatment, which a column for each subject
# would not allow.
group = (design.columns == design.columns[1]).astype(float)
plot_stat_map(
    model.compute_contrast(group),
    threshold=3.1,
    cut_coords=[54],
    display_mode="z",
    title="patients before the treatment",
)

# %%
# Four visits, some of them missed
# --------------------------------
# Three of ten later visits are missing. All maps count, also those of subjects with one.
visits = simulate_longitudinal_study(
    f"{folder.name}/visits", n_subjects=20, n_visits=4, missed=0.3, seed=1
)
visits.sessions.groupby("participant_id").size().value_counts().sort_index()

# %%
unbalanced = SecondLevelModel(mask_img=visits.mask_img, model="repeated measures")
unbalanced.fit(
    visits.paths,
    design_matrix=visits.design_matrix,
    subjects=visits.sessions["participant_id"],
)
plot_stat_map(
    unbalanced.compute_contrast("patient:time"),
    threshold=3.1,
    cut_coords=[18],
    display_mode="z",
    title="slopes of patients and controls",
)

# %%
# Each subject at the place where patients change most: thin lines are subjects, thick lines the
# means of the fitted values.
plot_spaghetti(
    visits.paths,
    visits.sessions["participant_id"],
    visits.design_matrix,
    "patient:time",
    position=visits.effects["patient:time"].peak,
)

# %%
# How alike are the maps of a subject?
# ------------------------------------
# The intraclass correlation: the truth is 2/3 left of the middle of the brain, and 1/3 right of it.
plot_stat_map(
    unbalanced.intraclass_correlation_,
    vmax=1.0,
    cut_coords=[-30, 0, 30],
    display_mode="z",
    label="intraclass correlation",
)

# %%
inside = visits.mask_img.get_fdata() > 0
found = unbalanced.intraclass_correlation_.get_fdata()[inside]
true = visits.intraclass_correlation_img.get_fdata()[inside].round(3)
recovered = pd.Series(
    {value: np.median(found[true == value]) for value in np.unique(true)}
)
recovered.round(2)

# %%
folder.cleanup()
