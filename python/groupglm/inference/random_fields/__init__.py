# SPDX-License-Identifier: BSD-3-Clause
"""Random field theory, from the numbers outwards.

`smoothness` says how smooth the noise is, and how large the searched places are in units of it
(resels). `densities` are the expected Euler characteristics of fields of one resel. `p_values`
turn both into p-values of peaks, clusters and sets of clusters (by the numbers of clusters that are
`expected`), and `limits` into the thresholds that these p-values imply.
"""
