# SPDX-License-Identifier: BSD-3-Clause
"""What plots of maps return, to draw more on it: `Display`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.figure
import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.plotting.charts import plain
from groupglm.plotting.colors import colour_map
from groupglm.plotting.figure import picture_path, save_figure
from groupglm.plotting.frames import Frame
from groupglm.plotting.kind import label_of
from groupglm.plotting.limits import NOISE
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.marks import seen_in
from groupglm.plotting.volume.notes import draw_length, name_place, name_sides
from groupglm.plotting.volume.opacity import opacity_of
from groupglm.plotting.volume.pictures import keeping_limits, paint
from groupglm.plotting.volume.views import add_bar
from groupglm.plotting.volume.volumes import IN_PLANE, Volume
from groupglm.runtime.arguments import check_truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike

    from groupglm.plotting.volume.drawn import Drawn, ViewList
    from groupglm.spaces.volume import ImageLike

__all__ = ["Display"]


class Display(ABC):
    """A picture of a map, on which more can be drawn.

    `plot_stat_map`, `plot_glass_brain` and the other functions that draw images return one. Without
    `axes` or `figure` it is a matplotlib figure too.

    Attributes
    ----------
    axes : ViewList
        The axes of the views and of the colour bar, and the views by name.
    cut_coords : tuple, list or dict
        Where the brain is cut, in mm: (x, y, z), one number for each of two planes, a list for one
        plane, and lists by axis for a mosaic.
    frame_axes : matplotlib.axes.Axes
        Axes around all views.
    black_bg : bool
        Whether the ground is dark.
    """

    _drawn: Drawn

    @property
    @abstractmethod
    def axes(self) -> ViewList:
        """The axes of the views and of the colour bar, and the views by name."""

    @property
    def _figure(self) -> matplotlib.figure.Figure:
        return self._drawn.layout.frame.figure

    @property
    def cut_coords(self) -> Any:
        """Where the brain is cut, in mm."""
        return self._drawn.cut_coords

    @property
    def black_bg(self) -> bool:
        """Whether the ground is dark."""
        return bool(np.mean(mpl.colors.to_rgb(self._drawn.layout.page.look.ground)) < 0.5)

    @property
    def frame_axes(self) -> Axes:
        """Axes around all views, without lines of their own."""
        frame = self._drawn.layout.frame
        if frame.axes is not None:
            return frame.axes
        around = frame.figure.add_axes(frame.box, zorder=-1, label="frame")
        around.set_axis_off()
        self._drawn.layout.frame = Frame(frame.figure, frame.box, around)
        return around

    def add_overlay(
        self,
        img: ImageLike,
        threshold: float | str | None = NOISE,
        colorbar: bool = False,
        cbar_tick_format: str | None = "%.2g",
        cbar_vmin: float | None = None,
        cbar_vmax: float | None = None,
        transparency: float | ImageLike | None = None,
        transparency_range: ArrayLike | None = None,
        *,
        cmap: str | Colormap | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        **options: Any,
    ) -> None:
        """Draw another map over what is there.

        Parameters
        ----------
        img : str, os.PathLike or nibabel image
            The map, 3-D.
        threshold : float, str or None, default=1e-6
            Values up to this size are not drawn; see `plot_stat_map`.
        colorbar : bool, default=False
            Whether to draw its colour bar. A display has one. Its label is what the sidecar, header
            or file name of the map says that it holds.
        cbar_tick_format : str, default="%.2g"
            How numbers on the bar are written.
        cbar_vmin, cbar_vmax : float, optional
            What the bar goes from and to. By default `vmin` and `vmax`.
        transparency : float or image, optional
            How opaque the map is, from 0 to 1; of an image, the size at each place.
        transparency_range : sequence of 2 floats, optional
            The sizes in such an image that are not seen, and opaque. By default 0 and the largest.
        cmap : str or matplotlib.colors.Colormap, optional
            The colours. By default matplotlib's.
        vmin, vmax : float, optional
            The values of the first and last colour. By default the smallest and largest that are
            drawn.
        **options
            Others of matplotlib's ``imshow``.

        Raises
        ------
        ValueError
            If a parameter has none of the values above, or there is a colour bar already.
        """
        drawn = self._drawn
        if check_truth("colorbar", colorbar) and drawn.layout.bar is not None:
            raise ArgumentError(
                "colorbar",
                "True",
                remedy="This figure already has an overlay with a colorbar: give False",
            )
        values = self._read(img)
        colours = colour_map(mpl.rcParams["image.cmap"] if cmap is None else cmap)
        whole = threshold is None
        scale = Scale.of(
            values.data, threshold, vmax, dark=self.black_bg, vmin=vmin, cmap=colours,
            symmetric=False, whole=whole,
        )  # fmt: skip
        scale = scale.fitted(values.data, vmin, vmax, cbar_vmin, cbar_vmax)
        opacity = opacity_of(transparency, transparency_range, drawn.pictures, values)
        if "alpha" in options:
            alpha = options.pop("alpha")
            opacity = alpha if opacity is None else opacity
        layout = drawn.layout
        paint(layout.views, drawn.pictures, values, scale, opacity=opacity, **options)
        if colorbar:
            add_bar(layout)
            layout.draw_bar(scale, label_of(img), cbar_tick_format)

    def add_contours(
        self, img: ImageLike, threshold: float | str | None = NOISE, filled: bool = False,
        transparency: float | None = None, **options: Any,
    ) -> None:  # fmt: skip
        """Draw lines of equal value of a map, such as the outline of a mask with ``levels=[0.5]``.

        Parameters
        ----------
        img : str, os.PathLike or nibabel image
            The map, 3-D.
        threshold : float, str or None, default=1e-6
            Sizes up to it are not filled.
        filled : bool, default=False
            Whether to fill between the lines.
        transparency : float, optional
            How opaque lines and fillings are, from 0 to 1.
        **options
            Those of matplotlib's ``contour``, such as `levels`, `colors`, `linewidths`.

        Raises
        ------
        ValueError
            If a parameter has none of the values above.
        """
        drawn, fill = self._drawn, check_truth("filled", filled)
        values = self._read(img)
        scale = Scale.of(values.data, threshold if fill else None, None, dark=False)
        if transparency is not None:
            options.setdefault("alpha", opacity_of(transparency, None, drawn.pictures, values))
        filling = dict(options)
        if fill:
            if filling.pop("linewidths", None) is not None:
                warn_caller("'linewidths' is not supported for filled contours")
            levels: Any = filling.get("levels")
            if np.size(levels) == 1 and np.ndim(levels) == 1:
                level = float(levels[0])
                filling["levels"] = [level, 2 * max(abs(level), float(values.data.max())) + 1]
        of_panel = drawn.pictures(values, linear=True)
        for view in drawn.layout.views:
            picture, extent = of_panel(view.panel)
            if min(picture.shape) < 2 or not picture.any():
                continue
            where: dict[str, Any] = {"extent": extent, "origin": "lower", "zorder": 3}
            with keeping_limits(view):
                view.ax.contour(picture, **where, **options)
                if fill:
                    view.ax.contourf(scale.masked(picture), **where, **filling)

    def add_markers(
        self,
        marker_coords: ArrayLike,
        marker_color: Any = "r",
        marker_size: float | ArrayLike = 30,
        **options: Any,
    ) -> None:
        """Mark places. A slice shows those within 2 mm, and a hemisphere its own.

        Parameters
        ----------
        marker_coords : array_like, shape (n, 3)
            Places in mm.
        marker_color : colour or list of n colours, default="r"
            Their colours.
        marker_size : float or list of n floats, default=30
            Their sizes, in points squared.
        **options
            Those of matplotlib's ``scatter``.
        """
        places = np.atleast_2d(np.asarray(marker_coords, dtype=np.float64))
        for view in self._drawn.layout.views:
            seen = seen_in(view, places)
            across, up = places[seen][:, IN_PLANE[view.panel.axis]].T
            given = {"zorder": 1000, "marker": "o", **options}
            with keeping_limits(view):
                view.ax.scatter(
                    across, up, s=_of_seen(marker_size, seen), c=_of_seen(marker_color, seen),
                    **given,
                )  # fmt: skip

    def title(
        self,
        text: str,
        x: float = 0.01,
        y: float = 0.99,
        size: float = 15,
        color: Any = None,
        bgcolor: Any = None,
        alpha: float = 1,
        **options: Any,
    ) -> None:
        """Write a title; it takes the place of the one before.

        Parameters
        ----------
        text : str
            The title.
        x, y : float, default=0.01, 0.99
            Where its left upper corner is, as parts of the frame.
        size : float, default=15
            Of the letters, in points.
        color, bgcolor : colour, optional
            Of the letters and of the ground behind them. By default those of the picture.
        alpha : float, default=1
            How opaque the ground behind the letters is.
        **options
            Those of matplotlib's ``text``.
        """
        layout = self._drawn.layout
        if layout.title is not None:
            layout.title.remove()
        look = layout.page.look
        ground = look.ground if bgcolor is None else bgcolor
        given: dict[str, Any] = {
            "ha": "left", "va": "top", "size": size, "zorder": 1000,
            "color": look.ink if color is None else color,
            "bbox": {"boxstyle": "square,pad=.3", "ec": "none", "fc": ground, "alpha": alpha},
            **options,
        }  # fmt: skip
        left, bottom, width, height = layout.box
        layout.title = self._figure.text(
            left + x * width, bottom + y * height, plain(text), **given
        )

    def annotate(
        self,
        left_right: bool = True,
        positions: bool = True,
        scalebar: bool = False,
        size: float = 12,
        scale_size: float = 5.0,
        scale_units: str = "cm",
        scale_loc: int = 4,
        decimals: int = 0,
        **options: Any,
    ) -> None:
        """Name sides and places; what was written before is taken away.

        Parameters
        ----------
        left_right, positions : bool, default=True
            Whether to write "L" and "R", and the places.
        scalebar : bool, default=False
            Whether to draw a line of known length.
        size : float, default=12
            Of the letters, in points.
        scale_size, scale_units : float and {"cm", "mm"}, default=5.0, "cm"
            Its length.
        scale_loc : int, default=4
            Its corner, in matplotlib's numbers of places in a legend.
        decimals : int, default=0
            Of the places.
        **options
            Those of matplotlib's ``text``.
        """
        layout = self._drawn.layout
        for view in layout.views:
            for text in [text for text in view.ax.texts if text.get_gid() == "note"]:
                text.remove()
            if left_right:
                name_sides(view, layout, size, **options)
            if positions:
                name_place(view, layout, decimals, size, **options)
            if scalebar:
                draw_length(view, layout, scale_size, scale_units, scale_loc, size)

    def draw_cross(self, cut_coords: Any = None, **options: Any) -> None:
        """Draw lines where the other views are; a glass brain, a mosaic and one plane have none.

        Parameters
        ----------
        cut_coords : sequence of float, optional
            Other places, in mm, in the order of the attribute.
        **options
            Those of matplotlib's ``axhline``.
        """
        drawn = self._drawn
        if not drawn.crossed:
            return
        planes = sorted(view.direction for view in drawn.layout.views)
        numbers = drawn.cut_coords if cut_coords is None else cut_coords
        places = dict(zip(planes, numbers, strict=True))
        given = {"color": "0.8" if self.black_bg else "k", "lw": 0.8, "zorder": 4, **options}
        for view in drawn.layout.views:
            across, up = ("xyz"[number] for number in IN_PLANE[view.panel.axis])
            if across in places:
                view.ax.axvline(places[across], ymin=0.05, ymax=0.95, **given)
            if up in places:
                view.ax.axhline(places[up], xmin=0.05, xmax=0.95, **given)

    def savefig(
        self, filename: str | PathLike[str] | Any, dpi: float | None = None, **options: Any
    ) -> None:
        """Save the whole figure, whole or not at all; folders on the way are made.

        Parameters
        ----------
        filename : str, os.PathLike or file
            Where; its ending says the format.
        dpi : float, optional
            Pixels per inch. By default those of the figure.
        **options
            Others of matplotlib's ``savefig``.

        Raises
        ------
        ValueError
            If there is no name, or matplotlib does not know the format.
        """
        if filename is None:
            raise ArgumentError(
                "filename", "None", remedy="You must provide an output file name to save the figure"
            )
        given = {"dpi": "figure" if dpi is None else dpi, **options}
        if isinstance(filename, str | PathLike):
            path = picture_path("filename", filename, options.get("format"))
            save_figure(self._figure, path, "filename", **given)
        else:  # open already
            matplotlib.figure.Figure.savefig(self._figure, filename, **given)

    def close(self) -> None:
        """Let pyplot forget the figure."""
        import matplotlib.pyplot as plt

        plt.close(self._figure)

    def _read(self, image: ImageLike) -> Volume:
        values = Volume.of(image, "img")
        if not self._drawn.absolute:
            return values
        return Volume(np.abs(values.data), values.affine)


def _of_seen(given: Any, seen: Any) -> Any:
    """Return what is given for each marker, for those that are seen."""
    if isinstance(given, str) or not np.iterable(given) or len(list(given)) != len(seen):
        return given
    return [one for one, is_seen in zip(given, seen, strict=True) if is_seen]
