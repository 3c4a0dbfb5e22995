# SPDX-License-Identifier: BSD-3-Clause
"""The options of a page's slices and glass brains, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.errors import warn_caller
from groupglm.plotting.volume.panels import GLASS_MODES, SLICE_MODES, check_cuts, check_mode
from groupglm.runtime.arguments import check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked_views"]


def checked_views(given: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse views that do not exist, warn of options without effect, and return the rest."""
    check_choice("plot_type", given["plot_type"], ("slice", "glass"))
    slices = given["plot_type"] == "slice"
    mode = given["display_mode"]
    if mode is None:
        mode = "z" if slices else "lzry"
    check_mode(mode, SLICE_MODES if slices else GLASS_MODES)
    if given["cut_coords"] is not None and slices:
        check_cuts(mode, given["cut_coords"])
    elif given["cut_coords"] is not None:
        warn_caller(
            "cut_coords has no effect with plot_type='glass': a glass brain is not cut; give "
            "plot_type='slice'"
        )
    return {"display_mode": mode}
