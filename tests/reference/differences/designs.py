# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: tables, designs and confounds."""

from __future__ import annotations

from reference.differences.entry import Difference

DESIGNS = (
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
        'an error; give `model="repeated measures"`, a design with columns for the subjects, or '
        "exchangeability blocks of a permutation test",
        "six subjects with two maps each do not have eleven degrees of freedom",
    ),
    Difference(
        "repeated_subjects_in_a_design",
        "several images per subject, and a design without columns for the subjects",
        "each image is an independent observation",
        "an error if labels say to whom the images belong; give "
        '`model="repeated measures"`, columns for the subjects, or exchangeability blocks',
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
        "categories_in_a_design",
        "a design matrix with a column of categories that are numbers",
        "they count as measurements",
        "an error that says how to code them",
        "the number of a site is no measurement",
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
)
