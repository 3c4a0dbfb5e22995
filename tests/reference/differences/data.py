# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: images, masks and maskers."""

from __future__ import annotations

from reference.differences.entry import Difference

DATA = (
    Difference(
        "missing_values",
        "NaN in some images",
        "counts as zero",
        'left out voxel by voxel, with maps of n and of degrees of freedom; `missing="zero"` does '
        "as nilearn",
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
    Difference(
        "options_of_the_masker",
        "`get_params` and `set_params` of `masker_`, or its copy by `sklearn.base.clone`",
        "the options of a NiftiMasker; a copy without a mask",
        "no options, and `clone` returns the masker itself",
        "`masker_` is the masker of the fit, and never changes",
    ),
)
