# SPDX-License-Identifier: BSD-3-Clause
"""The page's columns of effects at peaks: effect and Cohen's d, each with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from groupglm.models.effect_sizes import at_places
from groupglm.runtime.rounding import statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Fit

__all__ = ["effect_columns"]

_LEVEL = 0.95

_NOTE = (
    " Effects are in the units of the maps, times those of the contrast's weights, with the "
    f"{_LEVEL:.0%} interval of each place by itself."
)
_NOTE_OF_D = (
    " Cohen's d is the {} over the standard deviation between images beyond the design, with "
    "the interval of the noncentral t. Peaks were chosen because they are high: effects in new "
    "data will be smaller."
)


def effect_columns(
    fit: Fit, contrast: NDArray[np.float64], places: NDArray[np.intp], null_value: float = 0.0
) -> tuple[dict[str, list[str]], str]:
    """Return columns by their names for the places of a table, and what a note says of them.

    Cohen's d is left out for models that do not define it.
    """
    found = at_places(fit, contrast, places, confidence=_LEVEL, null_value=null_value)
    columns = {
        "Effect": [_written(value) for value in found["effect"]],
        f"{_LEVEL:.0%} interval": _intervals(found["effect_ci_low"], found["effect_ci_high"]),
    }
    if "cohen_d" not in found:
        return columns, _NOTE
    columns["Cohen's d"] = [_written(value) for value in found["cohen_d"]]
    columns[f"{_LEVEL:.0%} interval of d"] = _intervals(
        found["cohen_d_ci_low"], found["cohen_d_ci_high"]
    )
    what = f"effect less {null_value:g}," if null_value else "effect"
    return columns, _NOTE + _NOTE_OF_D.format(what)


def _intervals(low: object, high: object) -> list[str]:
    bounds = zip(np.asarray(low).tolist(), np.asarray(high).tolist(), strict=True)
    return [
        "n/a" if math.isnan(one) else f"{statistic(one)} to {statistic(other)}"
        for one, other in bounds
    ]


def _written(value: float) -> str:
    """Return an effect as text; where residuals are all zero, there is no d."""
    return "n/a" if math.isnan(value) else statistic(value)
