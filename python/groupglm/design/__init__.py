# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices, contrasts, and the names of their columns; no images."""
