# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: the one place that orchestrates, and the files in which it is saved."""
