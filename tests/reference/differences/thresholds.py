# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: thresholds, tables and bounds."""

from __future__ import annotations

from reference.differences.entry import Difference

THRESHOLDS = (
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
)
