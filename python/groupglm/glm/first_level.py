# SPDX-License-Identifier: BSD-3-Clause
"""Says what to use in the place of ``nilearn.glm.first_level``, which has no name here."""

from typing import TYPE_CHECKING

from groupglm.runtime.elsewhere import NO_FIRST_LEVEL, absent_names

__all__: list[str] = []

if not TYPE_CHECKING:  # a type checker would accept every name
    __getattr__ = absent_names(
        __name__,
        {
            "FirstLevelModel": NO_FIRST_LEVEL,
            "check_design_matrix": NO_FIRST_LEVEL,
            "compute_regressor": NO_FIRST_LEVEL,
            "first_level_*": NO_FIRST_LEVEL,
            "glover_*": NO_FIRST_LEVEL,
            "make_first_level_*": NO_FIRST_LEVEL,
            "mean_scaling": NO_FIRST_LEVEL,
            "run_glm": NO_FIRST_LEVEL,
            "spm_*": NO_FIRST_LEVEL,
        },
    )
