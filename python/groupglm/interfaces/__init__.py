# SPDX-License-Identifier: BSD-3-Clause
"""Says what to use in the place of ``nilearn.interfaces``, which has no name here."""
