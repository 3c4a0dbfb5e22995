# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks and clusters in tables, corrected by the method that was used.

`fdr` and `random_field` compute them, `methods` says which a method defines, `permuted` reads those
of a permutation test, `columns` adds them to a table and says what each is.
"""
