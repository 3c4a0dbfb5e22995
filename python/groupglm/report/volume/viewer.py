# SPDX-License-Identifier: BSD-3-Clause
"""The data of the page's viewer: maps as whole numbers, compressed, as text."""

from __future__ import annotations

import base64
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.colors import lookup_table
from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.permuted_findings import PermutedFinding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.volume.template import Background
    from groupglm.report.findings import Finding

__all__ = ["background_payload", "map_payload", "threshold_of"]

OUTSIDE = -32768
"""The number for "not in the mask"."""

INFINITE = 32767
"""The number for an infinite statistic; with a minus sign, for a negative one."""

_RESOLUTION = 0.01  # of z: the precision of the readout
_BACKGROUND_STEP = 1.8  # mm; a finer picture is halved


def background_payload(background: Background, mask: Volume) -> dict[str, Any]:
    """Return the picture behind the maps, and the box of the world to show."""
    bounds = drawn_bounds(mask, background)
    volume = _halved(background.volume)
    shades = volume.data * (80 if background.is_outline else 230)
    colours = lookup_table()
    return {
        "low": list(bounds.low),
        "high": list(bounds.high),
        "colours": base64.b64encode(colours.tobytes()).decode("ascii"),
        "smooth": not background.is_outline,
        **_packed(np.round(shades).astype(np.uint8), volume.affine),
    }


def map_payload(
    finding: Finding,
    name: str,
    mask: Volume,
    thresholds: Sequence[float],
    shared: int | None = None,
) -> dict[str, Any]:
    """Return a map for the viewer: z scores, or -log10 p of a permutation test."""
    by_p = isinstance(finding, PermutedFinding)
    row = finding.logp if isinstance(finding, PermutedFinding) else finding.shown
    box, affine = _box(mask)
    values = Volume.of_row(finding.space, row).data[box]
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    step = max(_RESOLUTION, largest / 32000)
    threshold = threshold_of(finding)
    payload = {
        "name": name,
        "step": step,
        "outside": OUTSIDE,
        "infinite": INFINITE,
        "largest": largest,
        "threshold": threshold if math.isfinite(threshold) else largest,
        "extent": finding.cluster_threshold,
        "signed": finding.two_sided and not by_p,
        "side": -1 if finding.threshold < 0 and not by_p else 1,
        "unit": "p" if by_p else "z",
        "peak": list(finding.peaks[0].position),
    }
    if shared is not None:
        return {**payload, "values_of": shared}
    inside = (mask.data[box] != 0) & ~np.isnan(values)
    whole = np.where(inside, _rounded(values / step, np.array(thresholds) / step), OUTSIDE)
    return {**payload, **_packed(whole.astype("<i2"), affine)}


def threshold_of(finding: Finding) -> float:
    """Return the threshold of the map that the viewer shows: of z, or of -log10 p."""
    if isinstance(finding, PermutedFinding):
        return -math.log10(finding.test.alpha)
    return abs(finding.threshold)


def _rounded(values: NDArray[Any], limits: NDArray[np.float64]) -> NDArray[Any]:
    """Round to whole numbers that pass the same limits; infinite values become `INFINITE`."""
    sizes = np.minimum(np.abs(np.round(values)), INFINITE)  # finite ones are up to 32000
    for limit in limits[np.isfinite(limits)]:
        passes = np.abs(values) >= limit
        sizes[passes & (sizes <= limit)] = np.floor(limit) + 1
        sizes[~passes & (sizes > limit)] = np.floor(limit)
    return np.asarray(np.copysign(sizes, values))


def _packed(values: NDArray[Any], affine: NDArray[np.float64]) -> dict[str, Any]:
    raw = values.tobytes(order="F")
    return {
        "shape": list(values.shape),
        # From mm to voxels, row by row.
        "inverse": np.linalg.inv(affine)[:3].tolist(),
        "edges": np.linalg.norm(affine[:3, :3], axis=0).tolist(),
        "data": base64.b64encode(zlib.compress(raw, 6)).decode("ascii"),
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
