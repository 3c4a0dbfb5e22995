# SPDX-License-Identifier: BSD-3-Clause
"""nilearn's tests that fail with our functions in place, each with the reason.

A test's name may have ``*`` for any text. Every test that a line names must fail: a line that is no
longer needed is an error.
"""

from __future__ import annotations

from typing import NamedTuple


class Exempt(NamedTuple):
    """A test, or several, and why they fail.

    Attributes
    ----------
    test : str
        Its name, without its module; `*` stands for any text.
    why : str
        The name of an entry of `reference.differences`, or else a reason.
    says : str
        What each failure must say, so that no other one hides behind the line.
    """

    test: str
    why: str
    says: str


EXEMPT: dict[str, tuple[Exempt, ...]] = {
    "second level": (
        Exempt(
            "test_warning_overriding_with_masker_parameter",
            "masker_without_a_conflict",
            "Overriding provided-default estimator parameters",
        ),
        Exempt(
            "test_fmri_inputs_pandas_errors",
            "a data frame without the columns of a table of maps is a table of regions",
            "holds no numbers",
        ),
        Exempt("test_fmri_inputs_flms[*", "repeated_subjects", "has 3 maps of 1 subjects"),
        Exempt(
            "test_fmri_inputs_images[None]",
            "no_residual_degree_of_freedom",
            "no residual degrees of freedom",
        ),
        Exempt(
            "test_fmri_inputs_images[confounds1]",
            "option_without_effect",
            "confounds are matched by subject label",
        ),
        Exempt(
            "test_fmri_inputs_dataframes_as_input[*",
            "one_file_for_two_subjects",
            "one file for the maps of subject",
        ),
        Exempt(
            "test_fmri_pandas_series_as_input",
            "no_residual_degree_of_freedom",
            "no residual degrees of freedom",
        ),
        Exempt("test_design_matrix_path[*", "nameless_column", "has a column without a name"),
        Exempt("test_second_level_glm_computation", "results", "no attribute 'labels_'"),
        Exempt("test_second_level_voxelwise_attribute_errors[*", "fit_that_fits", "DID NOT RAISE"),
        Exempt(
            "test_second_lvl_dataframe_computation",
            "one_file_for_two_subjects",
            "one file for the maps of subject",
        ),
    ),
    "design matrix": (),
    "thresholds": (),
    "cluster tables": (
        Exempt(
            "test_get_clusters_table_nans", "nan_in_the_background", "Non-finite values detected"
        ),
    ),
    "permutation, images": (
        Exempt("test_with_paths", "one_file_for_two_subjects", "one file for the maps of subject"),
        Exempt(
            "test_fmri_inputs_errors",
            "option_without_effect",
            "confounds are matched by subject label",
        ),
        Exempt(
            "test_cluster_level_with_covariates",
            "no_residual_degree_of_freedom",
            "no residual degrees of freedom",
        ),
        Exempt(
            "test_contrast_formula[*",
            "no_residual_degree_of_freedom",
            "no residual degrees of freedom",
        ),
    ),
    "permutation, arrays": (
        Exempt("test_cluster_level_parameters_warnings", "legacy_output", "FutureWarning"),
        Exempt("test_tfce_smoke_legacy_warnings", "legacy_output", "DID NOT WARN"),
    ),
    "smoothing": (),
    "resampling": (
        Exempt("test_resampling_nan_big[*", "missing_values_resampled", "RuntimeWarning"),
    ),
    "slices": (),
    "glass brain": (),
    "matrices": (),
}
