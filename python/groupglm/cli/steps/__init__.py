# SPDX-License-Identifier: BSD-3-Clause
"""What several commands do on the way: the design, the fit, corrections, permutation tests."""
