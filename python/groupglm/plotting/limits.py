# SPDX-License-Identifier: BSD-3-Clause
"""The values of the first and last colour, and the sizes of values that are drawn: `Limits`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown, warn_caller
from groupglm.runtime.arguments import check_choice, real_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NOISE", "Limits", "size_of_threshold"]

NOISE = 1e-6
"""The default threshold of a map: it leaves out values that are zero except for rounding."""

_AUTO = 80.0  # percent of the sizes
_BELOW = 1e-5  # so that the value of that size is drawn


def size_of_threshold(threshold: float | str | None, values: NDArray[Any]) -> float | None:
    """Return a threshold as a size.

    "auto" is just below the size that 80 % of all values of the image are under, zeros among them;
    "95%" is the size that 95 % are under.

    Examples
    --------
    >>> import numpy as np
    >>> size_of_threshold("90%", np.array([0, -1, 2, 3, 4, 5, 6, 7, 8, -9.0]))
    9.0
    """
    if threshold is None:
        return None
    if isinstance(threshold, str):
        if threshold == "auto":
            return max(0.0, _percentile(values, _AUTO) - _BELOW)
        return _percentile(values, _percent(threshold))
    limit = real_number("threshold", threshold, infinite=True)
    if limit < 0:
        raise ArgumentError(
            "threshold",
            shown(threshold),
            "a size, zero or more (both signs count)",
            "Threshold should be a non-negative number!",
        )
    return limit


def _percent(threshold: str) -> float:
    try:
        percent = float(threshold.removesuffix("%")) if threshold.endswith("%") else math.nan
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:  # NaN is not
        raise ArgumentTypeError(
            "threshold",
            shown(threshold),
            "a number, None, 'auto', or a percentage from 0 to 100",
            "given as string it should be a number followed by the percent sign, such as '95%'",
        )
    return percent


def _percentile(values: NDArray[Any], percent: float) -> float:
    """Return the size that a share of the values is under; NaN and infinite ones count as zero."""
    sizes = np.abs(np.where(np.isfinite(values), values, 0)).ravel()
    if sizes.size == 0:
        return 0.0
    place = min(int(sizes.size * 0.01 * percent), sizes.size - 1)
    return float(np.partition(sizes, place)[place])


@dataclass(frozen=True)
class Limits:
    """The values of the first and last colour.

    Parameters
    ----------
    low, high : float
        The values at the ends of the colour bar.
    vmin, vmax : float, optional
        The values that the caller gave.
    """

    low: float
    high: float
    vmin: float | None
    vmax: float | None

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        vmin: float | None,
        vmax: float | None,
        symmetric: bool | str,
    ) -> Limits:
        """Choose the limits for the finite values of a map; 1 and -1 if all values are infinite.

        If `symmetric` is "auto", zero is in the middle if values between the given limits have both
        signs.
        """
        check_choice("symmetric_cbar", symmetric, ("auto", True, False))
        vmin, vmax = _given("vmin", vmin), _given("vmax", vmax)
        finite = values[np.isfinite(values)]
        least, most = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
        if least == most == 0:
            least = -1.0 if np.isneginf(values).any() else 0.0
            most = 1.0 if np.isposinf(values).any() else 0.0
        if vmin is not None and vmax is not None and vmin > vmax:
            raise ArgumentError("vmin", shown(vmin), f"at most vmax, {vmax:g}")
        if symmetric == "auto":
            if vmin is not None and vmax is not None:
                symmetric = math.isclose(vmin, -vmax, rel_tol=1e-5)
            else:
                lower = least if vmin is None else max(vmin, least)
                upper = most if vmax is None else min(vmax, most)
                symmetric = lower < 0 < upper
        if symmetric:
            return cls._around_zero(least, most, vmin, vmax)
        low = (least if least < 0 else 0.0) if vmin is None else vmin
        high = (most if most > 0 else 0.0) if vmax is None else vmax
        return cls(low, high, vmin, vmax)

    @classmethod
    def _around_zero(
        cls, least: float, most: float, vmin: float | None, vmax: float | None
    ) -> Limits:
        given = [abs(end) for end in (vmin, vmax) if end is not None]
        largest = max(given) if given else max(-least, most)
        if len(given) == 2 and vmin != -vmax:  # type: ignore[operator]
            warn_caller(
                f"Specified vmin={vmin:g} and vmax={vmax:g} values do not create a symmetric "
                f"colorbar. The values will be modified to be symmetric: {-largest:g} and "
                f"{largest:g}"
            )
        ends = (-largest, largest) if given else (None, None)
        return cls(-largest, largest, *ends)

    def above(self, threshold: float, vmax: object) -> tuple[float, float]:
        """Return the ends of the bar, far enough from zero that it shows the threshold."""
        low, high = self.low, self.high
        largest = max(-low, high)
        finite = math.isfinite(threshold)
        if self.vmax is not None and (largest <= 0 or (finite and largest <= threshold)):
            raise ArgumentError("vmax", shown(vmax), f"finite and above the threshold {threshold}")
        tiny = float(np.finfo(np.float32).tiny)  # an empty map still gets a bar
        room = max(threshold * 1.25 if finite else 0.0, tiny)
        if largest < room:
            if low == -high:
                return (-room, room) if low < 0 else (0.0, room)
            return (-room, high) if -low > high else (low, room)
        return low, high

    def drawn(self, threshold: float) -> tuple[float, float]:
        """Return the limits beyond which no value is drawn, if the threshold is beyond them too."""
        low, high = -math.inf, math.inf
        if math.isinf(threshold):
            return low, high
        if self.vmin is not None and self.vmin >= -threshold:
            low = self.vmin
        if self.vmax is not None and self.vmax <= threshold:
            high = self.vmax
        return low, high


def _given(name: str, value: float | None) -> float | None:
    if value is not None and isinstance(value, float | np.floating) and np.isnan(value):
        warn_caller(
            f"NaN is not permitted for the vmax and vmin arguments, and {name} is NaN: it is "
            "chosen by the values. Tip: Use np.nanmax() instead of np.max()"
        )
        return None
    return None if value is None else real_number(name, value)
