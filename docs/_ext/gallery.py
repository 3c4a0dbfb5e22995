# SPDX-License-Identifier: BSD-3-Clause
"""Figures of the worked examples, and the examples' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

# As one would read them; new ones come after these, by name.
_ORDER = (
    "plot_one_sample",
    "plot_two_samples",
    "plot_covariates",
    "plot_visits",
    "plot_mixed_effects",
    "plot_grey_matter",
    "plot_thresholds",
    "plot_true_discoveries",
    "plot_surfaces",
    "plot_bids",
)

_shown: WeakSet[Figure] = WeakSet()


def new_figures(names: dict[str, Any]) -> Iterator[Figure]:
    """Return the figures, also those of axes, among an example's variables, each once.

    Parameters
    ----------
    names : dict
        The example's variables; sphinx-gallery calls the last expression of a cell ``___``.

    Yields
    ------
    matplotlib.figure.Figure
        In the order of the variables.
    """
    for value in list(names.values()):
        figure = value.figure if isinstance(value, Axes) else value
        if isinstance(figure, Figure) and figure not in _shown:
            _shown.add(figure)
            yield figure


def save_figures(block: object, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the new figures of a cell; return the reST that shows them."""
    del block
    paths = []
    for figure in new_figures(block_vars["example_globals"]):
        path = next(block_vars["image_path_iterator"])
        figure.savefig(path, dpi=110)
        paths.append(path)
    plt.close("all")  # pyplot warns of many open figures
    rst: str = figure_rst(paths, gallery_conf["src_dir"])
    return rst


def _get_sg_image_scraper() -> Callable[..., str]:  # sphinx-gallery looks for this name
    return save_figures


class ReadingOrder:
    """The order of the examples in the gallery; sphinx-gallery makes one for a folder."""

    def __init__(self, folder: str) -> None:
        del folder

    def __call__(self, name: str) -> tuple[int, str]:
        """Return what sorts a file."""
        stem = Path(name).stem
        return (_ORDER.index(stem) if stem in _ORDER else len(_ORDER)), name
