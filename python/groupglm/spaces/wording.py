# SPDX-License-Identifier: BSD-3-Clause
"""The wording of the extent of some places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from groupglm.spaces.base import Space

__all__ = ["extent"]


def extent(size: float, space: Space) -> str:
    """Return the extent of a cluster in words: ``1 voxel``, ``2 vertices``, ``30.5 mm2``."""
    one, many = space.place_words
    return counted(int(size), one, many) if space.unit == many else f"{size:g} {space.unit}"
