# SPDX-License-Identifier: BSD-3-Clause
"""Image files: what is in them, checked from headers, and their values read into rows."""
