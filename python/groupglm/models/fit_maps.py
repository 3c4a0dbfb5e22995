# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a fit of itself by name, and by group where each group has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from groupglm.models.base import Fit

__all__ = ["maps_by_group"]


def maps_by_group(fit: Fit, name: str) -> dict[str, Callable[[], NDArray[np.float64]]]:
    """Return what computes a map, by group; the group is empty if all images have the same map.

    Empty if the fit has no such map.
    """
    maps = fit.maps()
    if name in maps:
        return {"": maps[name]}
    groups = [group.name for group in getattr(fit, "groups", ())]
    return {group: maps[f"{name}_{group}"] for group in groups if f"{name}_{group}" in maps}
