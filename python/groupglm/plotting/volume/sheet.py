# SPDX-License-Identifier: BSD-3-Clause
"""Volumes on a sheet: slices and glass brains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.plotting.colors import DARK, LIGHT
from groupglm.plotting.figure import Figure
from groupglm.plotting.placing import place_rows
from groupglm.plotting.sheet.composing import compose
from groupglm.plotting.sheet.scales import (
    overlay_codes,
    overlay_note,
    overlay_scale,
    scales_of,
    tell_of_empty,
)
from groupglm.plotting.volume.behind import Shade, draw_behind, is_dark
from groupglm.plotting.volume.glass import draw_brain
from groupglm.plotting.volume.layout import Page
from groupglm.plotting.volume.marks import draw_outlines, mark_places
from groupglm.plotting.volume.panels import (
    SLICE_MODES,
    check_cuts,
    choose_cuts,
    glass_panels,
    in_rows,
    refuse_outside,
)
from groupglm.plotting.volume.pictures import Shadows, Slices, keeping_limits, paint
from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.template import MNI, find_background
from groupglm.plotting.volume.views import lay_out_within, view_sizes
from groupglm.plotting.volume.volumes import Bounds, Volume
from groupglm.runtime.arguments import check_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.plotting.colors import Look
    from groupglm.plotting.scale import Scale
    from groupglm.plotting.sheet.asked import Asked
    from groupglm.plotting.volume.layout import View
    from groupglm.plotting.volume.panels import Panel
    from groupglm.plotting.volume.pictures import Pictures
    from groupglm.plotting.volume.template import Background

__all__ = ["check_views", "draw"]

_N_CUTS = 7  # through peaks
_APART = 4.0  # mm between these


def check_views(asked: Asked) -> None:
    """Refuse views that a kind of picture does not have, before a map is read."""
    if asked.picture == "glass":
        glass_panels(asked.display_mode or "ortho")
        if asked.cut_coords is not None:
            raise ArgumentError(
                "cut_coords",
                "given",
                remedy="a glass brain is not cut: leave it out, or draw slices",
            )
        return
    mode = check_choice("display_mode", asked.display_mode or "ortho", SLICE_MODES)
    if asked.cut_coords is None:
        return
    if mode == "mosaic":
        raise ArgumentError(
            "cut_coords",
            "given",
            remedy="a mosaic chooses its cuts: leave it out, or draw x, y or z",
        )
    check_cuts(mode, asked.cut_coords)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What all blocks of a sheet share."""

    asked: Asked
    background: Background | None
    bounds: Bounds
    shade: Shade
    pictures: Pictures
    panels: list[Panel]
    outlines: list[Volume]

    @property
    def mode(self) -> str:
        return self.asked.display_mode or "ortho"

    @property
    def rows(self) -> list[list[Panel]]:
        return in_rows("" if self.asked.picture == "glass" else self.mode, self.panels)

    def finish(self, views: Sequence[View]) -> None:
        """Draw what lies over the colours: the brain of glass, outlines and peaks."""
        look, asked = self.shade.look, self.asked
        if asked.picture == "glass":
            draw_brain(views, self.background, self.bounds, look)
        elif self.background is not None and self.background.is_outline:
            draw_behind(views, self.background, self.bounds, self.shade)
        colours = asked.outline_colours(dark=look is DARK)
        for volume, colour in zip(self.outlines, colours, strict=True):
            draw_outlines(views, self.pictures, volume, asked.outline_threshold, colour)
        if asked.peaks is not None:
            mark_places(views, asked.peaks.places, asked.peaks.labels, look)

    def begin(self, views: Sequence[View]) -> None:
        """Draw what lies behind the colours."""
        background = self.background
        if self.asked.picture != "glass" and background is not None and not background.is_outline:
            draw_behind(views, background, self.bounds, self.shade)


