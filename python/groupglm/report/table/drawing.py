# SPDX-License-Identifier: BSD-3-Clause
"""Regions on a page: a plot of their effects in order, and the table in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import warn_caller
from groupglm.plotting.place_fit import half_widths
from groupglm.plotting.regions import RegionEffects, draw_regions
from groupglm.report.drawing import Drawing
from groupglm.report.figures import Picture, chart
from groupglm.report.places_table import LEVEL
from groupglm.runtime.naming import counted
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.contrast_results import Result
    from groupglm.report.options import ReportOptions

__all__ = ["RegionDrawing", "checked_views", "drawing_of"]

_MOST = 60  # regions in a picture
_OF_PICTURES = {
    "bg_img": "MNI152TEMPLATE",
    "plot_type": "slice",
    "cut_coords": None,
    "display_mode": None,
}


class RegionDrawing(Drawing):
    """The drawing of regions on a page."""

    def facts(self) -> list[tuple[str, str]]:
        """Return how many regions the table has, and how many subjects have each."""
        space = self.group.space
        (one, _), (row, rows) = space.place_words, space.input_words
        return [
            ("table" if row == "row" else row, space.describe_placement()),
            ("fitted", counted(space.n_values, *space.place_words)),
            (f"{rows} with a value in a {one}", span(self.group.result.n_observations)),
        ]

    def map_picture(self, result: Result) -> Picture:
        """Draw the effect of each region with its interval; z scores of an F contrast."""
        finding = result.finding
        own = finding.result
        is_t = own.stat_type == "t"
        effects = RegionEffects(
            list(finding.space.value_names()),
            own.effect_size if is_t else finding.z,
            half_widths(own, LEVEL) if is_t else None,
            finding.z,
            np.asarray(finding.survivors) != 0,
            f"effect, {LEVEL:.0%} interval" if is_t else "z of F",
        )
        one, many = finding.space.place_words
        what = f"Effects of the {many} with their intervals" if is_t else f"z of the {many}"
        alt = f"{what}, the largest on top. {result.headline}"
        caption = f"{what}, the largest on top; in colour where {result.shown_where}" + (
            f"; an interval is that of a {one} by itself." if is_t else "."
        )
        return chart(draw_regions(effects, most=_MOST), alt, caption)

    def fit_map(
        self, row: NDArray[np.float64], highest: float, label: str, caption: str
    ) -> Picture:
        """Draw a map of the fit itself: a point for each region, the largest on top."""
        names = list(self.group.space.value_names())
        effects = RegionEffects(names, np.minimum(row, highest), None, row, None, label)
        return chart(draw_regions(effects, most=_MOST), f"Points. {caption}", caption)


def drawing_of(group: FittedGroup, options: ReportOptions) -> RegionDrawing:
    """Return the drawing of a fit of a table."""
    del options
    return RegionDrawing(group)


def checked_views(given: Mapping[str, Any]) -> dict[str, Any]:
    """Warn of options of pictures of the brain, which have no effect."""
    for name, default in _OF_PICTURES.items():
        value = given[name]
        is_default = value is None or (isinstance(value, str) and value == default)
        if not is_default:
            warn_caller(f"{name} has no effect on regions, which are not drawn on a brain")
    return {}
