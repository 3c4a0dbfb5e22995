# SPDX-License-Identifier: BSD-3-Clause
"""The views of the brain, the places of cuts, and the layout of the page: `Panel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patheffects import withStroke

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.plotting.charts import plain
from groupglm.plotting.figure import Figure
from groupglm.plotting.volume.volumes import IN_PLANE, Bounds, Volume
from groupglm.runtime.arguments import real_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from groupglm.plotting.colors import Look

__all__ = [
    "GLASS_MODES",
    "SLICE_MODES",
    "Panel",
    "check_cuts",
    "check_mode",
    "choose_cuts",
    "glass_panels",
    "lay_out",
]

SLICE_MODES = ("ortho", "x", "y", "z", "xz", "yx", "yz")
GLASS_MODES = (*SLICE_MODES, "l", "r", "lr", "lzr", "lyr", "lzry", "lyrz")
"""nilearn's names of views: planes by the axis that they are perpendicular to; l and r are the
hemispheres, seen from outside."""

_ORTHO = "yxz"  # front, side, top
_N_CUTS = 8
_MAX_CUTS = 60
_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """One view.

    Parameters
    ----------
    view : {"x", "y", "z", "l", "r"}
        The axis that the picture is perpendicular to; "l" and "r" are "x" of one hemisphere.
    coordinate : float, optional
        The place of the cut in mm; None for a projection.
    """

    view: str
    coordinate: float | None = None

    @property
    def axis(self) -> str:
        """The axis of the world that the picture is perpendicular to."""
        return "x" if self.view in "lr" else self.view

    @property
    def label(self) -> str:
        """The text on the view."""
        names = {"l": "left", "r": "right", "x": "side", "y": "front", "z": "top"}
        if self.coordinate is None:
            return names[self.view]
        return f"{self.view} = {round(self.coordinate)}"  # 0, not -0, for -0.3


def glass_panels(display_mode: str) -> list[Panel]:
    """Return the views of a glass brain."""
    check_mode(display_mode, GLASS_MODES)
    return [Panel(view) for view in (_ORTHO if display_mode == "ortho" else display_mode)]


def check_mode(display_mode: object, modes: Sequence[str]) -> None:
    """Refuse a display mode that a kind of picture does not have."""
    if display_mode in modes:
        return
    hint = ""
    if display_mode in GLASS_MODES:
        hint = "; views of a hemisphere need a glass brain (plot_type='glass')"
    raise ArgumentError("display_mode", shown(display_mode), f"one of {', '.join(modes)}{hint}")


def check_cuts(display_mode: str, cut_coords: Any) -> None:
    """Refuse places of cuts that do not fit a display mode, before the map is read."""
    nothing = Volume(np.zeros((2, 2, 2)), np.eye(4))
    choose_cuts(display_mode, cut_coords, nothing, nothing.bounds())


def choose_cuts(display_mode: str, cut_coords: Any, values: Volume, bounds: Bounds) -> list[Panel]:
    """Choose the places of cuts."""
    check_mode(display_mode, SLICE_MODES)
    if len(display_mode) == 1:
        places = _places_along(display_mode, cut_coords, values, bounds)
        return [Panel(display_mode, place) for place in places]
    planes = _ORTHO if display_mode == "ortho" else display_mode
    if cut_coords is None:
        peak = dict(zip("xyz", _peak(values, bounds), strict=True))
        return [Panel(plane, peak[plane]) for plane in planes]
    order = "xyz" if display_mode == "ortho" else display_mode
    chosen = _by_plane(cut_coords, order, display_mode)
    return [Panel(plane, chosen[plane]) for plane in planes]


def _by_plane(cut_coords: Any, order: str, display_mode: str) -> dict[str, float]:
    if isinstance(cut_coords, Mapping):
        missing = [plane for plane in order if plane not in cut_coords]
        if missing:
            raise ArgumentError(
                "cut_coords",
                f"no place for {', '.join(missing)}",
                remedy="give one, in mm",
                verb="has",
            )
        return {plane: float(np.ravel(cut_coords[plane])[0]) for plane in order}
    numbers = _numbers(cut_coords)
    if len(numbers) != len(order):
        raise ArgumentError(
            "cut_coords",
            f"{len(numbers)} numbers",
            remedy=f"display_mode={display_mode!r} needs {len(order)}: {', '.join(order)} in mm",
            verb="has",
        )
    return dict(zip(order, numbers, strict=True))


def _numbers(cut_coords: Any) -> list[float]:
    places = list(cut_coords) if np.iterable(cut_coords) else []
    numbers: list[float] = real_array("cut_coords", places).astype(np.float64).tolist()
    if np.ndim(numbers) != 1 or not np.iterable(cut_coords):
        raise ArgumentTypeError(
            "cut_coords", shown(cut_coords), "None, a number of cuts, or places in mm"
        )
    if not numbers or not np.isfinite(numbers).all():
        raise ArgumentError(
            "cut_coords", shown(cut_coords), remedy="it must hold finite places in mm"
        )
    if len(numbers) > _MAX_CUTS:
        raise ArgumentError(
            "cut_coords", f"{len(numbers)} places", remedy=f"{_MAX_CUTS} are the most", verb="has"
        )
    return numbers


def _places_along(axis: str, cut_coords: Any, values: Volume, bounds: Bounds) -> list[float]:
    if isinstance(cut_coords, Mapping):
        cut_coords = cut_coords.get(axis)
    if cut_coords is not None and not isinstance(cut_coords, Integral):
        return _numbers(cut_coords)
    n_cuts = _N_CUTS if cut_coords is None else int(cut_coords)
    if isinstance(cut_coords, bool) or not 1 <= n_cuts <= _MAX_CUTS:
        raise ArgumentError(
            "cut_coords", shown(cut_coords), remedy=f"give 1 to {_MAX_CUTS} cuts, or places"
        )
    return _strongest(axis, n_cuts, values, bounds)


def _voxel_places(values: Volume) -> tuple[Any, Any]:
    voxels = np.argwhere(values.data != 0)
    places = voxels @ values.affine[:3, :3].T + values.affine[:3, 3]
    return places, np.abs(values.data[tuple(voxels.T)])


def _peak(values: Volume, bounds: Bounds) -> tuple[float, float, float]:
    """Return the place of the largest value; the middle if all values are zero."""
    places, sizes = _voxel_places(values)
    found = places[np.argmax(sizes)] if len(sizes) else np.add(bounds.low, bounds.high) / 2
    return float(found[0]), float(found[1]), float(found[2])


def _strongest(axis: str, n_cuts: int, values: Volume, bounds: Bounds) -> list[float]:
    """Choose cuts through the highest peak, then through the next values, well apart."""
    number = "xyz".index(axis)
    low, high = bounds.low[number], bounds.high[number]
    spread = np.linspace(low, high, n_cuts + 2)[1:-1]
    places, sizes = _voxel_places(values)
    if len(sizes) == 0:
        return [float(place) for place in spread]
    along = places[:, number]
    chosen = [float(along[np.argmax(sizes)])]
    # Half the distance of evenly spread cuts, because near cuts would show the same.
    apart = (high - low) / (n_cuts + 1) / 2
    levels, which = np.unique(np.round(along, 1), return_inverse=True)
    mass = np.bincount(which.ravel(), weights=sizes)
    while len(chosen) < n_cuts:
        mass[np.abs(levels - chosen[-1]) < apart] = 0
        if not mass.any():
            break
        chosen.append(float(levels[np.argmax(mass)]))
    while len(chosen) < n_cuts:  # the rest go where the gaps are widest
        gaps = [min(abs(place - other) for other in chosen) for place in spread]
        chosen.append(float(spread[int(np.argmax(gaps))]))
    return sorted(chosen)


def lay_out(
    panels: Sequence[Panel], bounds: Bounds, look: Look, *, title: str | None, colorbar: bool
) -> tuple[Figure, list[Axes], Axes | None]:
    """Make a figure with an axes for each view, all at one scale, in mm."""
    spans = np.subtract(bounds.high, bounds.low)
    n_columns = len(panels) if len(panels) <= _COLUMNS else min(_COLUMNS, (len(panels) + 1) // 2)
    rows = [panels[start : start + n_columns] for start in range(0, len(panels), n_columns)]
    sizes = [[spans[list(IN_PLANE[panel.axis])] for panel in row] for row in rows]
    width = max(sum(size[0] for size in row) for row in sizes)
    heights = [max(size[1] for size in row) for row in sizes]
    inches = min(8.0, 2.6 * n_columns) / width  # of one mm on the page
    above = 0.45 if title else 0.1
    below = 1.0 if colorbar else 0.1
    gap = 0.1
    total_width = width * inches + 0.2
    total_height = sum(heights) * inches + gap * len(rows) + above + below
    figure = Figure(figsize=(total_width, total_height), facecolor=look.ground)
    if title:
        figure.text(
            0.1 / total_width,
            1 - 0.12 / total_height,
            plain(title),
            color=look.ink,
            va="top",
            size=13,
        )
    axes = []
    top = total_height - above
    for row, height, row_sizes in zip(rows, heights, sizes, strict=True):
        left = (total_width - inches * sum(size[0] for size in row_sizes)) / 2
        for panel, size in zip(row, row_sizes, strict=True):
            place = (left, top - size[1] * inches, size[0] * inches, size[1] * inches)
            left += size[0] * inches
            axes.append(_view(figure, panel, bounds, place, look))
        top -= height * inches + gap
    bar = None
    if colorbar:
        length = min(4.5, total_width - 0.6)
        box = ((total_width - length) / 2, 0.62, length, 0.16)
        bar = figure.add_axes(_relative(figure, box))
    return figure, axes, bar


def _relative(figure: Figure, box: tuple[float, float, float, float]) -> Any:
    width, height = figure.get_size_inches()
    return (box[0] / width, box[1] / height, box[2] / width, box[3] / height)


def _view(
    figure: Figure, panel: Panel, bounds: Bounds, box: tuple[float, float, float, float], look: Look
) -> Axes:
    first, second = IN_PLANE[panel.axis]
    ax = figure.add_axes(_relative(figure, box))
    ax.set_axis_off()
    ax.set_label(panel.label)
    sides = (bounds.low[first], bounds.high[first])
    # Seen from the left, the front of the head is on the left.
    ax.set_xlim(*(sides[::-1] if panel.view == "l" else sides))
    ax.set_ylim(bounds.low[second], bounds.high[second])
    _note(ax, 0.03, 0.02, panel.label, look)
    if panel.axis != "x":
        _note(ax, 0.03, 0.97, "L", look)
        _note(ax, 0.97, 0.97, "R", look)
    return ax


def _note(ax: Axes, x: float, y: float, text: str, look: Look) -> None:
    """Write in a corner, with a rim in the ground's colour, because a map may be behind it."""
    ax.text(
        x,
        y,
        text,
        transform=ax.transAxes,
        color=look.ink,
        size=12,
        ha="left" if x < 0.5 else "right",
        va="bottom" if y < 0.5 else "top",
        path_effects=[withStroke(linewidth=3, foreground=look.ground)],
    )
