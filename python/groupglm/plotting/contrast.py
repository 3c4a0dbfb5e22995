# SPDX-License-Identifier: BSD-3-Clause
"""A contrast's weights: `plot_contrast_matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.errors import renamed
from groupglm.plotting.charts import despine, label_columns, new_chart, plain
from groupglm.plotting.colors import BLUE, ORANGE
from groupglm.runtime.arguments import check_text

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

__all__ = ["plot_contrast_matrix"]

_MAX_ROWS = 8


def plot_contrast_matrix(
    contrast_def: Any,
    design_matrix: pd.DataFrame | str | PathLike[str],
    *,
    title: str | None = None,
) -> Figure:
    """Draw a contrast as bars, one for each column of the design matrix.

    Parameters
    ----------
    contrast_def : str, array_like or list
        A contrast as `SecondLevelModel.compute_contrast` takes it; one axes for each row of an F
        contrast, eight at most.
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        The design matrix.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        The bars.

    Raises
    ------
    ValueError
        If it is not a contrast of that design.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_contrast_matrix
    >>> design = pd.DataFrame({"patient": [1, 0, 1], "control": [0, 1, 0]})
    >>> figure = plot_contrast_matrix("patient - control", design)
    >>> [float(bar.get_height()) for bar in figure.axes[0].patches]
    [1.0, -1.0]
    """
    frame = load_design_matrix(design_matrix)
    check_design_matrix(frame)
    names = [str(name) for name in frame.columns]
    with renamed(contrast="contrast_def"):
        rows = np.atleast_2d(contrast_matrix(contrast_def, names))
    shown = rows[:_MAX_ROWS]
    check_text("title", title)
    figure, first = new_chart(max(3.4, 0.5 * len(names) + 1.6), 0.9 * len(shown) + 1.5, None)
    first.remove()
    grid: Any = figure.subplots(len(shown), 1, sharex=True, squeeze=False)
    for ax, row in zip(grid[:, 0], shown, strict=True):
        colours = [BLUE if weight < 0 else ORANGE for weight in row]
        ax.bar(range(len(row)), row, color=colours, width=0.7)
        ax.axhline(0, color="#1a1a1a", lw=0.8)
        ax.set_ylabel("weight")
        ax.margins(y=0.15)
        despine(ax)
    label_columns(grid[-1, 0], names)
    heading = title or ""
    if len(rows) > len(shown):
        heading += f" (rows 1 to {len(shown)} of {len(rows)})"
    if heading:
        grid[0, 0].set_title(plain(heading.strip()), loc="left", fontsize=11)
    return figure
