# SPDX-License-Identifier: BSD-3-Clause
"""From a volume to the picture of a view: `Slices` through it, `Shadows` of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.plotting.volume.volumes import IN_PLANE, Bounds, Volume

if TYPE_CHECKING:
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from groupglm.plotting.scale import Scale
    from groupglm.plotting.volume.layout import View
    from groupglm.plotting.volume.panels import Panel

__all__ = [
    "Extent",
    "Pictures",
    "Shadows",
    "Slices",
    "extent_of",
    "hemisphere",
    "keeping_limits",
    "paint",
]

Extent: TypeAlias = "tuple[float, float, float, float]"
OfPanel: TypeAlias = "Callable[[Panel], tuple[NDArray[Any], Extent]]"

_MAP_STEP = 1.0  # mm at least


@dataclass(frozen=True)
class Slices:
    """Pictures of where the brain is cut.

    Parameters
    ----------
    bounds : Bounds
        The part of the world that is drawn.
    """

    bounds: Bounds

    def __call__(self, volume: Volume, *, linear: bool = False) -> OfPanel:
        """Return what makes the pictures of a volume, shape (n_v, n_u), with their edges in mm.

        Values are those of voxels, unless they are interpolated: `linear`.
        """

        def picture(panel: Panel) -> tuple[NDArray[Any], Extent]:
            place = 0.0 if panel.coordinate is None else panel.coordinate
            return volume.plane(panel.axis, place, self.bounds, linear=linear)

        return picture


@dataclass(frozen=True)
class Shadows:
    """Pictures of the value of largest size along each line of sight.

    Parameters
    ----------
    bounds : Bounds, optional
        What all pictures reach over; by default each over the voxels of its volume.
    """

    bounds: Bounds | None = None

    def __call__(self, volume: Volume, *, linear: bool = False) -> OfPanel:
        """Return what makes the pictures of a volume, as `Slices` does."""
        del linear  # the largest value is that of a voxel
        if not volume.data.any():
            return _nothing
        edge = float(volume.edges.min())
        bounds = volume.bounds() if self.bounds is None else self.bounds
        upright = volume.upright(bounds, max(_MAP_STEP, edge / 2))

        def picture(panel: Panel) -> tuple[NDArray[Any], Extent]:
            values = _strongest_along(hemisphere(upright, panel.view), panel.axis)
            return values, extent_of(upright, panel.axis)

        return picture


def _nothing(panel: Panel) -> tuple[NDArray[Any], Extent]:
    del panel
    return np.zeros((1, 1)), (0.0, 1.0, 0.0, 1.0)


Pictures: TypeAlias = "Slices | Shadows"


def hemisphere(volume: Volume, view: str) -> NDArray[Any]:
    """Return the values of an upright volume, zero in the hemisphere that the view leaves out."""
    if view not in ("l", "r"):
        return volume.data
    x = volume.affine[0, 3] + volume.affine[0, 0] * np.arange(volume.data.shape[0])
    keep = x <= 0 if view == "l" else x >= 0
    kept: NDArray[Any] = np.where(keep[:, np.newaxis, np.newaxis], volume.data, 0)
    return kept


def _strongest_along(values: NDArray[Any], axis: str) -> NDArray[Any]:
    """Project the value of largest size along an axis; the picture's rows go upwards."""
    number = "xyz".index(axis)
    high, low = values.max(axis=number), values.min(axis=number)
    strongest: NDArray[Any] = np.where(high >= -low, high, low).T
    return strongest


def extent_of(volume: Volume, axis: str) -> Extent:
    """Return the edges of an upright volume's projection, in mm."""
    edges = []
    for number in IN_PLANE[axis]:
        step, first = volume.affine[number, number], volume.affine[number, 3]
        edges += [first - step / 2, first + step * (volume.data.shape[number] - 0.5)]
    return edges[0], edges[1], edges[2], edges[3]


def paint(
    views: Sequence[View],
    pictures: Pictures,
    values: Volume,
    scale: Scale,
    *,
    opacity: float | Callable[[Panel], NDArray[Any]] | None = None,
    **options: Any,
) -> list[AxesImage]:
    """Draw a map in all views; `options` are those of matplotlib's ``imshow``."""
    if scale.whole:
        of_panel = pictures(values)
        inside = pictures(Volume(np.ones(values.data.shape, np.bool_), values.affine))
    else:
        of_panel = pictures(
            Volume(np.where(scale.shows(values.data), values.data, 0), values.affine)
        )
        inside = None
    images = []
    for view in views:
        picture, extent = of_panel(view.panel)
        shown = scale.masked(picture)
        if inside is not None:
            shown = np.ma.masked_where(inside(view.panel)[0] == 0, shown)
        given = {"interpolation": "nearest", "zorder": 2, **options}
        alpha = opacity(view.panel) if callable(opacity) else opacity
        with keeping_limits(view):
            images.append(
                view.ax.imshow(
                    shown,
                    extent=extent,
                    origin="lower",
                    aspect=view.ax.get_aspect(),
                    cmap=scale.cmap,
                    norm=scale.norm,
                    alpha=alpha,
                    **given,
                )
            )
    return images


@contextmanager
def keeping_limits(view: View) -> Iterator[None]:
    """Keep what a view shows of the world, which drawing a picture may move."""
    x, y = view.ax.get_xlim(), view.ax.get_ylim()
    yield
    view.ax.set_xlim(*x)
    view.ax.set_ylim(*y)
