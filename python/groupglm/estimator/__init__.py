# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: the one place that orchestrates, and the files that it is saved in."""
