# SPDX-License-Identifier: BSD-3-Clause
"""The colour of each value, and the colour bar: `Scale`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator

from groupglm.errors import ArgumentError, shown, warn_caller
from groupglm.plotting.charts import plain
from groupglm.plotting.colors import count_map, diverging
from groupglm.runtime.arguments import real_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from groupglm.plotting.colors import Look

__all__ = ["Scale"]

_MAX_STEPS = 7  # more numbers such as -0.004 would overlap


@dataclass(frozen=True, eq=False)
class Scale:
    """The colours of a map.

    Parameters
    ----------
    vmax : float
        The value of the last colour; values below -vmax have the first colour.
    threshold : float
        Values up to this size are not drawn.
    signed : bool
        Whether the map has values of both signs; otherwise the bar shows the positive half.
    cmap : matplotlib.colors.Colormap
        Covers -vmax to vmax.
    vmin : float, optional
        The value of the first colour if it is not -vmax; the map has no negative values then.
    has_infinite : bool, default=False
        Whether the map has infinite values, which are always drawn, in the last colour.
    one_tail : bool, default=False
        Whether only large values are evidence, as for the z-scores of an F test: negative values
        are not drawn.
    """

    vmax: float
    threshold: float
    signed: bool
    cmap: Colormap
    vmin: float | None = None
    has_infinite: bool = False
    one_tail: bool = False

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        threshold: float | None,
        vmax: float | None,
        *,
        dark: bool,
        one_tail: bool = False,
    ) -> Scale:
        """Choose the colours for a map."""
        limit = 0.0 if threshold is None else real_number("threshold", threshold, infinite=True)
        if limit < 0:
            raise ArgumentError(
                "threshold", shown(threshold), "a size, zero or more (both signs count)"
            )
        if math.isinf(limit):
            warn_caller(
                "threshold is infinite, as that of a false discovery rate is where there is no "
                "discovery: no finite value of the map is drawn"
            )
        if one_tail:
            values = np.maximum(values, 0)  # NaN stays
        infinite = np.isinf(values)
        has_infinite = bool(infinite.any())
        largest = float(np.abs(values[~infinite]).max(initial=0.0)) or float(has_infinite)
        top = largest if vmax is None else real_number("vmax", vmax)
        if vmax is not None and (top <= 0 or (math.isfinite(limit) and top <= limit)):
            raise ArgumentError("vmax", shown(vmax), f"finite and above the threshold {limit}")
        # An empty map also gets a bar, which shows the place of the threshold.
        top = max(top, float(np.finfo(np.float32).tiny))
        if math.isfinite(limit):
            top = max(top, limit * 1.25)
        signed = bool((values < 0).any())
        return cls(
            top,
            limit,
            signed,
            diverging(dark=dark),
            has_infinite=has_infinite,
            one_tail=one_tail,
        )

    @classmethod
    def of_counts(cls, smallest: int, largest: int) -> Scale:
        """Choose the colours for a map of numbers of images, from the smallest to the largest.

        If all are the same, the scale begins at zero. The colours are opaque, because over a
        visible brain they would not be those of the bar.
        """
        top = float(max(largest, 1))
        low = float(smallest) if 0 < smallest < largest else 0.0
        return cls(top, 0.0, False, count_map(), vmin=low)

    @property
    def norm(self) -> Normalize:
        """The conversion of values to 0..1."""
        return Normalize(-self.vmax if self.vmin is None else self.vmin, self.vmax)

    def shows(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which values are drawn."""
        sizes = values if self.one_tail else np.abs(values)
        return np.asarray((sizes > self.threshold) | np.isposinf(sizes))

    def rgba(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours of a picture; values that are not drawn are transparent.

        Shapes: `values` (n_v, n_u); returns (n_v, n_u, 4).
        """
        colours: NDArray[np.uint8] = self.cmap(self.norm(values), bytes=True)
        colours[..., 3] = np.where(self.shows(values), 255, 0)
        return colours

    def draw_bar(self, ax: Axes, look: Look, label: str) -> None:
        """Draw the colour bar: a scale in numbers, and the threshold marked."""
        low = -self.vmax if self.signed else self.vmin or 0.0
        shown = np.linspace(low, self.vmax, 256)[np.newaxis, :]
        colours = self.rgba(shown)
        colours[colours[..., 3] == 0] = (128, 128, 128, 255)
        ax.imshow(colours, extent=(low, self.vmax, 0.0, 1.0), aspect="auto", origin="lower")
        ax.set_yticks([])
        ax.tick_params(colors=look.ink, labelsize=11)
        ax.xaxis.set_major_locator(MaxNLocator(_MAX_STEPS, steps=[1, 2, 5, 10]))
        for spine in ax.spines.values():
            spine.set_color(look.ink)
        limits = {self.threshold, -self.threshold} if self.signed else {self.threshold}
        marked = 0 < self.threshold < math.inf
        for limit in limits if marked else ():
            ax.plot([limit, limit], [-0.25, 1.25], color=look.ink, lw=1.5, clip_on=False)
        note = plain(label)
        if self.one_tail:
            note += " (one tail: below 0 not shown)"
        if self.threshold:
            note += "; grey: not shown" + (f", up to {self.threshold:.2f}" if marked else "")
        if self.has_infinite:
            note += "; infinite: last colour"
        ax.set_xlabel(note, color=look.ink, fontsize=11)
        ax.set_xlim(low, self.vmax)
        ax.set_ylim(0.0, 1.0)
