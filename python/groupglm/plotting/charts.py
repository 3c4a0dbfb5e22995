# SPDX-License-Identifier: BSD-3-Clause
"""Shared parts of all charts: a figure with one axes, and names that fit under columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from groupglm.errors import printable
from groupglm.plotting.figure import Figure
from groupglm.runtime.arguments import check_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["despine", "label_columns", "legend_below", "new_chart", "plain", "shortened"]

_UNDRAWABLE = re.compile("[\t\ud800-\udfff]")  # a tab, and lone surrogates
_MAX_NAME = 28
_MAX_LABELS = 60
_MAX_LEGEND_ROW = 56  # letters


def new_chart(
    width: float,
    height: float,
    title: str | None,
    make: Callable[..., Figure] = Figure,
    *,
    with_bar: bool = False,
) -> tuple[Figure, Axes]:
    """Make a figure with one axes, whose labels stay inside.

    One `with_bar` gets a colour bar. Once it has that, matplotlib refuses ``plt.tight_layout()`` of
    a script, unless this is how the figure was laid out from the start.
    """
    check_text("title", title)
    layout = "tight" if with_bar else "constrained"
    figure = make(figsize=(min(width, 14.0), height), layout=layout, facecolor="white")
    ax = figure.add_subplot()
    if title:
        ax.set_title(plain(title), loc="left", fontsize=11)
    return figure, ax


def despine(ax: Axes) -> None:
    """Remove the lines at the top and on the right, which mean nothing."""
    ax.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure) -> None:
    """Put the legend below the axes, where it hides no data."""
    names = [label for ax in figure.axes for label in ax.get_legend_handles_labels()[1]]
    # Long names in one row would extend beyond the figure.
    n_columns = 3 if sum(map(len, names)) <= _MAX_LEGEND_ROW or len(names) > 3 else 1
    figure.legend(
        loc="outside lower center", ncols=n_columns, frameon=False, fontsize=8, columnspacing=1.2
    )


def plain(text: str) -> str:
    """Escape characters that matplotlib would read as a formula, and those that no font has.

    Control characters are written as on a terminal; line breaks of a title stay.
    """
    text = _UNDRAWABLE.sub(lambda found: ascii(found[0])[1:-1], printable(text))
    return text.replace("$", r"\$")


def shortened(text: str, length: int = _MAX_NAME) -> str:
    """Cut the middle out of a name that is too long for a label: names differ at their ends."""
    text = text.replace("\n", r"\n")  # a name has one line
    if len(text) <= length:
        return plain(text)
    end = length // 3
    return plain(f"{text[: length - end - 1]}…{text[-end:]}")


def label_columns(ax: Axes, names: Sequence[str]) -> None:
    """Write names under columns, slanted unless they are short and few."""
    every = -(-len(names) // _MAX_LABELS)
    shown = range(0, len(names), every)
    labels = [shortened(names[place]) for place in shown]
    ax.set_xticks(shown, labels)
    if sum(map(len, labels)) > 24:
        for label in ax.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
