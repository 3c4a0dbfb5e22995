# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: those of ``nilearn.reporting``."""

from typing import TYPE_CHECKING

from groupglm import get_clusters_table
from groupglm.report import HTMLReport
from groupglm.runtime.elsewhere import absent_names

__all__ = ["HTMLReport", "get_clusters_table"]

if not TYPE_CHECKING:  # a type checker would accept every name
    __getattr__ = absent_names(
        __name__, {"make_glm_report": "use the method generate_report of the fitted model"}
    )
