# SPDX-License-Identifier: BSD-3-Clause
"""One group of inputs fitted, and turned back into images."""
