# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices from formulas: Wilkinson's notation, checked and computed node by node."""
