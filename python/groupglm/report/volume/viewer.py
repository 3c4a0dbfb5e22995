# SPDX-License-Identifier: BSD-3-Clause
"""The data of the page's viewer: maps as whole numbers, compressed, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.viewer_maps import (
    Viewed,
    colours_payload,
    packed,
    shown_values,
    stored_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.volume.template import Background
    from groupglm.report.findings import Finding

__all__ = ["SECTION", "background_payload", "finding_payload", "map_payload"]

SECTION = {"section": "volume/viewer.html.j2", "programs": ["volume/viewer.js"]}
"""The files of the viewer."""

_BACKGROUND_STEP = 1.8  # mm; a finer picture is halved


def background_payload(background: Background, mask: Volume) -> dict[str, Any]:
    """Return the picture behind the maps, and the box of the world to show."""
    bounds = drawn_bounds(mask, background)
    volume = _halved(background.volume)
    shades = volume.data * (80 if background.is_outline else 230)
    return {
        "low": list(bounds.low),
        "high": list(bounds.high),
        "colours": colours_payload(),
        "smooth": not background.is_outline,
        **_packed(np.round(shades).astype(np.uint8), volume.affine),
    }


def map_payload(
    values: Volume,
    viewed: Viewed,
    mask: Volume,
    peak: Sequence[float],
    shared: int | None = None,
) -> dict[str, Any]:
    """Return a map for the viewer; `peak` is where it looks at first, in mm."""
    box, affine = _box(mask)
    inside = values.data[box]
    payload = {**viewed.facts(inside), "peak": list(peak)}
    if shared is not None:
        return {**payload, "values_of": shared}
    whole = stored_values(inside, mask.data[box] != 0, payload["step"], viewed.limits)
    return {**payload, **_packed(whole, affine)}


def finding_payload(
    finding: Finding, viewed: Viewed, mask: Volume, shared: int | None = None
) -> dict[str, Any]:
    """Return the map of a finding for the viewer."""
    values = Volume.of_row(finding.space, shown_values(finding))
    return map_payload(values, viewed, mask, finding.peaks[0].position, shared)


def _packed(values: NDArray[Any], affine: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "shape": list(values.shape),
        # From mm to voxels, row by row.
        "inverse": np.linalg.inv(affine)[:3].tolist(),
        "edges": np.linalg.norm(affine[:3, :3], axis=0).tolist(),
        "data": packed(values),
    }


def _box(mask: Volume) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
    """Return the box around the mask, and the affine of a volume cut to that box."""
    inside = mask.data != 0
    box, first = [], []
    for axis in range(3):
        found = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
        first.append(int(found[0]))
    affine = np.array(mask.affine)
    affine[:3, 3] = (mask.affine @ [*first, 1])[:3]
    return tuple(box), affine


def _halved(volume: Volume) -> Volume:
    """Average blocks of 2 x 2 x 2 voxels, if voxels are finer than the viewer shows."""
    if float(volume.edges.min()) >= _BACKGROUND_STEP:
        return volume
    even = tuple(slice(0, length - length % 2) for length in volume.data.shape)
    values = volume.data[even]
    x, y, z = (length // 2 for length in values.shape)
    blocks = values.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5))
    affine = np.array(volume.affine)
    affine[:3, 3] = (volume.affine @ [0.5, 0.5, 0.5, 1])[:3]
    affine[:3, :3] *= 2
    return Volume(blocks, affine)
