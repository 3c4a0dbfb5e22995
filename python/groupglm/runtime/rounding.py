# SPDX-License-Identifier: BSD-3-Clause
"""The format of statistics, p-values and places: the same in tables, pages, logs and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["for_json", "millimetres", "p_value", "place", "rounded", "span", "statistic"]

_DIGITS = 3
_LARGE = 1e9  # from here on, a number is written with an exponent: double has no more digits
_SMALL = 0.1  # below this, three digits after the point are too few
_SMALL_P = 0.0005  # below this, p is written with two digits


def statistic(value: float) -> str:
    """Write a statistic or a threshold of it: three digits after the point.

    Examples
    --------
    >>> statistic(3.29053), statistic(-6.9), statistic(0.0), statistic(-0.00012345)
    ('3.291', '-6.900', '0.000', '-0.000123')
    >>> statistic(-2.5e300)
    '-2.5e+300'
    >>> statistic(float("-inf"))
    '-inf'
    """
    if 0 < abs(value) < _SMALL or _LARGE <= abs(value) < math.inf:
        return f"{value:.{_DIGITS}g}"
    return f"{value + 0.0:.{_DIGITS}f}"  # avoids -0


def span(numbers: float | NDArray[np.int64] | NDArray[np.float64]) -> str:
    """Write a count or degrees of freedom: one number, or the least and the largest of all voxels.

    Examples
    --------
    >>> import numpy as np
    >>> span(1200), span(np.array([18, 21, 20])), span(np.array([7.25, np.nan, 9.0]))
    ('1,200', '18 to 21', '7.2 to 9')
    """
    import numpy as np  # imported here, because the commands start without numpy

    known = np.ravel(numbers)
    known = known[~np.isnan(known)]
    ends = [known.min(), known.max()] if known.size else [np.nan]
    texts = [f"{end:,.0f}" if end == np.round(end) else f"{end:,.1f}" for end in ends]
    return texts[0] if texts[0] == texts[-1] else " to ".join(texts)


def p_value(p: float) -> str:
    """Write a p-value: three digits after the point, or its first two digits if it is small.

    Examples
    --------
    >>> p_value(1 / 1001), p_value(0.0123), p_value(1.0), p_value(1 / 10001), p_value(3.47e-8)
    ('0.001', '0.012', '1.000', '0.0001', '3.5e-08')
    """
    return f"{p:.2g}" if p < _SMALL_P else f"{p:.{_DIGITS}f}"


def millimetres(value: float) -> str:
    """Write a coordinate in mm: up to three digits after the point.

    Examples
    --------
    >>> millimetres(36.0), millimetres(-1.5), millimetres(26.000000000000004)
    ('36', '-1.5', '26')
    >>> millimetres(1e300)
    '1e+300'
    """
    if abs(value) >= _LARGE:
        return f"{value:g}"
    text = f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def place(position: Iterable[float]) -> str:
    """Write a place in mm.

    Examples
    --------
    >>> place((36.0, 30.0, -1.5))
    '(36, 30, -1.5) mm'
    """
    return f"({', '.join(map(millimetres, position))}) mm"


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of clusters as text, in the format that its columns have everywhere."""
    return table.assign(**{name: table[name].map(_writer(name)) for name in table.columns})


def _writer(name: str) -> Any:
    if name in ("X", "Y", "Z"):
        return millimetres
    if name in ("Peak Stat", "z", "t", "F"):
        return statistic
    if name.startswith(("Effect", "Cohen's d")):
        return _effect
    if name in ("Cluster Size (mm2)", "Cluster Size"):
        return _extent
    return _probability if name.startswith(_OF_P) else str


_OF_P = ("p ", "q ", "Set p", "Cluster p ", "Cluster q ", "Peak p ", "Peak q ")
"""Beginnings of the names of columns of p-values."""


def _probability(value: Any) -> str:
    """Return a p-value; further peaks of a cluster have none of the cluster."""
    if isinstance(value, str):
        return value
    return "n/a" if math.isnan(value) else p_value(value)


def _effect(value: float) -> str:
    """Return an effect; where nothing varies there is no interval, and no Cohen's d."""
    return "n/a" if math.isnan(value) else statistic(value)


def _extent(value: Any) -> str:
    """Return an area in mm2 to a tenth; a number of places as a whole one; no size as it is."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.1f}"


def for_json(facts: Any) -> Any:
    """Return facts with infinite numbers as text, ``inf`` and ``-inf``, as JSON has none.

    Examples
    --------
    >>> for_json({"peaks": [{"z": float("-inf")}, {"z": 4.5}]})
    {'peaks': [{'z': '-inf'}, {'z': 4.5}]}
    """
    if isinstance(facts, Mapping):
        return {key: for_json(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [for_json(value) for value in facts]
    return str(facts) if isinstance(facts, float) and math.isinf(facts) else facts
