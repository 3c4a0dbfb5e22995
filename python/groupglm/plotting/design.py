# SPDX-License-Identifier: BSD-3-Clause
"""A design matrix and the correlations of its columns: `plot_design_matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.errors import ArgumentError
from groupglm.plotting.charts import label_columns, new_chart, shortened
from groupglm.plotting.colors import INK, diverging

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["plot_design_correlation", "plot_design_matrix"]

_CONSTANT = "#d4d4d4"
_MAX_NUMBERS = 12  # columns; beyond, numbers in the cells could not be read


def plot_design_matrix(
    design_matrix: pd.DataFrame | str | PathLike[str], *, title: str | None = None
) -> Figure:
    """Draw a design matrix: one row for each image, one column for each regressor.

    Each column is divided by its largest size, so that the colours go from -1 to 1. A constant
    column is grey and has its value written on it.

    Parameters
    ----------
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        One row an image.
    title : str, optional
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        Axes of the matrix and, where a column varies, of the colour bar.

    Raises
    ------
    ValueError
        If it is not a design matrix.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_design_matrix
    >>> design = pd.DataFrame({"age": [-2.0, 0.0, 2.0], "intercept": 1.0})
    >>> plot_design_matrix(design).axes[0].images[0].get_array().tolist()
    [[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    """
    frame = load_design_matrix(design_matrix)
    values = check_design_matrix(frame)
    sizes = np.abs(values).max(axis=0)
    sizes[sizes == 0] = 1.0
    n_rows, n_columns = values.shape
    height = float(np.clip(0.16 * n_rows, 2.2, 6.0)) + 1.3
    figure, ax = new_chart(max(3.6, 0.55 * n_columns + 2.2), height, title)
    picture = _heat_map(ax, values / sizes)
    constant = np.flatnonzero(np.ptp(values, axis=0) == 0)
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
    if len(constant) < n_columns:
        figure.colorbar(picture, ax=ax, shrink=0.7, label="value / largest size in the column")
    return figure


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
    frame = load_design_matrix(design_matrix)
    names, correlation = design_correlation(frame)
    if len(names) < 2:
        raise ArgumentError(
            "design_matrix",
            f"{len(names)} columns that vary",
            remedy="a correlation needs two of them",
            verb="has",
        )
    side = float(np.clip(0.55 * len(names), 1.6, 6.0))
    figure, ax = new_chart(side + 2.9, side + 1.3, title)
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


def _heat_map(ax: Axes, values: Any) -> AxesImage:
    return ax.imshow(
        values, cmap=diverging(dark=False), vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
    )
