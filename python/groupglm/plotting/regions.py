# SPDX-License-Identifier: BSD-3-Clause
"""The effects of all regions of a table with their intervals, in order: `plot_regions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.plotting.charts import despine, new_chart, plain, shortened
from groupglm.plotting.colors import BLUE, GREY, INK, ORANGE
from groupglm.plotting.figure import Figure, check_output_file, in_pyplot, save_figure
from groupglm.runtime.arguments import (
    check_text,
    check_truth,
    real_array,
    real_number,
    whole_number,
)
from groupglm.runtime.naming import counted
from groupglm.tabular.region_tables import DEGREES

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["RegionEffects", "draw_regions", "plot_regions"]

_COLUMNS = ("effect_size", "effect_variance", "z_score")
_LINE = 0.17  # inches
_LONGEST_NAME = 40  # letters


@dataclass(frozen=True, eq=False)
class RegionEffects:
    """What is drawn of each region.

    Parameters
    ----------
    names : sequence of str
        The regions.
    shown : array, shape (n,)
        Their effects, or their z scores; NaN where there is none.
    half_widths : array, shape (n,), or None
        Half the width of the interval of each effect; None if there are no intervals.
    sizes : array, shape (n,)
        The z score of each region: of many, those with the largest size of it are drawn.
    survives : array of bool, shape (n,), or None
        Which regions are beyond a threshold; None without one.
    label : str
        What the values are.
    """

    names: list[str]
    shown: NDArray[np.float64]
    half_widths: NDArray[np.float64] | None
    sizes: NDArray[np.float64]
    survives: NDArray[np.bool_] | None
    label: str


def plot_regions(
    maps: pd.DataFrame,
    df: float | pd.Series[Any] | None = None,
    *,
    level: float = 0.95,
    threshold: float | None = None,
    two_sided: bool = True,
    most: int = 60,
    title: str | None = None,
    label: str = "effect",
    output_file: str | PathLike[str] | None = None,
) -> Figure:
    r"""Draw the effect of each region of a table with its confidence interval, the largest on top.

    Parameters
    ----------
    maps : pandas.DataFrame, shape (n_regions, n_maps)
        The results of a t contrast by region, as `SecondLevelModel.compute_contrast` returns them
        with ``output_type="all"``: the columns ``effect_size``, ``effect_variance`` and
        ``z_score`` are used.
    df : float or pandas.Series, optional
        Residual degrees of freedom, of all regions or of each by name, such as
        ``model.df_residual_``. By default those that `maps` was made with, if they are the same in
        all regions. Infinity gives intervals of the normal distribution.
    level : float, default=0.95
        Level of the confidence intervals. They are not corrected for the number of regions.
    threshold : float, optional
        Threshold of z, as `threshold_stats_img` returns it: regions beyond it are drawn in
        colour, positive effects in orange and negative ones in blue, and the others in grey.
    two_sided : bool, default=True
        Whether z beyond ``-threshold`` is drawn in colour too.
    most : int, default=60
        Of more regions, those with the largest size of z are drawn, and a note says so.
    title : str, optional
        Written above.
    label : str, default="effect"
        What the effects are, for instance their unit.
    output_file : str or os.PathLike, optional
        Where to save the figure; its ending says the format.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; its height grows with the number of regions.

    Raises
    ------
    TypeError
        If `maps` is no data frame.
    ValueError
        If `maps` lacks a column, or the degrees of freedom are not known.

    Notes
    -----
    The interval of an effect is :math:`b \pm t_{(1 + level)/2, df} \sqrt{v}`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from groupglm import SecondLevelModel
    >>> from groupglm.plotting import plot_regions
    >>> values = np.random.default_rng(0).normal(1, 1, (20, 3))
    >>> table = pd.DataFrame(values, columns=["a", "b", "c"])
    >>> design = pd.DataFrame({"intercept": np.ones(20)})
    >>> model = SecondLevelModel().fit(table, design_matrix=design)
    >>> figure = plot_regions(model.compute_contrast("intercept", output_type="all"))
    >>> sorted(name.get_text() for name in figure.axes[0].get_yticklabels())
    ['a', 'b', 'c']
    """
    check_text("label", label, optional=False)
    check_text("title", title)
    check_truth("two_sided", two_sided)
    path = check_output_file(output_file)
    if not 0 < real_number("level", level) < 1:
        raise ArgumentError("level", shown(level), "between 0 and 1, for instance 0.95")
    count = whole_number("most", most, least=1)
    effect, variance, z = _maps(maps)
    quantiles = special.stdtrit(_degrees(df, maps), 0.5 + level / 2)
    half = np.asarray(quantiles * np.sqrt(variance), np.float64)
    survives = None
    if threshold is not None:
        limit = real_number("threshold", threshold, infinite=True)
        survives = np.abs(z) >= limit if two_sided else z >= limit
    names = [str(name) for name in maps.index]
    effects = RegionEffects(names, effect, half, z, survives, f"{label}, {level:.0%} interval")
    with in_pyplot(Figure) as make:
        figure = draw_regions(effects, title, most=count, make=make)
    save_figure(figure, path)
    return figure


def _maps(maps: Any) -> list[NDArray[np.float64]]:
    """Return effects, variances and z scores by region."""
    import pandas as pd

    wanted = "the data frame that compute_contrast(..., output_type='all') returns for a table"
    if not isinstance(maps, pd.DataFrame):
        raise ArgumentTypeError("maps", f"a {type(maps).__name__}", wanted)
    absent = [name for name in _COLUMNS if name not in maps.columns]
    if absent:
        f_only = "effect_size_0" in maps.columns
        raise ArgumentError.about(
            "maps",
            f"maps has no column {', '.join(map(repr, absent))}",
            "an F contrast has no interval of one effect: give the maps of a t contrast"
            if f_only
            else f"give {wanted}",
        )
    if not len(maps):
        raise ArgumentError.about("maps", "maps has no region", f"give {wanted}")
    return [real_array("maps", maps[name]).astype(np.float64) for name in _COLUMNS]


def _degrees(df: Any, maps: pd.DataFrame) -> NDArray[np.float64]:
    """Return the residual degrees of freedom of each region."""
    import pandas as pd

    known = maps.attrs.get(DEGREES) if df is None else df
    if known is None:
        raise ArgumentError.about(
            "df",
            "df is not given, and maps does not say how many degrees of freedom its regions have",
            "give df=model.df_residual_",
        )
    if isinstance(known, pd.Series):
        absent = [str(name) for name in maps.index if name not in known.index]
        if absent:
            raise ArgumentError.about(
                "df", f"df has no number for the region {absent[0]!r}", "give one for each region"
            )
        known = known.loc[maps.index]
    degrees = np.broadcast_to(real_array("df", known).astype(np.float64), (len(maps),))
    if not (degrees > 0).all():
        raise ArgumentError(
            "df", f"{degrees.min():g} for some region", "above zero", "give df=model.df_residual_"
        )
    return degrees


def draw_regions(
    effects: RegionEffects,
    title: str | None = None,
    *,
    most: int = 60,
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw regions in the order of their values; see `plot_regions`."""
    known = np.flatnonzero(np.isfinite(effects.shown))
    strongest = known[np.argsort(-np.abs(effects.sizes[known]), kind="stable")][:most]
    rows = strongest[np.argsort(effects.shown[strongest], kind="stable")]  # the largest on top
    names = [shortened(effects.names[row], _LONGEST_NAME) for row in rows]
    width = 5.2 + 0.07 * max(map(len, names), default=0)
    rows_high = max(len(rows), 3)
    figure, ax = new_chart(width, 1.1 + _LINE * rows_high, title, make)
    y, x = np.arange(len(rows)), effects.shown[rows]
    colours = np.where(x >= 0, ORANGE, BLUE)
    if effects.survives is not None:
        colours = np.where(effects.survives[rows], colours, GREY)
    ax.axvline(0, color=INK, lw=0.8, ls=":", zorder=0)
    if effects.half_widths is not None:
        half = effects.half_widths[rows]
        ax.hlines(y, x - half, x + half, colors=colours.tolist(), lw=1.4).set_gid("intervals")
    ax.scatter(x, y, s=16, c=colours.tolist(), lw=0, zorder=3).set_gid("effects")
    ax.set_yticks(y, names, fontsize=8)
    ax.set_ylim(-0.8, max(len(rows), 1) - 0.2)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel(plain(effects.label), fontsize=9)
    despine(ax)
    ax.spines["left"].set_visible(False)
    if len(rows) < len(known):
        note = f"{counted(len(rows), 'region')} of {len(known):,}, those with the largest |z|"
        ax.text(
            1.0, 1.0, note, transform=ax.transAxes, ha="right", va="bottom", fontsize=8, color=GREY
        )
    return figure
