# SPDX-License-Identifier: BSD-3-Clause
"""Linear models on rows of values; they know no images."""
