# SPDX-License-Identifier: BSD-3-Clause
"""The options of a page's slices and glass brains, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.errors import warn_caller
from groupglm.plotting.volume.panels import GLASS_MODES, SLICE_MODES, check_cuts, check_mode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_views"]


def check_views(given: Mapping[str, Any]) -> None:
    """Refuse views that do not exist, and warn of options without effect."""
    slices = given["plot_type"] == "slice"
    check_mode(given["display_mode"], SLICE_MODES if slices else GLASS_MODES)
    if given["cut_coords"] is None:
        return
    if slices:
        check_cuts(given["display_mode"], given["cut_coords"])
    else:
        warn_caller(
            "cut_coords has no effect with plot_type='glass': a glass brain is not cut; give "
            "plot_type='slice'"
        )
