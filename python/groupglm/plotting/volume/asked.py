# SPDX-License-Identifier: BSD-3-Clause
"""What a caller asks of a plot of a volume besides its colours: `AskedOfVolume`, `open_display`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.asked import Asked
from groupglm.plotting.colors import DARK
from groupglm.plotting.figure import in_pyplot
from groupglm.plotting.frames import fill_ground
from groupglm.plotting.volume.display_figure import DisplayFigure, DisplayPart, own_display
from groupglm.plotting.volume.drawn import Drawn, places_of, views_by_name
from groupglm.plotting.volume.layout import Page
from groupglm.plotting.volume.panels import in_rows
from groupglm.plotting.volume.views import lay_out, lay_out_within
from groupglm.runtime.arguments import check_truth, whole_number

if TYPE_CHECKING:
    from groupglm.plotting.colors import Look
    from groupglm.plotting.volume.display import Display
    from groupglm.plotting.volume.layout import Layout
    from groupglm.plotting.volume.panels import Panel
    from groupglm.plotting.volume.pictures import Pictures
    from groupglm.plotting.volume.volumes import Bounds

__all__ = ["AskedOfVolume", "open_display"]


@dataclass(frozen=True, eq=False)
class AskedOfVolume(Asked):
    """What a caller asks of a plot of a volume.

    Parameters
    ----------
    draw_cross, radiological : bool
        Whether a cross is drawn, and which side is on the left.
    decimals : int
        Of the places.
    """

    draw_cross: bool = True
    radiological: bool = False
    decimals: int = 0

    @classmethod
    def of_volume(
        cls,
        *,
        radiological: bool,
        draw_cross: bool = True,
        decimals: int | bool = 0,
        **given: Any,
    ) -> AskedOfVolume:
        """Check what is asked for, before anything is read."""
        n_decimals = int(decimals) if isinstance(decimals, bool | np.bool_) else decimals
        return cls.of(
            **given,
            draw_cross=check_truth("draw_cross", draw_cross),
            radiological=check_truth("radiological", radiological),
            decimals=whole_number("decimals", n_decimals, least=0),
        )


@contextmanager
def open_display(
    asked: AskedOfVolume,
    display_mode: str,
    panels: Sequence[Panel],
    bounds: Bounds,
    look: Look,
    pictures: Pictures,
    *,
    absolute: bool = False,
) -> Iterator[tuple[Display, Layout]]:
    """Yield a display and its views; it is saved at the end, and forgotten if drawing fails."""
    rows = in_rows(display_mode, panels)
    page = Page(
        look, asked.title, asked.colorbar, asked.annotate, asked.radiological, asked.decimals
    )
    from_left = display_mode == "tiled"
    crossed = panels[0].coordinate is not None and display_mode != "mosaic"
    crossed = crossed and len(display_mode) > 1

    def drawn(layout: Layout) -> Drawn:
        return Drawn(
            layout, views_by_name(display_mode, layout.views), pictures,
            places_of(display_mode, panels), absolute, crossed,
        )  # fmt: skip

    if asked.is_own:
        with in_pyplot(DisplayFigure) as make:
            layout = lay_out(rows, bounds, page, make, from_left=from_left)
            own = own_display(drawn(layout))
            yield own, layout
            _finish(own, layout, asked)
        return
    frame = asked.frame()
    if look is DARK:
        fill_ground(frame, look.ground)
    layout = lay_out_within(frame, rows, bounds, page, from_left=from_left)
    part = DisplayPart(drawn(layout))
    yield part, layout
    _finish(part, layout, asked)


def _finish(display: Display, layout: Layout, asked: AskedOfVolume) -> None:
    if asked.draw_cross:
        display.draw_cross()
    asked.save(layout.frame.figure)
