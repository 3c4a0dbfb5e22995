# SPDX-License-Identifier: BSD-3-Clause
"""The options of a page's pictures, of which those of slices have no effect on surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.errors import warn_caller

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked_views"]

_OF_VOLUMES = {"plot_type": "slice", "display_mode": None, "cut_coords": None}  # and defaults


def checked_views(given: Mapping[str, Any]) -> dict[str, Any]:
    """Warn of options without effect; nothing is added to the others."""
    useless = [name for name, default in _OF_VOLUMES.items() if given[name] != default]
    if useless:
        warn_caller(
            f"{', '.join(useless)} has no effect: hemispheres are drawn in lateral and medial "
            "views; leave it out"
        )
    return {}
