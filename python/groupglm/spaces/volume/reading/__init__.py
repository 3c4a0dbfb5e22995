# SPDX-License-Identifier: BSD-3-Clause
"""Image files: their contents, checked from headers, and their values, read into rows."""
