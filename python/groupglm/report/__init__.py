# SPDX-License-Identifier: BSD-3-Clause
"""One page about a fitted model: draws results, never computes them anew.

`HTMLReport` is what comes out; a `PermutationTest` of a contrast may go in. The page is one file:
pictures, style, program and data are within it, and nothing is loaded from anywhere.
"""

from groupglm.report.html_report import HTMLReport
from groupglm.report.permutation_test import PermutationTest

__all__ = ["HTMLReport", "PermutationTest"]
