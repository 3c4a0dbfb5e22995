# SPDX-License-Identifier: BSD-3-Clause
"""
Surfaces: two groups on the cortex
==================================

Where on the cortex do two groups differ? The maps of the subjects are values at the vertices of a
mesh, one file for each hemisphere. This example fits both hemispheres as one image, finds clusters
in mm2, tests them by permutation, and compares all of it with the truth.
"""

# %%
# The data
# --------
# The maps of 24 subjects, patients and controls, with their ages. Patients have more in one place
# of the left hemisphere. The response grows with age in one place of the right one. The meshes are
# two simple hemispheres of 2,562 vertices each, with a little folding.
import tempfile

import numpy as np
import pandas as pd

from groupglm import (
    SecondLevelModel,
    get_clusters_table,
    non_parametric_inference,
    threshold_stats_img,
)
from groupglm.datasets import simulate_surface_study
from groupglm.plotting import plot_surf_stat_map

folder = tempfile.TemporaryDirectory()
study = simulate_surface_study(folder.name, n_subjects=24)
[path.name for path in study.paths[0]]

# %%
# The fit
# -------
# ``fit`` takes pairs (left, right). The vertices of the medial wall are zero in all maps, so they
# are outside the mask. ``surfaces`` is not needed for the fit, but for what comes after it.
model = SecondLevelModel(surfaces=study.surfaces)
model.fit(study.paths, design_matrix=study.design_matrix)
z_group = model.compute_contrast("group")
plot_surf_stat_map(
    z_group, surfaces=study.surfaces, threshold=3.0, title="patients - controls: z"
)

# %%
# Clusters
# --------
# The question is where patients have more, so the tests are one-sided. The false discovery rate is
# controlled over the vertices of both hemispheres. Clusters are vertices that share edges of the
# mesh, and their size is an area.
thresholded, z_limit = threshold_stats_img(
    z_group, alpha=0.05, height_control="fdr", two_sided=False
)
table = get_clusters_table(
    z_group, z_limit, cluster_threshold=100, surfaces=study.surfaces
)
table.round(2)

# %%
# Permutation
# -----------
# The labels of the groups are exchanged 500 times. The largest statistic of both hemispheres
# counts, so p is corrected for all of the cortex.
permuted = non_parametric_inference(
    study.paths,
    design_matrix=study.design_matrix,
    second_level_contrast="group",
    surfaces=study.surfaces,
    n_perm=500,
    threshold=0.001,
    tfce=True,
    random_state=0,
)
LOGP_LIMIT = -np.log10(0.05)
plot_surf_stat_map(
    permuted["logp_max_tfce"],
    surfaces=study.surfaces,
    threshold=LOGP_LIMIT,
    vmax=-np.log10(1 / 501),
    title="TFCE by permutation: -log10 p, corrected",
)


# %%
# Against the truth
# -----------------
# The true effect of the group is a blob around one vertex of the left hemisphere, and zero in the
# right one. It never ends, so its share is counted where it is at least half as high as its peak,
# and false vertices where it is below a hundredth of that.
def both(surface_maps):
    """Return the values of both hemispheres, left first."""
    halves = (surface_maps.left, surface_maps.right)
    return np.concatenate([half.darrays[0].data for half in halves])


truth = np.concatenate([study.truth["group"]["left"], study.truth["group"]["right"]])
height = study.effects["group"].height
tests = {
    "false discovery rate": both(thresholded) != 0,
    "largest t": both(permuted["logp_max_t"]) > LOGP_LIMIT,
    "size of clusters": both(permuted["logp_max_size"]) > LOGP_LIMIT,
    "TFCE": both(permuted["logp_max_tfce"]) > LOGP_LIMIT,
}
found = pd.DataFrame(
    {
        name: {
            "core found": f"{significant[truth >= height / 2].mean():.0%}",
            "false vertices": int((significant & (truth < height / 100)).sum()),
        }
        for name, significant in tests.items()
    }
).T
found

# %%
# The strongest vertex is near the true one.
vertex = int(np.nan_to_num(both(z_group)).argmax())
vertex, study.effects["group"].vertex

# %%
# Common mistakes
# ---------------
# * To test the hemispheres one by one. Each of two tests at 0.05 has its own false findings. Here
#   both are one family.
# * To count vertices. On real meshes the areas of vertices differ four to eight times, so a number
#   of vertices depends on where the cluster lies. Give ``surfaces``, and sizes are areas.
# * To give an inflated surface or a sphere for areas. Use white, midthickness or pial for these. An
#   inflated one is for ``plot_surf_stat_map`` alone.
# * To compare maps of native meshes. Bring them to fsaverage or fsLR first.
folder.cleanup()
