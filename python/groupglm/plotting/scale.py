# SPDX-License-Identifier: BSD-3-Clause
"""The colour of each value, and the colour bar: `Scale`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import FormatStrFormatter, MaxNLocator

from groupglm.errors import warn_caller
from groupglm.plotting.charts import plain
from groupglm.plotting.colors import count_map, diverging, is_diverging
from groupglm.plotting.limits import NOISE, Limits, size_of_threshold
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
    ends : tuple of 2 floats, optional
        The values at the ends of the bar, if they do not follow from `signed` and the limits.
    drawn : tuple of 2 floats, default=(-inf, inf)
        Values beyond these are not drawn.
    whole : bool, default=False
        Whether every value is drawn, also zero, as in a picture of the head.
    """

    vmax: float
    threshold: float
    signed: bool
    cmap: Colormap
    vmin: float | None = None
    has_infinite: bool = False
    one_tail: bool = False
    ends: tuple[float, float] | None = None
    drawn: tuple[float, float] = (-math.inf, math.inf)
    whole: bool = False

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        threshold: float | str | None,
        vmax: float | None,
        *,
        dark: bool,
        one_tail: bool = False,
        vmin: float | None = None,
        cmap: Colormap | None = None,
        symmetric: bool | str = "auto",
        whole: bool = False,
    ) -> Scale:
        """Choose the colours for a map."""
        limit = size_of_threshold(threshold, values) or 0.0
        if math.isinf(limit):
            warn_caller(
                "threshold is infinite, as that of a false discovery rate is where there is no "
                "discovery: no finite value of the map is drawn"
            )
        if one_tail:
            values = np.maximum(values, 0)  # NaN stays
        infinite = np.isinf(values)
        has_infinite = bool(infinite.any())
        if 0 < limit <= NOISE:  # of a map of small values, rounding is smaller
            limit *= min(1.0, float(np.abs(values[~infinite]).max(initial=0.0)))
        limits = Limits.of(values, vmin, vmax, symmetric)
        low, high = limits.above(limit, vmax)
        colours = diverging(dark=dark) if cmap is None else cmap
        largest = max(-low, high)
        both, one_sign = low == -high, low == 0 < high
        middle_is_zero = is_diverging(colours)
        return cls(
            largest if middle_is_zero else high,
            limit,
            both,
            colours,
            vmin=None if middle_is_zero else low,
            has_infinite=has_infinite,
            one_tail=one_tail,
            ends=None if both or one_sign else (low, high),
            drawn=limits.drawn(limit),
            whole=whole and not limit,
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

    @classmethod
    def of_amounts(cls, largest: float) -> Scale:
        """Choose the colours, which are opaque, for a map of positive amounts."""
        return cls(largest, 0.0, False, count_map(), vmin=0.0)

    def fitted(
        self,
        values: NDArray[Any],
        vmin: float | None,
        vmax: float | None,
        cbar_vmin: float | None,
        cbar_vmax: float | None,
    ) -> Scale:
        """Return the scale from the smallest to the largest value that it draws."""
        drawn = values[self.shows(values) & np.isfinite(values)]
        if drawn.size == 0:
            return self
        low = float(drawn.min()) if vmin is None else float(vmin)
        high = float(drawn.max()) if vmax is None else float(vmax)
        first = low if cbar_vmin is None else real_number("cbar_vmin", cbar_vmin)
        last = high if cbar_vmax is None else real_number("cbar_vmax", cbar_vmax)
        if not first < last:
            first, last = min(first, 0.0), max(last, 0.0)
        return replace(self, vmin=low, vmax=high, ends=(first, last))

    @property
    def norm(self) -> Normalize:
        """From values to 0..1."""
        return Normalize(-self.vmax if self.vmin is None else self.vmin, self.vmax)

    @property
    def bar_ends(self) -> tuple[float, float]:
        """The values at the ends of the bar."""
        if self.ends is not None:
            return self.ends
        return (-self.vmax if self.signed else self.vmin or 0.0), self.vmax

    def shows(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which values are drawn."""
        if self.whole:
            return np.ones(np.shape(values), np.bool_)
        sizes = values if self.one_tail else np.abs(values)
        shown = (sizes > self.threshold) | np.isposinf(sizes)
        low, high = self.drawn
        return np.asarray(shown & (values >= low) & (values <= high))

    def masked(self, values: NDArray[Any]) -> np.ma.MaskedArray[Any, Any]:
        """Mask what is not drawn; infinite values become those of the last colours."""
        first = -self.vmax if self.vmin is None else self.vmin
        finite = np.where(np.isneginf(values), first, values)
        finite = np.where(np.isposinf(values), self.vmax, finite)
        return np.ma.masked_array(finite, ~self.shows(values))

    def rgba(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Colour a picture; what is not drawn is transparent.

        Shapes: `values` (n_v, n_u); returns (n_v, n_u, 4).
        """
        colours: NDArray[np.uint8] = self.cmap(self.norm(values), bytes=True)
        colours[..., 3] = np.where(self.shows(values), colours[..., 3], 0)
        return colours

    def draw_bar(
        self, ax: Axes, look: Look, label: str, *, size: float = 11.0, form: str | None = None
    ) -> None:
        """Draw the colour bar: a scale in numbers, and the threshold marked.

        `size` is that of the letters, in points; `form` is how numbers are written.
        """
        low, high = self.bar_ends
        shown = np.linspace(low, high, 256)[np.newaxis, :]
        colours = self.rgba(shown)
        colours[colours[..., 3] == 0] = (128, 128, 128, 255)
        ax.imshow(colours, extent=(low, high, 0.0, 1.0), aspect="auto", origin="lower")
        ax.set_yticks([])
        ax.tick_params(colors=look.ink, labelsize=size)
        steps = _MAX_STEPS if size > 9 else 4
        ax.xaxis.set_major_locator(MaxNLocator(steps, steps=[1, 2, 5, 10]))
        if form is not None:
            ax.xaxis.set_major_formatter(FormatStrFormatter(form))
        for spine in ax.spines.values():
            spine.set_color(look.ink)
        inside = [limit for limit in (-self.threshold, self.threshold) if low <= limit <= high]
        marked = NOISE < self.threshold < math.inf
        for limit in inside if marked else ():
            ax.plot([limit, limit], [-0.25, 1.25], color=look.ink, lw=1.5, clip_on=False)
        notes = [plain(label) + (" (one tail: below 0 not shown)" if self.one_tail else "")]
        if self.threshold > NOISE:
            notes.append("grey: not shown" + (f", up to {self.threshold:.2f}" if marked else ""))
        if self.has_infinite:
            notes.append("infinite: last colour")
        ax.set_xlabel("; ".join(filter(None, notes)), color=look.ink, fontsize=size)
        ax.set_xlim(low, high)
        ax.set_ylim(0.0, 1.0)
