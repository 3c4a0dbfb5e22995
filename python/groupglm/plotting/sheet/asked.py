# SPDX-License-Identifier: BSD-3-Clause
"""What is to be on a sheet: `Asked`, its outlines and its peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.plotting.charts import shortened
from groupglm.plotting.limits import NOISE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["MOST_OUTLINES", "OVERLAY_COLOURS", "PICTURES", "Asked", "Outline", "Peaks"]

PICTURES = ("slices", "glass", "surface")
"""The kinds of pictures."""

OVERLAY_COLOURS = ("#d55e00", "#0072b2", "#cc79a7")
"""The colours of two maps over each other, and of where both are (Okabe and Ito's)."""

_ON_LIGHT = ("#000000", "#009e73", "#7b2d8b", "#b8860b")
_ON_DARK = ("#ffffff", "#3ddc97", "#e28bf5", "#f0e442")
MOST_OUTLINES = len(_ON_LIGHT)
"""How many outlines a sheet may have: each has a colour."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of where a map is beyond a size, or of a mask.

    Parameters
    ----------
    image : image or path
        The map or mask.
    name : str
        Written in the legend.
    """

    image: Any
    name: str


@dataclass(frozen=True, eq=False)
class Peaks:
    """The peaks of a table.

    Parameters
    ----------
    labels : list of str
        What is written at each: the number of its cluster.
    places : array, shape (n, 3)
        In mm.
    vertices : list of (str, int), optional
        The structure and the number of the vertex of each; None in a table of voxels.
    """

    labels: list[str]
    places: NDArray[np.float64]
    vertices: list[tuple[str, int]] | None

    @classmethod
    def of_table(cls, table: pd.DataFrame, name: str) -> Peaks:
        """Take the peaks of a table of clusters, of `get_clusters_table` or ``groupglm clusters``.

        Raises
        ------
        ArgumentError
            If the table has no columns of places.
        """
        lacking = [axis for axis in "XYZ" if axis not in table.columns]
        remedy = "give a table of groupglm clusters, or one with the columns X, Y and Z"
        if lacking:
            found = f"{name} has no column {' or '.join(lacking)}"
            raise ArgumentError.about("peaks", found, remedy)
        places = np.empty((len(table), 3))
        for number, axis in enumerate("XYZ"):
            try:
                places[:, number] = table[axis].to_numpy(np.float64)
            except (TypeError, ValueError) as error:
                found = f"the column {axis} of {name} has other entries than numbers"
                raise ArgumentError.about("peaks", found, remedy) from error
        ids = table["Cluster ID"] if "Cluster ID" in table.columns else range(1, len(table) + 1)
        vertices = None
        if {"Structure", "Vertex"} <= set(table.columns):
            whole = table["Vertex"].to_numpy(np.float64, na_value=np.nan)
            vertices = [
                (str(side), int(vertex) if np.isfinite(vertex) else -1)
                for side, vertex in zip(table["Structure"], whole, strict=True)
            ]
        elif not np.isfinite(places).all():
            found = f"{name} has a row without a place in mm"
            raise ArgumentError.about("peaks", found, remedy)
        return cls([shortened(str(label), 6) for label in ids], places, vertices)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be on a sheet.

    Parameters
    ----------
    maps : sequence of images or paths
        At least one.
    names : sequence of str
        The name of each map.
    picture : {"slices", "glass", "surface"}, optional
        The kind of picture; by default slices of volumes, and surfaces.
    threshold : float, str or None
        Values up to this size are not drawn.
    vmax : float, optional
        The value of the last colour.
    overlay : bool
        Whether two maps are drawn over each other, each in one colour.
    outlines : sequence of Outline
        What is outlined.
    outline_threshold : float
        Outlined is where sizes are beyond it.
    peaks : Peaks, optional
        What is marked.
    background : image or path, optional
        The picture behind slices and glass brains, or how dark surfaces are; by default the MNI
        template, and sulci.
    surfaces : object
        The meshes to draw on.
    display_mode : str, optional
        The views, of the kind of picture.
    cut_coords : tuple of floats, optional
        Where to cut, in mm.
    title : str, optional
        Written above.
    colorbar : bool
        Whether the scale is drawn.
    dpi : float
        Pixels an inch.
    """

    maps: tuple[Any, ...]
    names: tuple[str, ...]
    picture: str | None = None
    threshold: float | str | None = NOISE
    vmax: float | None = None
    overlay: bool = False
    outlines: tuple[Outline, ...] = ()
    outline_threshold: float = NOISE
    peaks: Peaks | None = None
    background: Any = None
    surfaces: Any = None
    display_mode: str | None = None
    cut_coords: tuple[float, ...] | None = None
    title: str | None = None
    colorbar: bool = True
    dpi: float = 150.0

    @property
    def blocks(self) -> tuple[str, ...]:
        """What is written above each block of views: the maps' names, if there are several."""
        if self.overlay or len(self.maps) == 1:
            return ("",)
        return self.names

    def outline_colours(self, *, dark: bool) -> tuple[str, ...]:
        """Return the colours of the outlines on a dark or light ground."""
        return (_ON_DARK if dark else _ON_LIGHT)[: len(self.outlines)]

    def legend(self, *, dark: bool) -> list[tuple[str, str, bool]]:
        """Return names, colours, and whether these are filled, of what the bar does not tell."""
        entries = []
        if self.overlay:
            seen = " in the line of sight" if self.picture == "glass" else ""
            names = [*self.names, f"both{seen}"]
            entries += [
                (name, colour, True) for name, colour in zip(names, OVERLAY_COLOURS, strict=True)
            ]
        colours = self.outline_colours(dark=dark)
        entries += [
            (one.name, colour, False) for one, colour in zip(self.outlines, colours, strict=True)
        ]
        return entries
