# SPDX-License-Identifier: BSD-3-Clause
"""What a statistical map shows: thresholds, clusters, true discoveries.

The modules here take maps, as images or rows of values, from any program. They know no model; only
`permutation` does, which has to fit one.
"""
