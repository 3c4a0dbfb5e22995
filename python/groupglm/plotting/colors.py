# SPDX-License-Identifier: BSD-3-Clause
"""Colours that readers with any colour vision can distinguish.

Hue shows the sign, along the axis from blue to orange, which red-green blindness leaves intact.
Lightness shows the size, and prints in grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap

from groupglm.errors import ArgumentError, ArgumentTypeError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BLUE",
    "DARK",
    "GREY",
    "INK",
    "LIGHT",
    "ON_DARK",
    "ON_LIGHT",
    "ORANGE",
    "SERIES",
    "Look",
    "colour_map",
    "count_map",
    "diverging",
    "is_diverging",
    "lookup_table",
]

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8a8a"  # of Okabe and Ito's set
SERIES = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00")  # groups, in that order
INK = "#1a1a1a"

# From the most negative to the most positive value. On a dark ground, lightness grows with size...
_DARK_GROUND = ["#e0f7ff", "#74c7f5", "#2a86d8", "#173f8f", "#101840"]
_DARK_GROUND += ["#401008", "#9c2110", "#e8590c", "#ffab2e", "#fff3b0"]
# ... and on a light ground it falls with size.
_LIGHT_GROUND = ["#08306b", "#2171b5", "#6baed6", "#c6dbef", "#f2f2f2"]
_LIGHT_GROUND += ["#fdd9b5", "#fd8d3c", "#d94801", "#7f2704"]

ON_DARK: Colormap = LinearSegmentedColormap.from_list("groupglm_on_dark", _DARK_GROUND, N=512)
ON_LIGHT: Colormap = LinearSegmentedColormap.from_list("groupglm_on_light", _LIGHT_GROUND, N=512)

# Maps whose middle stands for zero: ours, matplotlib's, and those that nilearn adds to them.
_DIVERGING = {ON_DARK.name, ON_LIGHT.name}
_DIVERGING |= {"PiYG", "PRGn", "BrBG", "PuOr", "RdGy", "RdBu", "RdYlBu", "RdYlGn", "Spectral"}
_DIVERGING |= {"coolwarm", "bwr", "seismic", "berlin", "managua", "vanimo"}
_DIVERGING |= {"cold_hot", "cold_white_hot", "blue_red", "blue_orange", "brown_blue", "brown_cyan"}
_DIVERGING |= {"cyan_copper", "cyan_orange", "purple_green", "purple_blue", "ocean_hot"}
_DIVERGING |= {"hot_white_bone", "hot_black_bone", "roy_big_bl"}

# Colours of many scripts, which matplotlib has only where nilearn is imported.
_FROM_HOT = {"cold_hot": "hot", "cold_white_hot": "hot_r"}


@dataclass(frozen=True)
class Look:
    """The colours of a figure of maps.

    Parameters
    ----------
    ground, ink : str
        Colours of the ground and of the writing on it.
    """

    ground: str
    ink: str


DARK, LIGHT = Look("#000000", "#f2f2f2"), Look("#ffffff", "#1a1a1a")


def diverging(*, dark: bool) -> Colormap:
    """Return the map for signed values on a dark or light ground."""
    return ON_DARK if dark else ON_LIGHT


def colour_map(cmap: object) -> Colormap | None:
    """Return a colour map that a caller gave, by matplotlib's name of it or itself."""
    if cmap is None or isinstance(cmap, Colormap):
        return cmap
    if not isinstance(cmap, str):
        wanted = "the name of a colour map, a matplotlib Colormap, or None"
        raise ArgumentTypeError("cmap", f"a {type(cmap).__name__}", wanted)
    if cmap.removesuffix("_r") in _FROM_HOT:
        signed = _from_hot(cmap.removesuffix("_r"))
        return signed.reversed() if cmap.endswith("_r") else signed
    if cmap not in mpl.colormaps:
        raise ArgumentError(
            "cmap",
            shown(cmap),
            "a colour map that matplotlib knows",
            "such as 'RdBu_r'; it knows those of nilearn after import nilearn.plotting",
        )
    return mpl.colormaps[cmap]


def _from_hot(name: str) -> Colormap:
    """Return a map of a matplotlib map for positive values, and its red and blue exchanged."""
    hot = mpl.colormaps[_FROM_HOT[name]](np.linspace(0.0, 1.0, 128))
    return ListedColormap(np.vstack([hot[::-1, [2, 1, 0, 3]], hot]), name)


def is_diverging(cmap: Colormap) -> bool:
    """Tell whether the middle of a colour map stands for zero."""
    return cmap.name.removesuffix("_r") in _DIVERGING


def count_map() -> Colormap:
    """Return the map for counts, from dark to light in equal steps to the eye.

    It is matplotlib's viridis, which has no grey as the brain behind it has, without its darkest
    colours, which look like the ground.
    """
    viridis = mpl.colormaps["viridis"](np.linspace(0.15, 1.0, 256))
    return ListedColormap(viridis, "groupglm_counts")


def lookup_table(n: int = 256) -> NDArray[np.uint8]:
    """Return the colours for signed values on a dark ground, shape (n, 3), 0 to 255."""
    colours = ON_DARK(np.linspace(0.0, 1.0, n))
    return np.round(np.asarray(colours)[:, :3] * 255).astype(np.uint8)
