# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: plots."""

from __future__ import annotations

from reference.differences.entry import Difference

PLOTS = (
    Difference(
        "colours_of_one_sign",
        "a plot of a map whose values have one sign, in colours that diverge",
        "the colours go from the smallest to the largest value, so that small positive values are "
        "blue",
        "zero has the middle colour, and the bar shows one half",
        "the colour tells the sign",
    ),
    Difference(
        "zero_in_plots",
        "`threshold=None` in `plot_stat_map`",
        "zero is drawn over the picture of the brain",
        "zero is never drawn",
        "maps are zero outside the mask",
    ),
    Difference(
        "infinite_values_in_plots",
        "infinite values in a map that is drawn",
        "count as zero",
        "drawn in the last colour, whatever the threshold",
        "an effect without any residual variance is the strongest evidence",
    ),
    Difference(
        "threshold_of_p_values_in_plots",
        "a plot of a map that is known to hold p-values, with a threshold",
        "p-values above the threshold are drawn",
        "an error",
        "large p-values are no evidence",
    ),
    Difference(
        "cuts_through_the_peak",
        "`plot_stat_map` without `cut_coords`",
        "cuts through the centre of the largest cluster",
        "cuts through the largest value",
        "the strongest effect is in the picture",
    ),
    Difference(
        "number_of_cuts",
        "a number of cuts in `plot_stat_map`, such as `cut_coords=5`",
        "planes with the largest single values, far from each other",
        "the plane of the largest value, then planes with the largest sum of values",
        "large clusters are in the picture, too",
    ),
    Difference(
        "values_between_voxels",
        "a plot of a map whose voxels are not parallel to the axes",
        "resampled: values between those of voxels are drawn, and compared with the threshold",
        "each point has the value of its voxel",
        "exactly the values above the threshold are drawn",
    ),
    Difference(
        "columns_of_a_drawn_design",
        "`plot_design_matrix`",
        "columns are divided by the root of their sum of squares",
        "columns are divided by their largest size, and constant ones are grey with their value",
        "a column has the same colours however many images there are",
    ),
    Difference(
        "options_for_matplotlib",
        "options of matplotlib's `imshow`, such as `alpha`, in `plot_stat_map` or "
        "`plot_glass_brain`",
        "passed on; `alpha` is replaced by `transparency`, with a warning",
        "an error; `transparency` is there, and `add_overlay` passes options on",
        "a misspelt option is noticed",
    ),
    Difference(
        "transparency_of_a_glass_brain",
        "an image as `transparency` of `plot_glass_brain`",
        "projected by its own largest values",
        "an error; give a number",
        "the largest value and the largest opacity on a line may be of different voxels",
    ),
    Difference(
        "edges_and_graphs",
        "`add_edges` and `add_graph` of a display",
        "draw the edge of an image, or a graph of connections",
        "not there",
        "they do not show results of a group model; `add_contours` draws outlines",
    ),
    Difference(
        "maps_on_surfaces",
        "`plot_surf_stat_map`",
        "draws one hemisphere, by `hemi`; a triangle has the mean of its corners",
        "draws a map of both hemispheres from several `views`; the mesh is that of the map, or "
        "`surfaces`; each point has the value of the nearest vertex",
        "exactly the values above the threshold are drawn",
    ),
)
