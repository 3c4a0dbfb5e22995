# SPDX-License-Identifier: BSD-3-Clause
"""Inference on statistical maps: thresholds, clusters, true discoveries.

The modules here take maps, as images or as rows of values, from any program. They know no model.
Only `permutation` does, because it must fit one.
"""
