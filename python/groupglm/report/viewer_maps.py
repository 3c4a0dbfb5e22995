# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a page's viewer, of any kind of data: whole numbers, compressed, as text."""

from __future__ import annotations

import base64
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.colors import lookup_table
from groupglm.report.permuted_findings import PermutedFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from groupglm.report.contrast_results import ContrastResults
    from groupglm.report.findings import Finding

__all__ = [
    "INFINITE",
    "OUTSIDE",
    "colours_payload",
    "map_facts",
    "map_payloads",
    "packed",
    "shown_values",
    "stored_values",
    "threshold_of",
]

OUTSIDE = -32768
"""The number for "not in the mask"."""

INFINITE = 32767
"""The number for an infinite statistic; with a minus sign, for a negative one."""

_RESOLUTION = 0.01  # of z: the precision of the readout


def packed(values: NDArray[Any] | bytes) -> str:
    """Return bytes compressed, as text; an array's in the order of Fortran."""
    raw = values if isinstance(values, bytes) else values.tobytes(order="F")
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def colours_payload() -> str:
    """Return the colours of signed values on a dark ground, as text."""
    return base64.b64encode(lookup_table().tobytes()).decode("ascii")


def map_payloads(
    contrasts: Sequence[ContrastResults],
    payload: Callable[[Finding, str, list[float], int | None], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the maps of all results of all contrasts.

    `payload` makes one, of the finding, the name in the list, the thresholds that its numbers must
    keep apart, and the number of the map that has the same values, which are stored once.
    """
    maps: list[dict[str, Any]] = []
    for contrast in contrasts:
        first, several = len(maps), len(contrast.results) > 1
        for place, result in enumerate(contrast.results):
            name = f"{contrast.name}: {result.title}" if several else contrast.name
            # The corrections of a contrast share one map of z.
            shared = first if 0 < place < len(contrast.findings) else None
            own = contrast.findings if result.finding in contrast.findings else [result.finding]
            maps.append(payload(result.finding, name, [threshold_of(one) for one in own], shared))
    return maps


def shown_values(finding: Finding) -> NDArray[Any]:
    """Return the row that the viewer shows: z scores, or -log10 p of a permutation test."""
    return finding.logp if isinstance(finding, PermutedFinding) else finding.shown


def threshold_of(finding: Finding) -> float:
    """Return the threshold of the map that the viewer shows: of z, or of -log10 p."""
    if isinstance(finding, PermutedFinding):
        return -math.log10(finding.test.alpha)
    return abs(finding.threshold)


def map_facts(finding: Finding, name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Return what the viewer knows of a map besides its values, which are given."""
    by_p = isinstance(finding, PermutedFinding)
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    threshold = threshold_of(finding)
    return {
        "name": name,
        "step": max(_RESOLUTION, largest / 32000),
        "outside": OUTSIDE,
        "infinite": INFINITE,
        "largest": largest,
        "threshold": threshold if math.isfinite(threshold) else largest,
        "extent": finding.cluster_threshold,
        "signed": finding.two_sided and not by_p,
        "side": -1 if finding.threshold < 0 and not by_p else 1,
        "unit": "p" if by_p else "z",
    }


def stored_values(
    values: NDArray[Any], inside: NDArray[np.bool_], step: float, thresholds: Sequence[float]
) -> NDArray[Any]:
    """Return values as whole numbers of 16 bits, which pass the same thresholds.

    `inside` tells which places are in the mask; NaN is shown as if it were outside.
    """
    whole = rounded(values / step, np.array(thresholds) / step)
    return np.where(inside & ~np.isnan(values), whole, OUTSIDE).astype("<i2")


def rounded(values: NDArray[Any], limits: NDArray[np.float64]) -> NDArray[Any]:
    """Round to whole numbers that pass the same limits; infinite values become `INFINITE`."""
    sizes = np.minimum(np.abs(np.round(values)), INFINITE)  # finite ones are up to 32000
    for limit in limits[np.isfinite(limits)]:
        passes = np.abs(values) >= limit
        sizes[passes & (sizes <= limit)] = np.floor(limit) + 1
        sizes[~passes & (sizes > limit)] = np.floor(limit)
    return np.asarray(np.copysign(sizes, values))
