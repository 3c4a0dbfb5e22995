# SPDX-License-Identifier: BSD-3-Clause
"""What is to be in a viewer that is a page of its own: `AskedView`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groupglm.plotting.limits import NOISE

__all__ = ["AskedView"]


@dataclass(frozen=True, eq=False)
class AskedView:
    """What is to be in a viewer.

    Parameters
    ----------
    maps : sequence of images or paths
        Of one kind of data; surfaces of the same meshes.
    names : sequence of str
        Their names in the list of maps.
    threshold : float, str or None
        The size that is shown at first.
    bg_img : image or path, optional
        The picture behind volumes, or the shades of surfaces.
    surfaces : object
        The meshes to show maps of surfaces on.
    label : str, optional
        What the values are.
    """

    maps: Sequence[Any]
    names: Sequence[str]
    threshold: float | str | None = NOISE
    bg_img: Any = "MNI152TEMPLATE"
    surfaces: Any = None
    label: str | None = None
