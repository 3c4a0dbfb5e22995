# SPDX-License-Identifier: BSD-3-Clause
"""What a display has drawn, and its views by name: `Drawn`, `ViewList`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import ItemsView, KeysView, Sequence, ValuesView

    from matplotlib.axes import Axes

    from groupglm.plotting.volume.layout import Layout, View
    from groupglm.plotting.volume.panels import Panel
    from groupglm.plotting.volume.pictures import Pictures

__all__ = ["Drawn", "ViewList", "places_of", "views_by_name"]


class ViewList(list[Any]):
    """Axes in the order they were made in, and the views by their names.

    ``axes[0]`` is the first of matplotlib's axes; ``axes["x"]`` is the view along x, whose ``.ax``
    are its axes, ``.direction`` its axis and ``.coord`` its place in mm. The views of one axis are
    called by their places, and those of a mosaic by axis and place.
    """

    def __init__(self, axes: list[Axes], views: dict[Hashable, View]) -> None:
        super().__init__(axes)
        self._views = views

    def __getitem__(self, key: Any) -> Any:
        """Return axes by their number, or a view by its name."""
        if isinstance(key, str | tuple | float):
            return self._views[key]
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        """Tell whether these are axes of it, or the name of a view."""
        return super().__contains__(key) or (isinstance(key, Hashable) and key in self._views)

    def keys(self) -> KeysView[Hashable]:
        """Return the names of the views."""
        return self._views.keys()

    def values(self) -> ValuesView[View]:
        """Return the views."""
        return self._views.values()

    def items(self) -> ItemsView[Hashable, View]:
        """Return the views with their names."""
        return self._views.items()


@dataclass(eq=False)
class Drawn:
    """What a display has drawn.

    Parameters
    ----------
    layout : Layout
        The views, and what is beside them.
    views : dict
        The views by name.
    pictures : Pictures
        What makes the pictures of a volume.
    cut_coords : tuple, list, dict
        Where the brain is cut, in mm.
    absolute : bool
        Whether negative values are drawn like positive ones.
    crossed : bool
        Whether a cross can show where the other views are.
    """

    layout: Layout
    views: dict[Hashable, View]
    pictures: Pictures
    cut_coords: Any
    absolute: bool = False
    crossed: bool = False


def places_of(display_mode: str, panels: Sequence[Panel]) -> Any:
    """Return where the brain is cut, as a display tells it: a tuple, a list, or lists by axis."""
    if display_mode == "mosaic":
        return {
            axis: [panel.coordinate for panel in panels if panel.view == axis] for axis in "xyz"
        }
    if len(display_mode) == 1 and panels[0].coordinate is not None:
        return [panel.coordinate for panel in panels]
    return tuple(panel.coordinate for panel in sorted(panels, key=lambda panel: panel.view))


def views_by_name(display_mode: str, views: Sequence[View]) -> dict[Hashable, View]:
    """Return views by direction; by place if all have one direction; by both in a mosaic."""
    if display_mode == "mosaic":
        return {(view.direction, view.coord): view for view in views}
    if len(display_mode) == 1 and views[0].coord is not None:
        return {view.coord: view for view in views}
    return {view.direction: view for view in views}
