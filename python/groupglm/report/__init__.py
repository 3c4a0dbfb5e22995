# SPDX-License-Identifier: BSD-3-Clause
"""One page about a fitted model: draws results, never computes them anew.

`ReportingMixin` gives the estimator its ``generate_report``; `HTMLReport` is what comes out. The
page is one file: pictures, style, program and data are within it, and nothing is loaded from
anywhere.
"""

from groupglm.report.generating import ReportingMixin
from groupglm.report.html_report import HTMLReport

__all__ = ["HTMLReport", "ReportingMixin"]
