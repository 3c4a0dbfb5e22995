# SPDX-License-Identifier: BSD-3-Clause
"""The kind of a map to draw: its label, its tails, and whether to threshold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.map_scale import known_scale
from groupglm.plotting.limits import NOISE
from groupglm.runtime.arguments import real_number

if TYPE_CHECKING:
    from groupglm.inference.map_scale import MapScale
    from groupglm.spaces.images import ImageLike

__all__ = ["DrawnKind", "kind_of", "label_of"]

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
    threshold : float, str or None
        From which size on values are drawn. Without a threshold of the caller's, every p-value is.
    holds : str, optional
        The kind of values, such as "z" or "logp"; None if it is not known.
    """

    label: str
    one_tail: bool = False
    threshold: float | str | None = None
    holds: str | None = None


def kind_of(image: ImageLike, threshold: float | str | None, label: str | None) -> DrawnKind:
    """Return what a map holds, by the rule that thresholds know maps by."""
    scale = known_scale(image)
    if scale is None:
        return DrawnKind(_UNKNOWN if label is None else label, threshold=threshold)
    kind = scale.statistic.kind
    if kind == "p":
        if threshold not in (None, "auto") and not _is_noise(threshold):
            raise ArgumentError.about(
                "stat_map_img",
                f"stat_map_img: this is {scale.words}, and threshold={threshold} would leave only "
                "those above it, which are no evidence",
                "draw -log10 of them, or the map of z-scores with the threshold of "
                "threshold_stats_img",
            )
        threshold = None
    statistic = scale.statistic
    one_tail = scale.conflict is None and (statistic.of_f or statistic.one_tail)
    if label is None and scale.conflict is not None:
        warn_caller(
            f"stat_map_img: {scale.source} says that this is a map of {scale.statistic.words}, but "
            f"{scale.conflict}; the colour bar is not labelled with either. Give label"
        )
        label = _UNKNOWN
    if label is None:
        label = _label(scale)
    return DrawnKind(label, one_tail, threshold, None if scale.conflict is not None else kind)


def label_of(image: ImageLike) -> str:
    """Return the label of a colour bar of a map; empty if nothing says what the map holds."""
    scale = known_scale(image)
    return "" if scale is None or scale.conflict is not None else _label(scale)


def _label(scale: MapScale) -> str:
    kind = scale.statistic.kind
    return kind if kind in _SYMBOLS else scale.statistic.words


def _is_noise(threshold: float | str | None) -> bool:
    """Tell whether a threshold only leaves out what is zero but for rounding."""
    return not isinstance(threshold, str) and real_number(
        "threshold", threshold, infinite=True
    ) <= (NOISE)
