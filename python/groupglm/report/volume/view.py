# SPDX-License-Identifier: BSD-3-Clause
"""The viewer of maps of volumes that a user gives, without a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.plotting.kind import kind_of
from groupglm.plotting.volume.template import find_background
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.viewer_maps import Viewed
from groupglm.report.volume.viewer import SECTION, background_payload, map_payload

if TYPE_CHECKING:
    from groupglm.report.asked_view import AskedView

__all__ = ["viewer_of"]


def viewer_of(asked: AskedView) -> tuple[dict[str, Any], str]:
    """Return what the template of the viewer needs, and a note on the background."""
    maps, masks = [], []
    for image, name in zip(asked.maps, asked.names, strict=True):
        values = Volume.of(image, "stat_map_img")
        viewed = Viewed.of_map(kind_of(image, asked.threshold, asked.label), name, values.data)
        inside = Volume((values.data != 0).astype(np.uint8), values.affine)
        if not inside.data.any():
            raise ArgumentError.about(
                "stat_map_img", f"the map {name} has no value but zero", "there is nothing to see"
            )
        sizes = values.data if not viewed.signed else np.abs(values.data)
        top = np.unravel_index(int(sizes.argmax()), sizes.shape)
        peak = (values.affine @ [*map(int, top), 1])[:3].tolist()
        maps.append(map_payload(values, viewed, inside, peak))
        masks.append(inside)
    background = find_background(asked.bg_img, masks[0])
    if background is None:  # there is always a mask
        raise AssertionError
    return {
        **SECTION,
        "choice": "Map",
        "background": background_payload(background, masks[0]),
        "maps": maps,
    }, background.description
