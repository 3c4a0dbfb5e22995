# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: the model and its contrasts."""

from __future__ import annotations

from reference.differences.entry import Difference

MODELS = (
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
        "one `OlsFit` of all voxels; the error of `labels_` says what to use",
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
        "maps_are_float32",
        "type and shape of maps",
        "float64, also smoothed images of float64; R-squared is 4-D with one volume",
        "float32; R-squared is 3-D",
        "half the size, with more digits than any image has",
    ),
    Difference(
        "model_in_text",
        "`str(model)`",
        "`Second Level Model`",
        "the class with its options, as `repr(model)`",
        "a model that is printed says how it was made",
    ),
)
