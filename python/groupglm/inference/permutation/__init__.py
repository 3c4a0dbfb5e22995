# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests, from the doors inwards.

`images` and `arrays` are the doors: they check what they are given, make the `options`, and offer
data row by row. `testing` runs a test: `partition` splits the design into effect and nuisance,
`present` says which images each voxel has, `exchange` which rearrangements there are, `choosing`
takes the kernel (`kernels`, or `present_kernel` where values are missing, on the scale of
`equivalent`), `null` collects the distributions, `tails` turns them into p-values, and `resuming`
keeps them for a later run.
"""
