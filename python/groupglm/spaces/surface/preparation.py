# SPDX-License-Identifier: BSD-3-Clause
"""What is done to the values of a hemisphere before they are a row: `Preparation`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Preparation"]


@dataclass(frozen=True)
class Preparation:
    """What is done to the values of a hemisphere before they are a row, in this order.

    Parameters
    ----------
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values.
    fill : float, optional
        Put in the place of missing values before smoothing, which leaves them out otherwise.
    smoothing_fwhm : float, default=0
        Full width at half maximum of the smoothing on the mesh, in mm.
    """

    zero_is_missing: bool = False
    fill: float | None = None
    smoothing_fwhm: float = 0.0

    def of_role(self, role: str) -> Preparation | None:
        """Return how what lies beside an image is prepared: zeros and gaps are what they are.

        A covariate is smoothed as an image is; variances and weights are not.
        """
        is_smoothed = role == "covariate" and self.smoothing_fwhm > 0
        return Preparation(smoothing_fwhm=self.smoothing_fwhm) if is_smoothed else None
