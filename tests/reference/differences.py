# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: the one list of it.

Each entry has a test of its name in tests/parity/test_differences_*.py, which shows both answers on
the same input, and a row in docs/coming-from-nilearn.md. Run this file to print the rows.
"""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """A deliberate difference: on what input, what each package does, and why ours does."""

    name: str
    given: str
    nilearn: str
    groupglm: str
    why: str


DIFFERENCES = (
    # Data
    Difference(
        "missing_values",
        "NaN in some images",
        "counts as zero",
        'left out voxel by voxel, with maps of n and of degrees of freedom; `missing="zero"` does '
        "as nilearn",
        "a value that was not measured is not zero",
    ),
    Difference(
        "found_mask_of_incomplete_images",
        "a mask found where an image has NaN up to its faces",
        "all voxels where no image has NaN: the background is in the mask, what one image lacks"
        " is not",
        "the brain, at voxels where enough images have values to leave a residual degree of "
        "freedom",
        "one cropped image should not remove voxels that all other images have",
    ),
    Difference(
        "found_mask_of_a_table",
        "a mask found from a table of maps",
        "the mask of the first map",
        "the mask of the mean of all maps, as for a list",
        "the order of the maps should not matter",
    ),
    Difference(
        "infinite_values",
        "infinite values in an image",
        "count as zero",
        "an error that says which image and how many",
        "they come from a division by zero in an earlier step",
    ),
    Difference(
        "constant_voxel",
        "a voxel that has the same value in all images",
        "a statistic of rounding errors: large for an effect that is zero",
        "0 for an effect that is zero, infinite for one that is not",
        "there is no variance to divide by, and rounding errors are no evidence",
    ),
    Difference(
        "images_on_other_grids",
        "images on different grids",
        "an error that lists the pairs that differ",
        "an error that names the first image that differs, and says by how many mm",
        "you know which image to repair, and whether it differs by rounding or lies in another "
        "space",
    ),
    Difference(
        "mask_on_another_grid",
        "a mask on another grid than the images",
        "images resampled to the mask, with a warning about memory",
        "an error that says by how much they differ",
        "resampling changes every number, so you have to ask for it",
    ),
    Difference(
        "mask_of_several_values",
        "a mask with several values besides zero, such as an atlas or a map of probabilities",
        "all voxels that are not zero, also those with a probability of 0.001",
        "an error; threshold it first",
        "it may not be meant as a mask",
    ),
    Difference(
        "several_volumes",
        "a 4-D mask in a model or `cluster_level_inference`, or a 4-D map in `threshold_stats_img`",
        "one volume of the mask is used, without a warning; one threshold for all volumes of a map",
        "an error, as nilearn's elsewhere",
        "the mask may be the wrong one, and each map has its own threshold",
    ),
    Difference(
        "masker_for_time_series",
        "a masker that standardises or detrends",
        "standardised or detrended across subjects",
        "an error",
        "this removes the effects that are tested",
    ),
    Difference(
        "masker_without_a_conflict",
        "a masker whose options are those of the model",
        "a warning that the masker's mask overrides the masker",
        "no warning",
        "nothing is overridden",
    ),
    Difference(
        "fitted_masker_permuted",
        "a masker that has found its mask, as the `mask` of `non_parametric_inference`",
        "finds another mask in the images, without a warning; `SecondLevelModel` keeps its mask",
        "its mask, as in `SecondLevelModel`",
        "you have fitted it to get this mask",
    ),
    Difference(
        "masker_that_does_not_smooth",
        "`smoothing_fwhm` of `non_parametric_inference` beside a masker that does not smooth",
        "not smoothed, without a warning",
        "not smoothed, with the warning of `SecondLevelModel`",
        "you would believe that the images are smoothed",
    ),
    Difference(
        "fitting_the_masker_again",
        "`masker_.fit_transform` of a model that has found its mask",
        "finds another mask in these images; the rows no longer fit the model",
        "rows of the mask of the fit",
        "`masker_` is the masker of the fit",
    ),
    # Inputs
    Difference(
        "unsorted_table",
        "an unsorted table of maps and a design matrix",
        "maps are sorted, the design is not: rows are used for maps of other subjects",
        "matched by label; an error without labels",
        "no subject may get the row of another",
    ),
    Difference(
        "labels_that_differ",
        "a table of maps, and a design whose labels are others: `sub-01` for `01`, 1 for `01`",
        "matched by position",
        "an error that names both sides, and the labels that are near each other",
        "the labels say to whom the rows belong",
    ),
    Difference(
        "labels_in_names",
        "files called `sub-01...` and a design with labels, in another order",
        "matched by position",
        "matched by label; an error if the labels differ. Row numbers are not labels",
        "no subject may get the row of another",
    ),
    Difference(
        "repeated_subjects",
        "a table with several maps per subject, without a design",
        "each map is an independent observation",
        "an error; give a design, or exchangeability blocks of a permutation test",
        "six subjects with two maps each do not have eleven degrees of freedom",
    ),
    Difference(
        "repeated_subjects_in_a_design",
        "several images per subject, and a design without columns for the subjects",
        "each image is an independent observation",
        "the same, with a warning if labels say to whom the images belong",
        "p-values are wrong if the images of a subject resemble each other",
    ),
    Difference(
        "one_file_for_two_subjects",
        "one file as the maps of two subjects (also under two names)",
        "fitted",
        "an error in a table, a warning in a list",
        "two subjects do not share a brain: a path was copied by mistake",
    ),
    Difference(
        "table_with_one_kind_of_map",
        "a table with one map name and no `first_level_contrast`",
        "an error about 0 maps",
        "fitted",
        "there is nothing to choose",
    ),
    Difference(
        "series_with_an_index",
        "a Series of paths whose index does not begin with 0",
        "`KeyError: 0`",
        "the paths are used in their order",
        "the column of a filtered table has such an index",
    ),
    Difference(
        "path_of_a_4d_image",
        "the path of one 4-D image",
        "an error when a contrast is computed",
        "fitted, as the image itself is",
        "a path stands for its image everywhere else",
    ),
    Difference(
        "mixed_series",
        "a Series of file names and images in memory together",
        "fitted, but the same list is an error",
        "an error for the Series and the list",
        "one rule for lists and Series",
    ),
    Difference(
        "nameless_column",
        "a design file with a nameless column (a saved row index)",
        "a regressor that counts the images",
        "an error",
        "it is a mistake, and it costs a degree of freedom and part of the effect",
    ),
    Difference(
        "categorical_confounds",
        "confounds that are text, categories or booleans",
        "an error about float64; categories that are numbers count as measurements",
        "treatment coding, and the log names the reference level; booleans are 0 and 1",
        "sex, site and group are the usual confounds",
    ),
    Difference(
        "singular_warning",
        "confounds in units of very different size",
        "a warning that the design is singular",
        "a warning only if columns depend on each other; it names them",
        "units change the condition number, but not the fit",
    ),
    Difference(
        "repeated_columns",
        "a design with two columns of the same name",
        "a contrast with this name tests the first",
        "an error",
        "groupglm cannot know which one you mean",
    ),
    Difference(
        "boolean_columns",
        "a design matrix with columns of booleans beside numbers",
        "`object arrays are not supported`",
        "booleans count as 0 and 1",
        "pandas' `get_dummies` makes such columns",
    ),
    Difference(
        "option_without_effect",
        "an option without effect, such as `confounds` beside a design matrix",
        "ignored",
        "a warning; confounds of a list of images are an error",
        "you would believe that the confounds are in the model",
    ),
    # Smoothing and resampling
    Difference(
        "missing_values_smoothed",
        "NaN in an image to be smoothed",
        "counts as zero, which pulls its neighbours towards zero",
        "stays missing; its neighbours are averages of the values that are there",
        "a missing value is not zero",
    ),
    Difference(
        "infinite_values_smoothed",
        "infinite values in an image to be smoothed",
        "count as zero",
        "an error",
        "a Gaussian would spread them, and zero would be invented",
    ),
    Difference(
        "infinite_values_resampled",
        "infinite values in an image to be resampled",
        "become NaN",
        "stay infinite, and do not change other voxels",
        "resampling should not hide what is an error in a fit",
    ),
    Difference(
        "missing_values_resampled",
        "NaN in an image to be resampled",
        "a warning that this is bad and slow",
        "the same numbers, without a warning",
        "a missing value is no fault, and changes no other value",
    ),
    Difference(
        "integers_interpolated",
        "integers resampled by a spline or linearly",
        "linearly, and by a spline if unsigned, the values are cut to integers",
        "float32, or float64 if the integers need it",
        "0.5 lies between 0 and 1",
    ),
    Difference(
        "scaled_unit_matrix",
        "`target_affine=2 * numpy.eye(4)`, and an image that does not begin at 0 mm",
        "the place where the image begins is multiplied by 2",
        "axes of 2 mm that begin at 0 mm",
        "a header has no last row, which is multiplied here too",
    ),
    Difference(
        "fast_smoothing",
        '`fwhm="fast"`',
        "a fixed filter of neighbouring voxels",
        "an error",
        "its width in mm depends on the image",
    ),
    Difference(
        "width_of_each_axis",
        "`smoothing_fwhm` with a width for each axis",
        "an error of the model, accepted by `smooth_img`",
        "accepted by both",
        "one argument should have one meaning",
    ),
    Difference(
        "other_grids_with_a_target",
        "images on different grids, and a `target_affine`",
        "an error",
        "each is resampled to the target",
        "you have asked for resampling",
    ),
    Difference(
        "faces_that_rounding_empties",
        "affines that differ by rounding, and a target grid that reaches beyond a face",
        "the face is zero, sometimes in one image only",
        "a position within 0.001 mm of the face is on the face",
        "headers hold float32: a rounding of 1e-6 mm should not remove a plane of the brain",
    ),
    Difference(
        "outside_the_field_of_view",
        "a target grid that reaches beyond the images, in a fit",
        "zero there",
        'missing there; `missing="zero"` does as nilearn',
        "a value that was not measured is not zero",
    ),
    Difference(
        "zeros_in_some_images",
        "exact zeros in some images where others have values",
        "they count as values, without a warning",
        "they count as values, with a warning and a map of their number; `zero_is_missing=True`"
        " leaves them out",
        "many programs write zero outside the brain of a subject",
    ),
    Difference(
        "legacy_output",
        '`permuted_ols(output_type="legacy")`',
        "a tuple of three arrays, with a warning that it will go",
        'an error; the dictionary has them as `"logp_max_t"`, `"t"` and `"h0_max_t"`',
        "nilearn 0.15 removes it",
    ),
    # Model
    Difference(
        "rank_deficient_design",
        "linearly dependent columns",
        "variance over n - columns",
        "variance over n - rank, and a warning that names the columns",
        "a redundant column costs no degree of freedom",
    ),
    Difference(
        "no_residual_degree_of_freedom",
        "no residual degree of freedom",
        "z is NaN, the variance infinite",
        "an error",
        "there is nothing to estimate the variance from",
    ),
    Difference(
        "r_square_without_intercept",
        "a design without an intercept",
        "R-squared about the mean, which may exceed 1",
        "R-squared about zero, as R does",
        "the model without effects predicts zero, not the mean",
    ),
    Difference(
        "fit_that_fits",
        "`fit`",
        "checks the input and makes the mask; each contrast reads all images and fits again",
        "reads the images once; residuals and R-squared are available after it",
        "a further contrast takes milliseconds, and needs no files",
    ),
    Difference(
        "refit",
        "a second fit that fails",
        "contrasts are computed from the old design and the new data",
        "the model is not fitted",
        "a map must not be a mixture of two fits",
    ),
    Difference(
        "results",
        "`results_`",
        "a dictionary by autocorrelation label, beside `labels_`",
        "one `OlsFit` of all voxels",
        "group-level data have no autocorrelation",
    ),
    Difference(
        "names_without_an_underscore",
        "`residuals`, `predicted` and `r_square`",
        "attributes, with a warning that they will go; `residuals_`, `predicted_` and `r_square_` "
        "are the same images",
        "methods, which return a list with the image of `residuals_`, `predicted_` or `r_square_`",
        "as methods they can write to a file that is larger than the memory: `residuals(out=...)`",
    ),
    # Contrasts
    Difference(
        "not_estimable_contrast",
        "a contrast that the design cannot estimate",
        "a number",
        "`NotEstimableError`, which names the columns",
        "the number depends on the solver, not on the data",
    ),
    Difference(
        "contrast_expressions",
        "an expression that is not a linear combination, such as `age + 1` or `age > 0`",
        "evaluated: to `[1, 2]` and `[0, 1]` for the columns `intercept` and `age`",
        "an error; expressions are parsed, never executed",
        "the 1 would be added to the weight of every column",
    ),
    Difference(
        "contrast_too_short",
        "a contrast with fewer numbers than columns",
        "padded with zeros, with a warning",
        "an error that names the columns",
        "the missing number may belong to any column",
    ),
    Difference(
        "labelled_contrast",
        "a contrast as a Series with the columns in another order",
        "matched by position",
        "an error",
        "its labels name other columns",
    ),
    Difference(
        "list_of_expressions",
        "a list of names or expressions",
        "an error",
        "an F contrast, with one row for each",
        "rows are easier to read by name",
    ),
    Difference(
        "effect_size_of_f",
        "`effect_size` of an F contrast",
        "whitened effects",
        "the effects of the rows of the contrast, also as a 4-D image",
        "effects are in the units of the images",
    ),
    Difference(
        "p_underflow",
        "p below 1e-300",
        "z stops at 37",
        "z exact",
        "large studies have such p, and their peaks should not be tied",
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
        "maps_are_float32",
        "type and shape of maps",
        "float64, also smoothed images of float64; R-squared is 4-D with one volume",
        "float32; R-squared is 3-D",
        "half the size, with more digits than any image has",
    ),
    # Thresholds and tables
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
        "scale_of_tfce",
        "`tfce=True`",
        "a sum over 100 heights up to the largest statistic, without the width of a step: some "
        "100 / max times the integral, another scale for each permutation",
        'the integral, exactly; `tfce="steps"` gives nilearn\'s sum',
        "values of one map can then be compared with those of another one",
    ),
    Difference(
        "numbers_of_negative_clusters",
        "`get_clusters_table` of both tails",
        "negative numbers begin after all rows of the positive tail, but with 1 in label maps",
        "clusters of both tails are numbered in one sequence, and label maps have the same numbers",
        "you can find the cluster of each row in the map",
    ),
    # Plots
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
)

HEADER = "| on this input | nilearn 0.14.1 | groupglm | because |\n|---|---|---|---|"


def table() -> str:
    """Return the list as the table of the page "Coming from nilearn"."""
    rows = (f"| {d.given} | {d.nilearn} | {d.groupglm} | {d.why} |" for d in DIFFERENCES)
    return "\n".join([HEADER, *rows])


if __name__ == "__main__":
    print(table())  # noqa: T201
