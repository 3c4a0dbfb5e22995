# SPDX-License-Identifier: BSD-3-Clause
"""The steps that several commands share: design, fit, corrections, permutation tests."""
