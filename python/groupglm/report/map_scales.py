# SPDX-License-Identifier: BSD-3-Clause
"""The colours of a page's maps: of what survived, and of a map without a threshold."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.scale import Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.report.findings import Finding

__all__ = ["amounts", "scale_of_survivors", "scale_without_threshold"]


def scale_of_survivors(finding: Finding, survivors: NDArray[Any], *, dark: bool) -> Scale:
    """Return the colours of the values that survived; the bar marks the threshold.

    They are beyond it, and in clusters that are large enough. `survivors` are zero elsewhere.
    """
    limit = abs(finding.threshold) if math.isfinite(finding.threshold) else 0.0
    scale = Scale.of(survivors, np.nextafter(limit, 0), None, dark=dark)
    return replace(scale, signed=finding.two_sided)  # whichever signs survived


def scale_without_threshold(finding: Finding, values: NDArray[Any]) -> Scale:
    """Return the colours of a map of which nothing survived, on a dark ground."""
    limit = abs(finding.threshold) if math.isfinite(finding.threshold) else 0.0
    one_tail = finding.result.stat_type == "F"
    scale = Scale.of(values, None, None, dark=True, one_tail=one_tail)
    return replace(scale, vmax=max(scale.vmax, limit))  # no value has its colour


def amounts(row: NDArray[np.float64], highest: float) -> tuple[NDArray[np.float64], Scale]:
    """Return a map that is not negative, cut at the highest value, and its colours.

    Zero becomes a small amount, because of zero drawing only knows that it is outside the mask.
    """
    top = highest if highest > 0 else 1.0
    values = np.where(np.isnan(row), 0.0, np.clip(row, 1e-6 * top, top))
    return values, Scale.of_amounts(top)
