# SPDX-License-Identifier: BSD-3-Clause
"""Tables of participants: reading, labels of rows, checks of covariates."""
