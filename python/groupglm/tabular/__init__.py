# SPDX-License-Identifier: BSD-3-Clause
"""Tables of participants: reading, labels of rows, covariates that are not what they seem."""
