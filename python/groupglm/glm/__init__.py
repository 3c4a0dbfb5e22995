# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: thresholds and bounds of ``nilearn.glm``."""

from typing import TYPE_CHECKING

from groupglm import cluster_level_inference, fdr_threshold, threshold_stats_img
from groupglm.glm import first_level, second_level
from groupglm.runtime.elsewhere import NO_GLM_TO_BIDS, absent_names

__all__ = [
    "cluster_level_inference",
    "fdr_threshold",
    "first_level",
    "second_level",
    "threshold_stats_img",
]

if not TYPE_CHECKING:  # a type checker would accept every name
    _ON_ARRAYS = "groupglm.fit_ols fits arrays, and contrasts are a method of what it returns"
    __getattr__ = absent_names(
        __name__,
        {
            "*Model": _ON_ARRAYS,
            "*Results": _ON_ARRAYS,
            "Contrast": _ON_ARRAYS,
            "compute_contrast": _ON_ARRAYS,
            "compute_fixed_effects": (
                "SecondLevelModel(model='fixed effects') joins effects, whose variances are an "
                "argument of its method fit"
            ),
            "expression_to_contrast_vector": "every contrast of groupglm may be an expression",
            "save_glm_to_bids": NO_GLM_TO_BIDS,
        },
    )
