# SPDX-License-Identifier: BSD-3-Clause
"""A look at the first variances that are read: are they standard errors? `VarianceSample`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller

if TYPE_CHECKING:
    from groupglm.models.base import Values

__all__ = ["VarianceSample"]

_MOST_IMAGES, _MOST_PLACES = 64, 20_000
_ENOUGH_IMAGES, _ENOUGH_VALUES = 8, 20_000
"""No image is looked at after so many of them, if they had so many values together."""

_LEAST_IMAGES, _SEVERAL_IMAGES = 3, 5
_LEAST_PLACES, _MANY_PLACES = 50, 500
_LEAST_INFORMATION = 5.0
"""Sum of squares of the logarithms about their mean: with less, no slope is known to 0.5."""

_TRUE_SLOPE, _TOO_STEEP = 0.5, 0.8
_SURELY = 0.95  # the confidence with which slopes of few places must be above the true one
_TOO_TIGHT, _TOO_MUCH = 0.75, 0.7
"""Standard deviation of log|y| about its line, and share of its variance that the line explains.

That of noise is 1.11, whatever its variance, and smaller where effects are strong.
"""

_TOO_LOW, _TOO_HIGH = 0.3, 10.0
"""Medians of |y| / sqrt(v) that are not plausible; that of noise alone is 0.67."""


class VarianceSample:
    """How effects grow with what is given for their variances, in the first images.

    Between places, the noise of an effect is proportional to the root of its variance. So log|y|
    grows with log v by a slope of about 1/2, in any units (0.46 in the median image of a study of
    faces, and in one of pain), and scatters about that line by 1.1 or little less. With standard
    errors, with t statistics or with effects in the place of v, the slope is about 1 (0.92 to 1.19
    in the same studies). With F statistics the slope is 1/2 too, but the scatter only 0.4 to 0.5.
    In units that are far off, |y| is many times or a fraction of sqrt(v).

    Attributes
    ----------
    slopes, scatters, explained, ratios : list of float
        Of the images looked at so far: the slope, the standard deviation of log|y| about the line,
        the share of its variance that the line explains, and the median of |y| / sqrt(v).

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
        self.scatters: list[float] = []
        self.explained: list[float] = []
        self.ratios: list[float] = []
        self._n_seen = self._n_values = 0

    def look(self, first: int, rows: Values) -> None:
        """Look at rows of effects, each followed by one of variances."""
        del first
        step = max(1, rows.shape[1] // _MOST_PLACES)
        for place in range(0, len(rows) - 1, 2):
            enough = self._n_seen >= _ENOUGH_IMAGES and self._n_values >= _ENOUGH_VALUES
            if enough or self._n_seen == _MOST_IMAGES:
                return
            self._n_seen += 1
            y, v = (np.asarray(row[::step], np.float64) for row in rows[place : place + 2])
            use = np.isfinite(y) & np.isfinite(v) & (y != 0) & (v > 0)
            log_y, log_v = np.log(np.abs(y[use])), np.log(v[use])
            self._n_values += len(log_v)
            if len(log_v) < _LEAST_PLACES:
                continue
            self.ratios.append(float(np.exp(np.median(log_y - log_v / 2))))
            centred = log_v - log_v.mean()
            information = float(centred @ centred)
            if information < _LEAST_INFORMATION:
                continue
            self.slopes.append(float(centred @ log_y) / information)
            self.scatters.append(float(np.std(log_y - self.slopes[-1] * log_v)))
            whole = float(np.var(log_y))
            self.explained.append(1 - self.scatters[-1] ** 2 / whole if whole > 0 else 0.0)

    def warn(self) -> None:
        """Warn if the values are no variances, by slopes and scatters, or by their size."""
        if len(self.slopes) >= _LEAST_IMAGES:
            many = self._n_values >= _MANY_PLACES * self._n_seen
            slope = float(np.median(self.slopes) if many else np.mean(self.slopes))
            sure = many or _lower_bound(self.slopes) > _TRUE_SLOPE
            if sure and slope > _TOO_STEEP:
                warn_caller(
                    "variances look like standard errors or statistics: from place to place, "
                    f"effects grow with their power {slope:.2f}, and with the square root of true "
                    "variances, power 0.5; check the files, and square standard errors"
                )
                return
            scatter, share = float(np.median(self.scatters)), float(np.median(self.explained))
            several = len(self.slopes) >= _SEVERAL_IMAGES
            tight = scatter < _TOO_TIGHT and share > _TOO_MUCH
            if several and tight and _lower_bound(self.slopes) > 0:
                warn_caller(
                    "variances look like statistics: from place to place, they nearly determine "
                    f"the size of the effects ({share:.0%} of the variance of its logarithm); "
                    "check the files"
                )
                return
        if len(self.ratios) >= _LEAST_IMAGES:
            ratio = float(np.median(self.ratios))
            if not _TOO_LOW < ratio < _TOO_HIGH:
                large = "small" if ratio > 1 else "large"
                warn_caller(
                    f"variances look too {large} for these effects: the median of |effect| / "
                    f"sqrt(variance) is {ratio:.2g}, and 0.67 without any effect; check that they "
                    "are the variances of these effects, in the square of their unit: no standard "
                    "errors, statistics, or maps of another scale"
                )


def _lower_bound(slopes: list[float]) -> float:
    """Return the bound above which the mean of slopes is surely, by Student's t over images."""
    from scipy.stats import t

    n = len(slopes)
    error = float(np.std(slopes, ddof=1)) / math.sqrt(n)
    return float(np.mean(slopes) - t.ppf(_SURELY, n - 1) * error)
