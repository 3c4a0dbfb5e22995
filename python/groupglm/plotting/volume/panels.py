# SPDX-License-Identifier: BSD-3-Clause
"""Which views of the brain to draw, and where to cut: `Panel`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown, warn_caller
from groupglm.runtime.arguments import check_text, real_array

if TYPE_CHECKING:
    from groupglm.plotting.volume.volumes import Bounds, Volume

__all__ = [
    "GLASS_MODES",
    "SLICE_MODES",
    "Panel",
    "check_cuts",
    "check_mode",
    "choose_cuts",
    "glass_panels",
    "in_rows",
    "refuse_outside",
]

_PLANES = ("x", "y", "z", "xz", "yx", "yz")
SLICE_MODES = ("ortho", "tiled", "mosaic", *_PLANES)
GLASS_MODES = ("ortho", *_PLANES, "l", "r", "lr", "lzr", "lyr", "lzry", "lyrz")
"""Views of nilearn's names: planes by the axis they are perpendicular to, l and r the hemispheres
seen from outside."""

_ORTHO = "yxz"  # front, side, top
_N_CUTS = 7
_MISMATCH = "cut_coords passed does not match the display mode"
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


def in_rows(display_mode: str, panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return the views by the row of the picture that they are in, from the top."""
    if display_mode == "mosaic":
        return [[panel for panel in panels if panel.view == axis] for axis in "zyx"]
    if display_mode == "tiled":
        return [list(panels[:2]), list(panels[2:])]
    length = len(panels) if len(panels) <= _COLUMNS else min(_COLUMNS, (len(panels) + 1) // 2)
    return [list(panels[start : start + length]) for start in range(0, len(panels), length)]


def check_mode(display_mode: object, modes: Sequence[str]) -> None:
    """Refuse a display mode that a kind of picture does not have."""
    check_text("display_mode", display_mode, optional=False)
    if display_mode in modes:
        return
    hint = ""
    if display_mode in GLASS_MODES:
        hint = "; views of a hemisphere need a glass brain (plot_type='glass')"
    raise ArgumentError("display_mode", shown(display_mode), f"one of {', '.join(modes)}{hint}")


def check_cuts(display_mode: str, cut_coords: Any) -> None:
    """Refuse places to cut that do not fit a display mode, before there is a map to cut."""
    from groupglm.plotting.volume.volumes import Volume

    nothing = Volume(np.zeros((2, 2, 2)), np.eye(4))
    choose_cuts(display_mode, cut_coords, nothing, nothing.bounds())


def choose_cuts(display_mode: str, cut_coords: Any, values: Volume, bounds: Bounds) -> list[Panel]:
    """Decide where to cut."""
    check_mode(display_mode, SLICE_MODES)
    if len(display_mode) == 1:
        places = _places_along(display_mode, cut_coords, values, bounds)
        return [Panel(display_mode, place) for place in places]
    if display_mode == "mosaic":
        by_axis = _by_axis(cut_coords)
        return [
            Panel(axis, place)
            for axis in "xyz"
            for place in _places_along(axis, by_axis[axis], values, bounds)
        ]
    planes = _ORTHO if display_mode in ("ortho", "tiled") else display_mode
    if cut_coords is None:
        peak = dict(zip("xyz", _peak(values, bounds), strict=True))
        return [Panel(plane, peak[plane]) for plane in planes]
    chosen = _by_plane(cut_coords, "".join(sorted(planes)), display_mode)
    return [Panel(plane, chosen[plane]) for plane in planes]


def refuse_outside(panels: Sequence[Panel], reach: Bounds) -> None:
    """Refuse cuts that all pass beside an image, and say where some do."""
    inside = [
        reach.low[number] <= place <= reach.high[number]
        for number, place in (("xyz".index(panel.axis), panel.coordinate) for panel in panels)
        if place is not None
    ]
    if all(inside):
        return
    sides = zip("xyz", reach.low, reach.high, strict=True)
    spans = ", ".join(f"{axis} from {low:.6g} to {high:.6g}" for axis, low, high in sides)
    if not any(inside):
        places = ", ".join(panel.label for panel in panels)
        raise ArgumentError(
            "cut_coords",
            f"out of the bounds of the image: {places}",
            remedy=f"give places in mm within {spans}",
        )
    warn_caller(
        f"some of cut_coords seem to be out of the image bounds, and these cuts are empty; the "
        f"image has {spans} mm"
    )


def _by_axis(cut_coords: Any) -> dict[str, Any]:
    """Return how many cuts, or where, along each axis of a mosaic."""
    if cut_coords is None or isinstance(cut_coords, Integral):
        return dict.fromkeys("xyz", cut_coords)
    if isinstance(cut_coords, Mapping):
        missing = [axis for axis in "xyz" if not np.iterable(cut_coords.get(axis))]
        if not missing and len(cut_coords) == len("xyz"):
            return dict(cut_coords)
        found = f"no places for {', '.join(missing)}" if missing else f"{len(cut_coords)} axes"
    else:
        counts = _values(cut_coords)
        if len(counts) == len("xyz") and all(isinstance(count, Integral) for count in counts):
            return dict(zip("xyz", counts, strict=True))
        found = shown(cut_coords)
    raise ArgumentError(
        "cut_coords",
        found,
        remedy="display_mode='mosaic' needs a number of cuts, three numbers of cuts, or a mapping "
        f"of x, y and z to places in mm: {_MISMATCH}",
        verb="has" if isinstance(cut_coords, Mapping) else "is",
    )


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
        return {plane: _numbers(np.ravel(cut_coords[plane]))[0] for plane in order}
    wanted = f"display_mode={display_mode!r} needs {len(order)}: {', '.join(order)} in mm"
    if isinstance(cut_coords, Integral) and not isinstance(cut_coords, bool):
        raise ArgumentTypeError("cut_coords", shown(cut_coords), remedy=f"{wanted}: {_MISMATCH}")
    numbers = _numbers(cut_coords)
    if len(numbers) != len(order):
        raise ArgumentError(
            "cut_coords", f"{len(numbers)} numbers", remedy=f"{wanted}: {_MISMATCH}", verb="has"
        )
    return dict(zip(order, numbers, strict=True))


def _values(cut_coords: Any) -> list[Any]:
    """Return the values of what may be no sequence, or one that has no end."""
    try:
        if not np.iterable(cut_coords):
            return []
        values = list(itertools.islice(cut_coords, _MAX_CUTS + 1))
    except Exception as error:  # an object's own iteration may raise anything
        raise ArgumentError("cut_coords", f"no sequence: {error}") from error
    if len(values) > _MAX_CUTS:
        count = len(cut_coords) if isinstance(cut_coords, Sized) else f"more than {_MAX_CUTS}"
        raise ArgumentError(
            "cut_coords", f"{count} places", remedy=f"{_MAX_CUTS} are the most", verb="has"
        )
    return values


def _numbers(cut_coords: Any) -> list[float]:
    places = _values(cut_coords)
    numbers: list[float] = real_array("cut_coords", places).astype(np.float64).tolist()
    if np.ndim(numbers) != 1 or not np.iterable(cut_coords):
        raise ArgumentTypeError(
            "cut_coords", shown(cut_coords), "None, a number of cuts, or places in mm"
        )
    if not numbers or not np.isfinite(numbers).all():
        raise ArgumentError(
            "cut_coords", shown(cut_coords), remedy="it must hold finite places in mm"
        )
    return numbers


def _places_along(axis: str, cut_coords: Any, values: Volume, bounds: Bounds) -> list[float]:
    if isinstance(cut_coords, Mapping):
        cut_coords = cut_coords.get(axis)
    if cut_coords is not None and not isinstance(cut_coords, Integral):
        places = _numbers(cut_coords)
        different = list(dict.fromkeys(places))
        if len(different) < len(places):
            warn_caller(f"Dropping duplicates cuts from cut_coords along {axis}: {places}")
        return different
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
