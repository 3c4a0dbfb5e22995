# SPDX-License-Identifier: BSD-3-Clause
"""Spatial confidence sets: where an effect is at least so large, and where it is smaller.

`boundary` is where the estimate passes the level, between neighbours. `bootstrap` finds how far the
estimate strays from the truth there. `estimates` are what is compared with the level, with standard
errors and residuals, and `sets` puts them together.
"""
