# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: those of ``nilearn.reporting``."""

from groupglm import get_clusters_table
from groupglm.estimator.reporting import make_glm_report
from groupglm.report import HTMLReport

__all__ = ["HTMLReport", "get_clusters_table", "make_glm_report"]
