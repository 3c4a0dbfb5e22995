# SPDX-License-Identifier: BSD-3-Clause
"""Names where nilearn has them: that of ``nilearn.mass_univariate``."""

from groupglm import permuted_ols

__all__ = ["permuted_ols"]
