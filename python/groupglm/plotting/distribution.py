# SPDX-License-Identifier: BSD-3-Clause
"""The distribution of a map's values over places, zeros apart: `draw_distribution`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.plotting.charts import despine, legend_below, new_chart, plain
from groupglm.plotting.colors import BLUE, INK, ORANGE
from groupglm.plotting.figure import Figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw_distribution"]

_N_BINS = 40
_MOST = 99.5  # percent of the values that the axis holds; the last bin has those beyond


def draw_distribution(
    values: NDArray[np.float64], label: str, places: str, *, highest: float | None = None
) -> Figure:
    """Draw how many places have values of a size, zero in a bar of its own.

    Values beyond `highest`, or beyond almost all others, are in the last bin. `places` is the word
    for the places.
    """
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if highest is None:
        highest = float(np.percentile(positive, _MOST)) if positive.size else 1.0
    figure, ax = new_chart(4.6, 3.2, None)
    shares = np.full(positive.size, 100 / max(finite.size, 1))
    ax.hist(
        np.minimum(positive, highest), bins=_N_BINS, range=(0.0, highest), weights=shares,
        color=BLUE, alpha=0.6, label=f"{positive.size:,} {places} above 0",
    )  # fmt: skip
    n_zero = finite.size - positive.size
    width = highest / _N_BINS
    ax.bar(
        -width, 100 * n_zero / max(finite.size, 1), 2 * width, color=ORANGE,
        label=f"{n_zero:,} {places} at 0",
    )  # fmt: skip
    if finite.size:
        ax.axvline(float(np.median(finite)), color=INK, lw=1.4, ls="--", label="median")
    ax.set_xlabel(plain(label))
    ax.set_ylabel(f"{places}, %")
    ax.set_xlim(-3 * width, highest * 1.02)
    despine(ax)
    legend_below(figure)
    return figure
