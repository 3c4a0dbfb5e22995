# SPDX-License-Identifier: BSD-3-Clause
"""A design matrix and the correlations of its columns: `plot_design_matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.errors import ArgumentError
from groupglm.plotting.charts import label_columns, new_chart, plain, shortened
from groupglm.plotting.colors import INK, colour_map, diverging
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
    from collections.abc import Callable
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

__all__ = ["plot_design_correlation", "plot_design_matrix"]

_CONSTANT = "#d4d4d4"
_MAX_NUMBERS = 12  # columns; with more, numbers in the cells would be too small


def plot_design_matrix(
    design_matrix: pd.DataFrame | str | PathLike[str],
    rescale: bool = True,
    axes: Axes | None = None,
    output_file: str | PathLike[str] | None = None,
    *,
    cmap: str | Colormap | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a design matrix: one row for each image, one column for each regressor.

    Parameters
    ----------
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        One row an image.
    rescale : bool, default=True
        Whether each column is divided by its largest size, so that the colours go from -1 to 1. A
        constant column is then grey and has its value written on it. Otherwise the colours are
        those of the values, and zero is in the middle.
    axes : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure with axes of the matrix and, where a column varies,
        of the colour bar. Axes of yours get no colour bar.
    output_file : str or os.PathLike, optional
        Where to save the figure; its ending says the format.
    cmap : str or matplotlib.colors.Colormap, optional
        The colours. By default blue to orange.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the matrix; ``.figure`` is their figure.

    Raises
    ------
    ValueError
        If it is not a design matrix, or `output_file` has no ending of a picture.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_design_matrix
    >>> design = pd.DataFrame({"age": [-2.0, 0.0, 2.0], "intercept": 1.0})
    >>> plot_design_matrix(design).images[0].get_array().tolist()
    [[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    """
    divided = check_truth("rescale", rescale)
    own, path, colours = axes_to_draw_on(axes), check_output_file(output_file), colour_map(cmap)
    frame = load_design_matrix(design_matrix)
    if own is not None:
        check_text("title", title)
        check_design_matrix(frame)
        _draw_columns(own, frame, divided, colours)
        if title is not None:
            own.set_title(plain(title), loc="left", fontsize=11)
        save_figure(figure_of(own), path)
        return own
    with in_pyplot(Figure) as make:
        figure = draw_design_matrix(frame, title, make, rescale=divided, cmap=colours)
    save_figure(figure, path)
    return figure.axes[0]


def draw_design_matrix(
    frame: pd.DataFrame,
    title: str | None = None,
    make: Callable[..., Figure] = Figure,
    *,
    rescale: bool = True,
    cmap: Colormap | None = None,
) -> Figure:
    """Draw a design matrix that has been read in a figure of its own; see `plot_design_matrix`."""
    n_rows, n_columns = check_design_matrix(frame).shape
    height = float(np.clip(0.16 * n_rows, 2.2, 6.0)) + 1.3
    width = max(3.6, 0.55 * n_columns + 2.2)
    figure, ax = new_chart(width, height, title, make, with_bar=True)
    picture = _draw_columns(ax, frame, rescale, cmap)
    if not rescale:
        figure.colorbar(picture, ax=ax, shrink=0.7, label="value")
    elif (np.ptp(frame.to_numpy(np.float64), axis=0) > 0).any():
        figure.colorbar(picture, ax=ax, shrink=0.7, label="value / largest size in the column")
    return figure


def _draw_columns(ax: Axes, frame: pd.DataFrame, rescale: bool, cmap: Colormap | None) -> AxesImage:
    values = check_design_matrix(frame)
    n_rows = len(values)
    if rescale:
        sizes = np.abs(values).max(axis=0)
        sizes[sizes == 0] = 1.0
        picture = _heat_map(ax, values / sizes, cmap)
    else:
        picture = _heat_map(ax, values, cmap, float(np.abs(values).max()) or 1.0)
    constant = np.flatnonzero(np.ptp(values, axis=0) == 0) if rescale else np.zeros(0, int)
    for column in constant.tolist():
        ax.axvspan(column - 0.5, column + 0.5, color=_CONSTANT, lw=0)
        ax.text(
            column, (n_rows - 1) / 2, f"{values[0, column]:.4g} in every image", rotation=90,
            ha="center", va="center", color=INK, size=9,
        )  # fmt: skip
    label_columns(ax, [str(name) for name in frame.columns])
    ax.set_ylabel(f"image (1 to {n_rows})")
    ax.set_yticks(np.unique(np.linspace(0, n_rows - 1, min(n_rows, 6)).astype(int)))
    ax.set_yticklabels([str(int(row) + 1) for row in ax.get_yticks()])
    return picture


def plot_design_correlation(
    design_matrix: pd.DataFrame | str | PathLike[str], *, title: str | None = None
) -> Figure:
    """Draw how strongly the columns of a design matrix correlate.

    Parameters
    ----------
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        One row an image. A constant column correlates with nothing and is left out.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        Axes of the correlations and of the colour bar.

    Raises
    ------
    ValueError
        If it is not a design matrix, or has fewer than two columns that vary.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_design_correlation
    >>> design = pd.DataFrame({"age": [-2.0, 0.0, 2.0], "dose": [3.0, 2.0, 1.0], "intercept": 1.0})
    >>> plot_design_correlation(design).axes[0].images[0].get_array().round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    with in_pyplot(Figure) as make:
        return draw_design_correlation(load_design_matrix(design_matrix), title, make)


def draw_design_correlation(
    frame: pd.DataFrame, title: str | None = None, make: Callable[..., Figure] = Figure
) -> Figure:
    """Draw correlations of a design matrix that has been read; see `plot_design_correlation`."""
    names, correlation = design_correlation(frame)
    if len(names) < 2:
        raise ArgumentError(
            "design_matrix",
            f"{len(names)} columns that vary",
            remedy="a correlation needs two of them",
            verb="has",
        )
    side = float(np.clip(0.55 * len(names), 1.6, 6.0))
    figure, ax = new_chart(side + 2.9, side + 1.3, title, make, with_bar=True)
    picture = _heat_map(ax, correlation)
    label_columns(ax, names)
    ax.set_yticks(range(len(names)), [shortened(name) for name in names])
    if len(names) <= _MAX_NUMBERS:
        for row, column in np.ndindex(*correlation.shape):
            value = correlation[row, column]
            ink = "#ffffff" if abs(value) > 0.6 else "#1a1a1a"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, size=8)
    figure.colorbar(picture, ax=ax, shrink=0.7, label="correlation")
    return figure


def design_correlation(frame: pd.DataFrame) -> tuple[list[str], Any]:
    """Return the names of the columns that vary and their correlations, shape (k, k)."""
    values = check_design_matrix(frame)
    varies = np.ptp(values, axis=0) > 0
    names = [str(name) for name, is_wanted in zip(frame.columns, varies, strict=True) if is_wanted]
    if len(names) < 2:
        return names, np.ones((len(names), len(names)))
    return names, np.corrcoef(values[:, varies], rowvar=False)


def _heat_map(
    ax: Axes, values: Any, cmap: Colormap | None = None, largest: float = 1.0
) -> AxesImage:
    return ax.imshow(
        values, cmap=cmap or diverging(dark=False), vmin=-largest, vmax=largest, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
