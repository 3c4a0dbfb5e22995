# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: tests by permutation."""

from __future__ import annotations

from reference.differences.entry import Difference

PERMUTATION = (
    Difference(
        "scale_of_tfce",
        "`tfce=True`",
        "a sum over 100 heights up to the largest statistic, without the width of a step: some "
        "100 / max times the integral, another scale for each permutation",
        'the integral, exactly; `tfce="steps"` gives nilearn\'s sum',
        "values of one map can then be compared with those of another one",
    ),
    Difference(
        "table_permuted_without_a_design",
        "a table of maps without a design matrix in `non_parametric_inference`",
        "an error about the type of the design matrix; `SecondLevelModel` fits the mean",
        "the mean is tested, as in `SecondLevelModel`",
        "one table means the same in both",
    ),
    Difference(
        "legacy_output",
        '`permuted_ols(output_type="legacy")`',
        "a tuple of three arrays, with a warning that it will go",
        'an error; the dictionary has them as `"logp_max_t"`, `"t"` and `"h0_max_t"`',
        "nilearn 0.15 removes it",
    ),
    Difference(
        "contrast_of_several_columns",
        "a contrast of several columns, such as `a - b`",
        "columns of the contrast are replaced by their weighted sum; the statistic is not that "
        "of `compute_contrast`",
        "exactly this contrast, by partition of the design; the statistic is that of "
        "`compute_contrast`",
        "a model with `a - b` in place of `a` and `b` is another model",
    ),
    Difference(
        "f_contrast_permuted",
        "an F contrast",
        "an error",
        "tested",
        "several groups are compared at once by an F contrast",
    ),
    Difference(
        "constant_among_the_confounds",
        "a constant among the confounds of `permuted_ols`",
        "the tested variable is not permuted: signs of the images are flipped",
        "the tested variable is permuted, as without the constant",
        "the intercept is in the model either way, and is not what is tested",
    ),
    Difference(
        "degrees_of_freedom_of_several_variables",
        "several tested variables, and a `threshold` for clusters",
        "the degrees of freedom of a model of all variables decide which t is the threshold",
        "each variable has the threshold of its own model",
        "each variable has the t of its own model",
    ),
    Difference(
        "fewer_permutations_than_asked",
        "a design with fewer permutations than `n_perm`",
        "permutations are repeated",
        "each is done once, with a warning; p is exact",
        "a repeated permutation adds nothing but noise",
    ),
    Difference(
        "cluster_threshold_above_one",
        "`threshold=3.0`",
        "no voxel is in a cluster",
        'an error; `cluster_threshold_scale="z"` takes 3.0 as z',
        "the threshold is a p-value",
    ),
    Difference(
        "missing_values_permuted",
        "NaN in some images",
        "counts as zero; in arrays, the voxel has t NaN and -log10 p 0",
        "a voxel is tested with the images that have a value there; if this is not possible, p "
        'is NaN, with a warning. `missing="intersect"`, `"zero"` and `"raise"` are other '
        "choices",
        "a value that was not measured is not zero",
    ),
    Difference(
        "resampling_before_a_permutation",
        "`target_affine` and `target_shape` of `non_parametric_inference`",
        "not there",
        "those of `SecondLevelModel`",
        "both test the same images",
    ),
    Difference(
        "places_in_no_cluster",
        "p-values of clusters, at a voxel that is in no cluster",
        "p is 1 - 1 / n_perm: -log10 p is 0.0044 with 100 permutations",
        "p is 1: -log10 p is 0",
        "no cluster is no evidence, however many permutations there are",
    ),
)
