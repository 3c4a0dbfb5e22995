# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests, from the doors inwards.

`images` and `arrays` are the doors: they check what they are given and make the `options`.
`group_test` tests a contrast of a group that is fitted already. `testing` runs a test: `partition`
splits the design into effect and nuisance, `rearranged_model` says what a test needs to know of the
model, `missing_values` which images each place has (by `present_images`, where variances, weights
or covariates decide too), `exchange` which rearrangements there are (and `block_tree` those of
blocks within blocks), and `assumptions` what they assume. `planning` takes the kernel: one of
`kernels`, or the `missing_kernel` where values are
missing, whose statistics `equivalent_statistic` brings to one scale; the `mixed_kernel` of fixed
and mixed effects; the `voxelwise_kernel` where each place has weights or columns of its own; the
`repeated_kernel` of several images of a subject, for which `subject_effects` chooses what is
rearranged.
`cluster_families` makes clusters and enhanced statistics, `null_distribution` collects the maxima,
`p_values` and `tails` turn them into p-values, and `resuming` keeps them for a later run.
"""
