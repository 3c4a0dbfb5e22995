# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: smoothed and resampled images."""

from __future__ import annotations

from reference.differences.entry import Difference

RESAMPLING = (
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
        "surfaces_smoothed",
        "a surface that is smoothed by a width",
        "FreeSurfer's number of iterations, but each leaves half of a value where it is, so that"
        " maps are a quarter narrower; NaN counts as zero",
        "FreeSurfer's rule: a vertex and its neighbours count the same; NaN is in no mean",
        "the number of iterations was fitted to that rule",
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
        "integers_filled",
        'integers resampled by `"nearest"` with a `fill_value` that their type does not have, '
        "such as 0.5 or NaN",
        "the fill is cast to the type: 0.5 becomes another number",
        "float32, or float64 if the integers need it, with this fill",
        "the fill should be the value that you give",
    ),
    Difference(
        "target_beside_the_data",
        "a target grid that lies wholly beside the image",
        "an error, or an image of nothing but the fill, depending on the side",
        "an error",
        "no value of the image is in the result",
    ),
)
