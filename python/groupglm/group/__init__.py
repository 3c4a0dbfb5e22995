# SPDX-License-Identifier: BSD-3-Clause
"""The fit of one group of inputs, and its results as images."""
