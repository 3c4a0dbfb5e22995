# SPDX-License-Identifier: BSD-3-Clause
"""A look at the first variances that are read: are they standard errors? `VarianceSample`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller

if TYPE_CHECKING:
    from groupglm.models.base import Values

__all__ = ["VarianceSample"]

_MOST_IMAGES, _MOST_PLACES = 8, 20_000
_LEAST_IMAGES, _LEAST_PLACES = 3, 500
_LEAST_SPREAD = 0.3  # standard deviation of the logarithms: else a power of them is not known
_TOO_STEEP = 0.8


class VarianceSample:
    """How effects grow with what is given for their variances, in the first images.

    Between places, the noise of an effect is proportional to the root of its variance. So log|y|
    grows with log v by a slope of about 1/2, in any units (0.46 in the median image of a study of
    faces, 0.60 in one of pain). With standard errors, with statistics or with effects in the place
    of v, the slope is about 1 (0.92 to 1.19 in the same studies).

    Attributes
    ----------
    slopes : list of float
        Of the images looked at so far.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sd = rng.uniform(1, 5, 5000)
    >>> sample = VarianceSample()
    >>> for _ in range(3):
    ...     sample.look(0, np.stack([sd * rng.normal(size=5000), sd**2]))
    >>> [round(slope, 1) for slope in sample.slopes]
    [0.5, 0.5, 0.5]
    """

    def __init__(self) -> None:
        self.slopes: list[float] = []
        self._n_seen = 0

    def look(self, first: int, rows: Values) -> None:
        """Look at rows of effects, each followed by one of variances."""
        del first
        step = max(1, rows.shape[1] // _MOST_PLACES)
        for place in range(0, len(rows) - 1, 2):
            if self._n_seen == _MOST_IMAGES:
                return
            self._n_seen += 1
            y, v = (np.asarray(row[::step], np.float64) for row in rows[place : place + 2])
            use = np.isfinite(y) & np.isfinite(v) & (y != 0) & (v > 0)
            log_y, log_v = np.log(np.abs(y[use])), np.log(v[use])
            if len(log_v) < _LEAST_PLACES or log_v.std() < _LEAST_SPREAD:
                continue
            centred = log_v - log_v.mean()
            self.slopes.append(float(centred @ log_y / (centred @ centred)))

    def warn(self) -> None:
        """Warn if the values are no variances, by the slopes."""
        if len(self.slopes) < _LEAST_IMAGES:
            return
        slope = float(np.median(self.slopes))
        if slope > _TOO_STEEP:
            warn_caller(
                "variances look like standard errors or statistics: from place to place, effects "
                f"grow with their power {slope:.2f}, and with the square root of true variances, "
                "power 0.5; check the files, and square standard errors"
            )
