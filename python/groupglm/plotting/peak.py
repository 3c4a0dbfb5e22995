# SPDX-License-Identifier: BSD-3-Clause
"""The data behind a peak: `plot_peak`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.design.origins import origins_of
from groupglm.errors import ArgumentError, renamed, shown
from groupglm.inputs.cohort import align_to_images
from groupglm.plotting.adjusted import Adjusted, adjust
from groupglm.plotting.charts import (
    despine,
    label_columns,
    legend_below,
    new_chart,
    plain,
    shortened,
)
from groupglm.plotting.colors import BLUE, INK, ORANGE, SERIES
from groupglm.plotting.figure import Figure, in_pyplot
from groupglm.plotting.place_values import one_number_an_image, read_place
from groupglm.plotting.reading_terms import read_terms
from groupglm.runtime.arguments import check_text, real_number
from groupglm.tabular.labels import align_arrays
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from groupglm.plotting.lines import Line

__all__ = ["plot_peak"]

_MARKERS = "osD^v"


def plot_peak(
    values: Any,
    design_matrix: pd.DataFrame | str | PathLike[str],
    contrast_def: Any = None,
    *,
    position: tuple[float, float, float] | None = None,
    level: float = 0.95,
    title: str | None = None,
    label: str = "value",
) -> Figure:
    """Draw the value of each image at one voxel, with the fit of a contrast.

    The picture depends on what the contrast tests:

    - groups: the values by group, with the fitted mean and its interval, also of the reference;
    - a slope: the values against the regressor, with the fitted line and its band;
    - whether slopes differ between groups: a line for each group;
    - an interaction of two numbers: lines over the first number, at the mean of the second and at
      one standard deviation below and above it; with up to four groups, a panel for each group;
    - powers or other functions of a number: the values over the number, with the fitted curve.

    What the other columns of the design explain is replaced by its mean.

    Parameters
    ----------
    values : array_like of float, shape (n_images,), or images
        The value of the voxel in each image, NaN where it is missing. With `position`, the images
        themselves, as `SecondLevelModel.fit` takes them; one voxel of each is kept.
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        One row for each image. Rows are matched by label if values and rows have labels.
    contrast_def : str, array_like, list or None
        A contrast as `SecondLevelModel.compute_contrast` takes it.
    position : tuple of 3 floats, optional
        Position in mm. The voxel that holds it is read.
    level : float, default=0.95
        Level of the confidence intervals, which are pointwise.
    title : str, optional
        Written above.
    label : str, default="value"
        What the values are.

    Returns
    -------
    matplotlib.figure.Figure
        The picture. The images are shown as points.

    Raises
    ------
    ValueError
        If the values do not fit the design, `position` is outside the images, or `level` is not
        between 0 and 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_peak
    >>> design = pd.DataFrame({"patient": [1, 1, 0, 0], "control": [0, 0, 1, 1]})
    >>> figure = plot_peak([3.0, 5.0, 1.0, 2.0], design, "patient - control")
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['patient', 'control']
    """
    check_text("label", label, optional=False)
    if not 0 < real_number("level", level) < 1:
        raise ArgumentError("level", shown(level), "between 0 and 1, for instance 0.95")
    frame = load_design_matrix(design_matrix)
    if position is not None:
        data = read_place("values", values, position)
        frame = align_to_images(frame, values).frame
    else:
        rows = align_arrays({"design_matrix": frame, "values": values}, "values")
        frame, data = rows["design_matrix"], one_number_an_image("values", values)
    X = check_design_matrix(frame, len(data))
    names = [str(name) for name in frame.columns]
    with renamed(contrast="contrast_def"):
        contrast = contrast_matrix(contrast_def, names)
    terms = read_terms(X, names, levels_of(frame), origins_of(frame))
    adjusted = adjust(data, terms, contrast, level)
    with in_pyplot(Figure) as make:
        return draw_peak(adjusted, level, title, label, make)


def draw_peak(
    data: Adjusted,
    level: float,
    title: str | None,
    label: str,
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw adjusted data; see `plot_peak`."""
    panels = list(dict.fromkeys(one.panel for one in data.lines))
    if len(panels) > 1:
        return _draw_panels(data, panels, level, title, label, make)
    figure, ax = new_chart(4.2, 3.2, title, make)
    if data.kind == "groups":
        _draw_groups(ax, data, level)
    elif data.kind == "lines":
        _draw_lines(ax, data.lines, data.label)
        ax.set_title(_bands(level), loc="right", fontsize=8)
    else:
        _draw_line(ax, data, level)
    ax.set_ylabel(plain(label))
    despine(ax)
    legend_below(figure)
    return figure


