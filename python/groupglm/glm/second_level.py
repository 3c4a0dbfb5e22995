# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: those of ``nilearn.glm.second_level``."""

from groupglm import SecondLevelModel, make_second_level_design_matrix, non_parametric_inference

__all__ = ["SecondLevelModel", "make_second_level_design_matrix", "non_parametric_inference"]