def draw(asked: Asked) -> Figure:
    """Draw volumes on one figure, without pyplot."""
    volumes = [Volume.of(image, "stat_map_img") for image in asked.maps]
    if asked.overlay:
        _check_grid(volumes)
    outlines = [Volume.of(one.image, "outlines") for one in asked.outlines]
    mask = _together(volumes)
    background = find_background(_behind(asked), mask)
    glass = asked.picture == "glass"
    look = LIGHT if glass else _look(asked, background)
    scales, label = scales_of(asked, [own.data for own in volumes], dark=look is DARK)
    shown = [
        Volume(np.where(scale.shows(own.data), own.data, 0), own.affine)
        for own, scale in zip(volumes, scales, strict=True)
    ]
    tell_of_empty(asked.names, [bool(own.data.any()) for own in shown])
    bounds = drawn_bounds(mask, background)
    for own in volumes:  # on another grid, perhaps
        bounds = bounds.union(own.bounds())
    panels = _panels(asked, _together(shown), bounds)
    if not glass and asked.cut_coords is not None:
        reach = volumes[0].reach()
        for own in volumes[1:]:
            reach = reach.union(own.reach())
        refuse_outside(panels, reach)
    shade = Shade() if look is DARK else Shade.of(False, "auto")
    pictures: Pictures = Shadows(bounds) if glass else Slices(bounds)
    sheet = _Sheet(asked, background, bounds, shade, pictures, panels, outlines)
    rows = sheet.rows
    size = place_rows(
        view_sizes(rows, bounds), Figure, ground=look.ground, title=False, colorbar=False,
        from_left=sheet.mode == "tiled",
    ).size  # fmt: skip
    composition = compose(asked, size, look, overlay_note(asked, scales, label))
    pairs: list[Any] = [shown] if asked.overlay else list(zip(volumes, scales, strict=True))
    for frame, name, own in zip(composition.blocks, asked.blocks, pairs, strict=True):
        views = lay_out_within(
            frame, rows, bounds, Page(look, name or None), from_left=sheet.mode == "tiled"
        ).views
        sheet.begin(views)
        if asked.overlay:
            _paint_both(views, pictures, own, overlay_scale())
        else:
            paint(views, pictures, *own)
        sheet.finish(views)
    if asked.colorbar and not asked.overlay:
        composition.draw_bar(scales[0], label)
    return composition.figure


def _check_grid(volumes: Sequence[Volume]) -> None:
    difference = volumes[0].grid.difference(volumes[1].grid)
    if difference is not None:
        raise ArgumentError.about(
            "overlay",
            f"these two maps are on different grids: {difference}",
            "resample one of them to the other with groupglm.resample_to",
        )


def _look(asked: Asked, background: Background | None) -> Look:
    return DARK if is_dark("auto", _behind(asked), background) else LIGHT


def _behind(asked: Asked) -> Any:
    return MNI if asked.background is None else asked.background


def _together(volumes: Sequence[Volume]) -> Volume:
    """Return the largest sizes of volumes of one grid; the first of volumes of several grids."""
    first = volumes[0]
    alike = [own for own in volumes if first.grid.difference(own.grid) is None]
    sizes = np.max([np.abs(own.data) for own in alike], axis=0)
    return Volume(sizes, first.affine)


def _panels(asked: Asked, shown: Volume, bounds: Bounds) -> list[Panel]:
    mode = asked.display_mode or "ortho"
    if asked.picture == "glass":
        return glass_panels(mode)
    cuts: Any = asked.cut_coords
    if cuts is None and asked.peaks is not None and len(asked.peaks.places) and mode != "mosaic":
        cuts = _through_peaks(asked.peaks.places, mode)
    return choose_cuts(mode, cuts, shown, bounds)


def _through_peaks(places: Any, mode: str) -> Any:
    """Return cuts through the first peak, or through several along one axis."""
    if len(mode) > 1:
        return dict(zip("xyz", places[0].tolist(), strict=True))
    along: list[float] = []
    for place in places[:, "xyz".index(mode)].tolist():
        if len(along) < _N_CUTS and all(abs(place - other) >= _APART for other in along):
            along.append(place)
    return sorted(along)


def _paint_both(
    views: Sequence[View], pictures: Pictures, shown: Sequence[Volume], scale: Scale
) -> None:
    """Draw where one map is shown, the other, and both, in a slice or in the line of sight."""
    of_panels = [pictures(own) for own in shown]
    for view in views:
        (first, extent), (second, _) = (of_panel(view.panel) for of_panel in of_panels)
        with keeping_limits(view):
            view.ax.imshow(
                scale.masked(overlay_codes([first, second])), extent=extent, origin="lower",
                cmap=scale.cmap, norm=scale.norm, interpolation="nearest", zorder=2,
                aspect=view.ax.get_aspect(),
            )  # fmt: skip
