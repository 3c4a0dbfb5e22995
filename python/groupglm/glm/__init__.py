# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: thresholds and bounds of ``nilearn.glm``."""

from typing import TYPE_CHECKING

from groupglm import cluster_level_inference, fdr_threshold, threshold_stats_img
from groupglm.glm import second_level
from groupglm.runtime.elsewhere import absent_names

__all__ = ["cluster_level_inference", "fdr_threshold", "second_level", "threshold_stats_img"]

if not TYPE_CHECKING:  # a type checker would accept every name
    _ON_ARRAYS = "groupglm.fit_ols fits arrays, and contrasts are a method of what it returns"
    _FIRST_LEVEL = (
        "fit in nilearn, and give the fitted FirstLevelModel objects or the maps of their "
        "contrasts to groupglm.SecondLevelModel.fit"
    )
    __getattr__ = absent_names(
        __name__,
        {
            "*Model": _ON_ARRAYS,
            "*Results": _ON_ARRAYS,
            "Contrast": _ON_ARRAYS,
            "compute_contrast": _ON_ARRAYS,
            "compute_fixed_effects": _FIRST_LEVEL,
            "first_level": _FIRST_LEVEL,
            "expression_to_contrast_vector": "every contrast of groupglm may be an expression",
            "save_glm_to_bids": "`groupglm bids` writes a derivative data set, and model.save, "
            "model.compute_contrast and model.generate_report make the parts of it",
        },
    )
