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
        "legacy_output",
        '`permuted_ols(output_type="legacy")`',
        "a tuple of three arrays, with a warning that it will go",
        'an error; the dictionary has them as `"logp_max_t"`, `"t"` and `"h0_max_t"`',
        "nilearn 0.15 removes it",
    ),
)
