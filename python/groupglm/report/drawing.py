# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of one kind of data on a page: `Drawing`, and the kinds that have one."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.confidence_sets.sets import SET_NAMES
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.asked_view import AskedView
    from groupglm.report.contrast_results import ContrastResults, Result
    from groupglm.report.figures import Picture
    from groupglm.report.options import ReportOptions

__all__ = ["Drawing", "checked_views", "drawing_of", "viewer_of"]

# The folder of each kind of data that can be drawn, by its spaces' tag. Each has the functions
# `drawing_of` and `checked_views`, and one whose data have places `viewer_of`; the functions of
# these names here call them.
_FOLDERS = {
    "volume": "groupglm.report.volume",
    "hemisphere": "groupglm.report.surface",
    "surface": "groupglm.report.surface",
    "cifti": "groupglm.report.surface",
    "table": "groupglm.report.table",
    "cifti parcels": "groupglm.report.table",
}
_OF_PICTURES = ("bg_img", "plot_type", "display_mode", "cut_coords")


class Drawing:
    """The pictures of a space and its maps on a page; numbers only, if nothing draws the data.

    Parameters
    ----------
    group : FittedGroup
        The fit.
    """

    def __init__(self, group: FittedGroup) -> None:
        self.group = group

    @property
    def note(self) -> str:
        """The background of the maps, as a sentence."""
        return ""

    @property
    def resolution(self) -> str:
        """The resolution of the data, in words: ``2 x 2 x 2 mm voxels``; empty if unknown."""
        return ""

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the space, by name."""
        one, many = self.group.space.place_words
        return [
            ("mask", f"{self.group.space.n_values:,} {many}"),
            (
                f"{self.group.space.input_words[1]} at a {one}",
                span(self.group.result.n_observations),
            ),
        ]

    def mask_picture(self) -> Picture | None:
        """Draw the mask and the number of images that have each place."""
        return None

    def map_picture(self, result: Result) -> Picture | None:
        """Draw one map of a contrast."""
        del result
        return None

    def further_pictures(self, result: Result) -> list[Picture]:
        """Draw the parts of a map of a contrast that `map_picture` does not show."""
        del result
        return []

    def fit_map(
        self, row: NDArray[np.float64], highest: float, label: str, caption: str
    ) -> Picture | None:
        """Draw a map of the fit itself, whose values are not negative.

        Colours go from zero to `highest`. `label` is written at the scale.
        """
        del row, highest, label, caption
        return None

    def sets_picture(self, depth: NDArray[np.intp], alt: str, caption: str) -> Picture | None:
        """Draw confidence sets: 1 in the lower set, 2 where the estimate is in it, 3 in the upper.

        Shapes: `depth` (n_values,).
        """
        row = np.where(depth > 0, depth, np.nan)
        drawn = self.fit_map(row, len(SET_NAMES), "1 lower, 2 estimate, 3 upper set", f"{caption}.")
        return None if drawn is None else replace(drawn, alt=alt)

    def viewer(self, contrasts: Sequence[ContrastResults]) -> dict[str, Any] | None:
        """Return the viewer's ``section`` and ``programs``, names of its files, and its data."""
        del contrasts
        return None


def drawing_of(group: FittedGroup, options: ReportOptions, given: Mapping[str, Any]) -> Drawing:
    """Return the drawing of a fit's kind of data; `given` are the options that the user gave."""
    folder = _FOLDERS.get(group.space.tag)
    if folder is not None:
        return cast("Drawing", importlib.import_module(folder).drawing_of(group, options))
    useless = [name for name in _OF_PICTURES if name in given]
    if useless:
        warn_caller(
            f"{', '.join(useless)} has no effect: data of kind {group.space.tag!r} are not drawn; "
            "leave it out"
        )
    return Drawing(group)


def checked_views(tag: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of pictures, as the folder of a kind of data checks and completes them."""
    folder = _FOLDERS.get(tag)
    if folder is None:
        return {}
    return cast("dict[str, Any]", importlib.import_module(folder).checked_views(given))


def viewer_of(asked: AskedView, tag: str) -> tuple[dict[str, Any], str]:
    """Return the viewer of maps of a kind of data, as `Drawing.viewer` does, and a note on it."""
    module: Any = importlib.import_module(_FOLDERS[tag]) if tag in _FOLDERS else None
    if not hasattr(module, "viewer_of"):
        raise ArgumentError.about(
            "stat_map_img",
            "stat_map_img holds regions, which have no place in a brain",
            "draw them with groupglm.plotting.plot_regions",
        )
    return cast("tuple[dict[str, Any], str]", module.viewer_of(asked))
