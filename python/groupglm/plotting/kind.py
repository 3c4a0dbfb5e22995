# SPDX-License-Identifier: BSD-3-Clause
"""The kind of a map to draw: its label, its tails, and whether to threshold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.map_scale import known_scale
from groupglm.runtime.arguments import real_number

if TYPE_CHECKING:
    from groupglm.spaces.images import ImageLike

__all__ = ["DrawnKind", "kind_of"]

_SYMBOLS = ("z", "t", "F", "p")
_UNKNOWN = "value"


@dataclass(frozen=True)
class DrawnKind:
    """The kind of a map, as far as its picture shows it.

    Parameters
    ----------
    label : str
        The label of the colour bar.
    one_tail : bool
        Whether these are z-scores of an F test, of which only large ones are evidence: a negative
        one is an F below its median.
    """

    label: str
    one_tail: bool = False


def kind_of(image: ImageLike, threshold: float | None, label: str | None) -> DrawnKind:
    """Return the kind of a map, by the rule that thresholds use."""
    scale = known_scale(image)
    if scale is None:
        return DrawnKind(_UNKNOWN if label is None else label)
    kind = scale.statistic.kind
    limit = 0.0 if threshold is None else real_number("threshold", threshold, infinite=True)
    if kind == "p" and limit:
        raise ArgumentError.about(
            "stat_map_img",
            f"stat_map_img: this is {scale.words}, and threshold={limit:g} would leave only "
            "those above it, which are no evidence",
            "draw -log10 of them, or the map of z-scores with the threshold of threshold_stats_img",
        )
    one_tail = scale.conflict is None and scale.statistic.of_f
    if label is not None:
        return DrawnKind(label, one_tail)
    if scale.conflict is not None:
        warn_caller(
            f"stat_map_img: {scale.source} says that this is a map of {scale.statistic.words}, but "
            f"{scale.conflict}; the colour bar is not labelled with either. Give label"
        )
        return DrawnKind(_UNKNOWN)
    return DrawnKind(kind if kind in _SYMBOLS else scale.statistic.words, one_tail)
