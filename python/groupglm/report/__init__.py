# SPDX-License-Identifier: BSD-3-Clause
"""One page about a fitted model: it draws results and never computes them anew.

`HTMLReport` is the page; a `PermutationTest` of a contrast may be part of it. The page is one file:
pictures, style, program and data are inside, and nothing is loaded from elsewhere.
"""

from groupglm.report.html_report import HTMLReport
from groupglm.report.permutation_test import PermutationTest

__all__ = ["HTMLReport", "PermutationTest"]
