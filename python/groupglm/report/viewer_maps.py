# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a page's viewer, of any kind of data: whole numbers, compressed, as text."""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import printable
from groupglm.plotting.colors import lookup_table
from groupglm.plotting.limits import size_of_threshold
from groupglm.report.permuted_findings import PermutedFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.kind import DrawnKind
    from groupglm.report.contrast_results import ContrastResults
    from groupglm.report.findings import Finding

__all__ = [
    "INFINITE",
    "OUTSIDE",
    "Viewed",
    "colours_payload",
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


@dataclass(frozen=True)
class Viewed:
    """What the viewer knows of a map besides its values.

    Parameters
    ----------
    name : str
        The name in the list of maps.
    label : str
        What its values are: ``z``, ``corrected p``.
    threshold : float
        The size that is shown at first; infinite if nothing is beyond it.
    limits : tuple of float
        The thresholds that its stored numbers keep apart.
    extent : float
        Clusters of a smaller size are left out.
    signed : bool
        Whether values of both signs are shown.
    side : int
        The sign of those that are shown if not both are.
    by_p : bool
        Whether the values are -log10 of p, which the viewer writes as p.
    """

    name: str
    label: str
    threshold: float
    limits: tuple[float, ...]
    extent: float = 0.0
    signed: bool = True
    side: int = 1
    by_p: bool = False

    @classmethod
    def of_finding(cls, finding: Finding, name: str, limits: Sequence[float]) -> Viewed:
        """Return the facts of a finding: z scores, or -log10 p of a permutation test."""
        by_p = isinstance(finding, PermutedFinding)
        return cls(
            name, "corrected p" if by_p else "z", threshold_of(finding), tuple(limits),
            finding.least_size(finding.top.place), finding.two_sided and not by_p,
            -1 if finding.threshold < 0 and not by_p else 1, by_p,
        )  # fmt: skip

    @classmethod
    def of_map(cls, kind: DrawnKind, name: str, values: NDArray[Any]) -> Viewed:
        """Return the facts of a map of a user's, whose kind is known as far as a file tells it."""
        limit = size_of_threshold(kind.threshold, values) or 0.0
        by_p = kind.holds == "logp"
        return cls(
            name, "p" if by_p else kind.label, limit, (limit,),
            signed=not (kind.one_tail or by_p), by_p=by_p,
        )  # fmt: skip

    def facts(self, values: NDArray[Any]) -> dict[str, Any]:
        """Return what the viewer knows of the map, whose values are given."""
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        return {
            "name": self.name,
            "step": _step(largest),
            "outside": OUTSIDE,
            "infinite": INFINITE,
            "largest": largest,
            "threshold": self.threshold if math.isfinite(self.threshold) else largest,
            "extent": self.extent,
            "signed": self.signed,
            "side": self.side,
            "unit": "p" if self.by_p else "",
            "label": printable(self.label),
        }


def _step(largest: float) -> float:
    """Return the precision of the readout; that of small values is finer than of z."""
    return largest / 32000 if 0 < largest < 1 else max(_RESOLUTION, largest / 32000)


def map_payloads(
    contrasts: Sequence[ContrastResults],
    payload: Callable[[Finding, Viewed, int | None], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the maps of all results of all contrasts.

    `payload` makes one, of the finding, its facts, and the number of the map that has the same
    values, which are stored once.
    """
    maps: list[dict[str, Any]] = []
    for contrast in contrasts:
        first, several = len(maps), len(contrast.results) > 1
        for place, result in enumerate(contrast.results):
            name = f"{contrast.name}: {result.title}" if several else contrast.name
            # The corrections of a contrast share one map of z.
            shared = first if 0 < place < len(contrast.findings) else None
            own = contrast.findings if result.finding in contrast.findings else [result.finding]
            viewed = Viewed.of_finding(result.finding, name, [threshold_of(one) for one in own])
            maps.append(payload(result.finding, viewed, shared))
    return maps


def shown_values(finding: Finding) -> NDArray[Any]:
    """Return the row that the viewer shows: z scores, or -log10 p of a permutation test."""
    return finding.logp if isinstance(finding, PermutedFinding) else finding.shown


def threshold_of(finding: Finding) -> float:
    """Return the threshold of the map that the viewer shows: of z, or of -log10 p."""
    if isinstance(finding, PermutedFinding):
        return -math.log10(finding.test.alpha)
    return abs(finding.threshold)


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
