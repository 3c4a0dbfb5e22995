# SPDX-License-Identifier: BSD-3-Clause
"""The z scores of a map, and their distribution by chance: `plot_histogram`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.stat_map import read_nonzero_map
from groupglm.plotting.charts import despine, legend_below, new_chart
from groupglm.plotting.colors import BLUE, INK, ORANGE
from groupglm.plotting.figure import Figure, in_pyplot
from groupglm.runtime.arguments import check_truth, real_array, real_number
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from groupglm.spaces.images import ImageLike

__all__ = ["draw_histogram", "plot_histogram"]

_N_BINS = 80


def plot_histogram(
    z: ArrayLike | ImageLike,
    *,
    threshold: float | None = None,
    two_sided: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw a histogram of z scores with the standard normal density.

    If there is no effect anywhere and the model is right, the two agree. If the histogram is wider
    than the curve, there are effects in many places, or the model is wrong.

    Parameters
    ----------
    z : array_like, str, os.PathLike or nibabel image
        z scores of the voxels in the mask. NaN are left out, and infinite ones are counted below
        the axis. Of a map, the voxels that are not zero are used. A map of t or F is converted to z
        scores, if its sidecar, header or name says what it holds (see `threshold_stats_img`). A
        map of zeros, in which nothing survives a threshold, has an empty histogram.
    threshold : float, optional
        A threshold, drawn as a line, or as two lines if `two_sided`. An infinite one, as of a false
        discovery rate without a discovery, is not drawn.
    two_sided : bool, default=True
        Whether both tails are tested. A map of F, or of the z scores of F, always has one tail.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        The histogram, in density.

    Raises
    ------
    ValueError
        If no value is finite, unless a map holds zeros, or if a map is known to hold something else
        than z, t or F.
    groupglm.errors.ImageError
        If a map cannot be read.

    Warns
    -----
    UserWarning
        If a map of t or F is converted, a map holds only zeros, or the threshold is infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.plotting import plot_histogram
    >>> figure = plot_histogram(np.linspace(-3, 3, 1000), threshold=2.0)
    >>> figure.axes[0].get_xlabel()
    'z'
    """
    both = check_truth("two_sided", two_sided)
    axis_label, places, is_empty = "z", "voxels", False
    if kind_of(z).holds(z) or hasattr(z, "get_filename"):
        stat_map = read_nonzero_map(z, "z")
        is_empty = not stat_map.tests.any()
        stat_map = stat_map.as_z()
        z, (_, places) = stat_map.tests, stat_map.space.place_words
        if stat_map.scale is not None and stat_map.scale.statistic.of_f:
            both, axis_label = False, "z of F, one tail"
        elif stat_map.scale is not None and stat_map.scale.statistic.one_tail:
            both, axis_label = False, "z, one tail"
    values: Any = np.ravel(real_array("z", z, missing=True)).astype(np.float64)
    if is_empty:
        values = values[:0]
    elif not np.isfinite(values).any():
        raise ArgumentError(
            "z", "no finite value", remedy="give the z scores of a map", verb="holds"
        )
    if threshold is not None:
        threshold = real_number("threshold", threshold, infinite=True)
        if math.isinf(threshold) and not is_empty:  # which was warned of
            warn_caller(
                "threshold is infinite, as that of a false discovery rate is where there is no "
                "discovery: it lies outside the picture"
            )
    with in_pyplot(Figure) as make:
        return draw_histogram(
            values, threshold, places, two_sided=both, title=title, axis_label=axis_label, make=make
        )


def draw_histogram(
    values: NDArray[np.float64],
    threshold: float | None,
    places: str,
    *,
    two_sided: bool,
    title: str | None = None,
    axis_label: str = "z",
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw z scores; `places` is the word for their places. See `plot_histogram`."""
    n_infinite = int(np.isinf(values).sum())
    values = values[np.isfinite(values)]
    if threshold is not None and np.isinf(threshold):
        threshold = None
    farthest = max(4.5, 1.1 * (threshold or 0.0))  # keeps the threshold inside the picture
    low = float(values.min(initial=-farthest))
    high = float(values.max(initial=farthest))
    figure, ax = new_chart(4.6, 3.2, title, make)
    ax.hist(
        values, bins=_N_BINS, range=(low, high), density=values.size > 0, color=BLUE, alpha=0.6,
        histtype="stepfilled", label=f"{values.size:,} {places}",
    )  # fmt: skip
    along = np.linspace(low, high, 400)
    density = np.exp(-(along**2) / 2) / np.sqrt(2 * np.pi)
    ax.plot(along, density, color=INK, lw=1.4, label="standard normal")
    if threshold is not None:
        for number, limit in enumerate([threshold, -threshold][: 2 if two_sided else 1]):
            label = f"threshold {threshold:.2f}" if number == 0 else None
            ax.axvline(limit, color=ORANGE, lw=1.4, ls="--", label=label)
    ax.set_xlabel(f"{axis_label} ({n_infinite:,} more are infinite)" if n_infinite else axis_label)
    ax.set_ylabel("density")
    ax.set_xlim(low, high)
    despine(ax)
    legend_below(figure)
    return figure