def _draw_panels(
    data: Adjusted,
    panels: Sequence[str],
    level: float,
    title: str | None,
    label: str,
    make: Callable[..., Figure],
) -> Figure:
    """Draw lines at values of a number in one panel for each group, all on the same axes."""
    figure, first = new_chart(2.1 + 2.1 * len(panels), 3.4, title, make)
    first.remove()
    figure.supylabel(plain(label), fontsize=10)
    heading = f"{plain(title)}\n{_bands(level)}" if title else _bands(level)
    figure.suptitle(heading, fontsize=9)
    grid: Any = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for place, (ax, panel) in enumerate(zip(grid, panels, strict=True)):
        lines = [one for one in data.lines if one.panel == panel]
        _draw_lines(ax, lines, data.label, named=place == 0)
        ax.set_title(shortened(panel), loc="left", fontsize=10)
        despine(ax)
    legend_below(figure)
    return figure


def _draw_groups(ax: Axes, data: Adjusted, level: float) -> None:
    for place, group in enumerate(data.groups):
        ax.scatter(
            place + _spread(group.y), group.y, s=18, color=BLUE, alpha=0.65, lw=0,
            label="one image, adjusted" if place == 0 else None,
        )  # fmt: skip
        ax.errorbar(
            [place + 0.32], [group.fitted], [group.half_width], fmt="D", ms=5, color=ORANGE, lw=2,
            capsize=4, label=f"mean, {level:.0%} interval" if place == 0 else None,
        )  # fmt: skip
    ax.axhline(0, color=INK, lw=0.8, ls=":")
    label_columns(ax, [group.name for group in data.groups])
    ax.set_xlabel(shortened(data.label))
    ax.set_xlim(-0.6, len(data.groups) - 0.4)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift points sideways, points of similar value to different sides; always in the same way."""
    shifts = np.empty(len(values))
    shifts[np.argsort(values, kind="stable")] = (np.arange(len(values)) * 0.618) % 1
    return (shifts - 0.5) * 0.36


def _bands(level: float) -> str:
    return f"bands: {level:.0%} interval of the fit"


def _draw_lines(ax: Axes, lines: Sequence[Line], label: str, *, named: bool = True) -> None:
    for place, one in enumerate(lines):
        colour, marker = SERIES[place % len(SERIES)], _MARKERS[place % len(_MARKERS)]
        ax.scatter(one.x, one.y, s=20, color=colour, marker=marker, alpha=0.65, lw=0)
        places, fitted, half = one.line
        name = shortened(one.name or "fit", 36) if named else None
        ax.plot(places, fitted, color=colour, lw=2, label=name)
        if np.isfinite(half).all():
            ax.fill_between(places, fitted - half, fitted + half, color=colour, alpha=0.18, lw=0)
    ax.set_xlabel(shortened(label))


def _draw_line(ax: Axes, data: Adjusted, level: float) -> None:
    ax.scatter(data.x, data.y, s=18, color=BLUE, alpha=0.65, lw=0, label="one image, adjusted")
    places, fitted, half = data.line
    ax.plot(places, fitted, color=ORANGE, lw=2, label="fit")
    if np.isfinite(half).all():
        ax.fill_between(
            places, fitted - half, fitted + half, color=ORANGE, alpha=0.22, lw=0,
            label=f"{level:.0%} interval of the fit",
        )  # fmt: skip
    ax.set_xlabel(shortened(data.label))
