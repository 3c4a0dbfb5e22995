# SPDX-License-Identifier: BSD-3-Clause
"""Tables of regions: one row of numbers a subject, one column a region."""
