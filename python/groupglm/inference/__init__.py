# SPDX-License-Identifier: BSD-3-Clause
"""What a statistical map shows: thresholds, clusters, true discoveries.

Everything here takes maps, as images or rows of values, whoever made them; nothing knows a model.
"""
