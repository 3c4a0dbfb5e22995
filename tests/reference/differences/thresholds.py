# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: thresholds, tables and bounds."""

from __future__ import annotations

from reference.differences.entry import Difference

THRESHOLDS = (
    Difference(
        "values_at_the_limits",
        "a size that is negative or not a whole number, `min_distance=0`, a negative width",
        "`cluster_threshold=-1` is 0 in `get_clusters_table`, and 2.5 an error; `min_distance=0` is"
        " an error; `fwhm=-2` does not smooth; NaN counts as zero",
        "what is negative or NaN is an error; 2.5 removes clusters of 1 and 2 voxels, and "
        "`min_distance=0` keeps every peak",
        "a slip of the sign is noticed, and what has a meaning is accepted",
    ),
    Difference(
        "statistic_taken_for_z",
        "a map of t, F, p, effects or variances in `threshold_stats_img` or "
        "`cluster_level_inference`",
        "its values count as z",
        "if sidecar, header or file name say what the map holds, t and F are converted to z by "
        "their degrees of freedom, and the others are an error",
        "a t of 4 with 5 degrees of freedom is a z of 2.6",
    ),
    Difference(
        "z_of_an_f_contrast",
        "both tails of the z of an F contrast",
        "tested, so that an F near zero is significant",
        "one tail, with a warning",
        "an F near zero is no evidence of an effect",
    ),
    Difference(
        "infinite_statistics",
        "infinite values in a map that is thresholded or tabulated",
        "count as zero",
        "beyond every threshold, and the peak of their cluster",
        "an effect without any residual variance is the strongest evidence",
    ),
    Difference(
        "nan_in_the_background",
        "NaN outside the brain, in a map of `get_clusters_table`",
        "counts as zero, with a warning",
        "is background, without a warning; NaN inside the brain is warned of",
        "many programs write NaN where there is no brain",
    ),
    Difference(
        "numbers_of_negative_clusters",
        "`get_clusters_table` of both tails",
        "negative numbers begin after all rows of the positive tail, but with 1 in label maps",
        "clusters of both tails are numbered in one sequence, and label maps have the same numbers",
        "you can find the cluster of each row in the map",
    ),
    Difference(
        "missing_values_of_a_map",
        "NaN inside the mask of a map that is thresholded",
        "a test with the value 0, and 0 in the result",
        "not a test; it stays NaN, with a warning",
        "a value that was not measured is not zero",
    ),
    Difference(
        "p_values_taken_for_z",
        "a map with values between 0 and 1 only, of which nothing says what it holds",
        "its values count as z",
        "they count as z, with a warning",
        "the z of a whole brain go beyond 1, and p-values do not",
    ),
    Difference(
        "p_value_as_threshold",
        "a threshold that looks like a p-value, such as 0.001",
        "compared with the values of the map",
        "compared with the values of the map, with a warning that says the z of this p",
        "nearly every voxel is beyond 0.001",
    ),
    Difference(
        "mask_of_a_map_on_another_grid",
        "a mask on another grid than the map that is thresholded",
        "the mask is resampled",
        "an error that says by how much they differ",
        "resampling changes which voxels are tested, so you have to ask for it",
    ),
    Difference(
        "proportion_of_true_discoveries",
        "`cluster_level_inference` of a map in which all voxels are discoveries",
        "a proportion of (n + 1) / n",
        "a proportion of 1",
        "no more voxels than there are can be discoveries",
    ),
    Difference(
        "negative_threshold",
        "a negative threshold of `get_clusters_table`",
        "the peaks with their sign changed, the weakest first",
        "the negative peaks, the strongest first",
        "the table shows the values of the map, in the order that it has for positive ones",
    ),
    Difference(
        "label_map_of_a_tail_without_a_cluster",
        "`get_clusters_table(..., two_sided=True, return_label_maps=True)`, and a tail without "
        "a cluster",
        "no map for this tail",
        "an empty map for this tail",
        "the second map is always that of the negative tail",
    ),
    Difference(
        "volume_of_slanted_voxels",
        "the size of a cluster of voxels with slanted axes",
        "the number of voxels, times the product of the lengths of their edges",
        "the number of voxels, times their volume",
        "slanted voxels are smaller than boxes with the same edges",
    ),
    Difference(
        "clusters_with_equal_peaks",
        "clusters with equal peaks in `get_clusters_table`",
        "in the order of a sort that is not stable, and may differ between machines",
        "the cluster with the first voxel comes first",
        "the same map should give the same table everywhere",
    ),
)
