# SPDX-License-Identifier: BSD-3-Clause
"""A contrast's weights, in colours and as bars: `plot_contrast_matrix`, `draw_weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.errors import renamed
from groupglm.plotting.charts import despine, label_columns, new_chart, plain
from groupglm.plotting.colors import BLUE, ORANGE, diverging
from groupglm.plotting.figure import (
    Figure,
    axes_to_draw_on,
    check_output_file,
    figure_of,
    in_pyplot,
    save_figure,
)
from groupglm.runtime.arguments import check_text, check_truth

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["draw_weights", "plot_contrast_matrix"]

_MAX_ROWS = 8
_MAX_NUMBERS = 12  # columns; beyond, numbers in the cells could not be read
_HEAVY = 0.6  # of the largest weight, from which a cell is so dark that its number is white


def plot_contrast_matrix(
    contrast_def: Any,
    design_matrix: pd.DataFrame | str | PathLike[str],
    colorbar: bool = True,
    axes: Axes | None = None,
    output_file: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
) -> Axes:
    """Draw the weights of a contrast, one for each column of the design matrix.

    Parameters
    ----------
    contrast_def : str, array_like or list
        A contrast as `SecondLevelModel.compute_contrast` takes it; one row of the picture for each
        row of an F contrast.
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        The design matrix.
    colorbar : bool, default=True
        Whether to draw the scale of the colours. Zero is in its middle.
    axes : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure.
    output_file : str or os.PathLike, optional
        Where to save the figure; its ending says the format.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the weights; ``.figure`` is their figure.

    Raises
    ------
    ValueError
        If it is not a contrast of that design, or `output_file` has no ending of a picture.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_contrast_matrix
    >>> design = pd.DataFrame({"patient": [1, 0, 1], "control": [0, 1, 0]})
    >>> plot_contrast_matrix("patient - control", design).images[0].get_array().tolist()
    [[1.0, -1.0]]
    """
    with_bar = check_truth("colorbar", colorbar)
    ax, path = axes_to_draw_on(axes), check_output_file(output_file)
    check_text("title", title)
    names, rows = _weights(contrast_def, load_design_matrix(design_matrix))
    if ax is None:
        width = max(3.4, 0.55 * len(names) + 1.6)
        with in_pyplot(Figure) as make:
            _, ax = new_chart(width, 0.4 * len(rows) + 1.8, None, make, with_bar=with_bar)
            _draw_cells(ax, rows, names, title, with_bar)
    else:
        _draw_cells(ax, rows, names, title, with_bar)
    save_figure(figure_of(ax), path)
    return ax


def _weights(contrast_def: Any, frame: pd.DataFrame) -> tuple[list[str], Any]:
    """Return the names of the columns and the weights, shape (n_rows, n_columns)."""
    check_design_matrix(frame)
    names = [str(name) for name in frame.columns]
    with renamed(contrast="contrast_def"):
        return names, np.atleast_2d(contrast_matrix(contrast_def, names))


def _draw_cells(ax: Axes, rows: Any, names: list[str], title: str | None, with_bar: bool) -> None:
    largest = float(np.abs(rows).max()) or 1.0
    picture = ax.imshow(
        rows, cmap=diverging(dark=False), vmin=-largest, vmax=largest, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    if rows.shape[1] <= _MAX_NUMBERS:
        for row, column in np.ndindex(*rows.shape):
            weight = rows[row, column]
            ink = "#ffffff" if abs(weight) > _HEAVY * largest else "#1a1a1a"
            ax.text(column, row, f"{weight:.3g}", ha="center", va="center", color=ink, size=8)
    label_columns(ax, names)
    ax.set_yticks(range(len(rows)) if 1 < len(rows) <= _MAX_ROWS else [])
    ax.set_yticklabels([f"row {int(row) + 1}" for row in ax.get_yticks()])
    if title is not None:
        ax.set_title(plain(title), loc="left", fontsize=11)
    if with_bar:
        figure_of(ax).colorbar(picture, ax=ax, label="weight")


def draw_weights(contrast_def: Any, frame: pd.DataFrame) -> Figure:
    """Draw a contrast as bars, one axes for each row of an F contrast, eight at most."""
    names, rows = _weights(contrast_def, frame)
    shown = rows[:_MAX_ROWS]
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
    if len(rows) > len(shown):
        heading = f"rows 1 to {len(shown)} of {len(rows)}"
        grid[0, 0].set_title(heading, loc="left", fontsize=11)
    return figure
