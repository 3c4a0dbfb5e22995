# SPDX-License-Identifier: BSD-3-Clause
"""What a map that is drawn holds: the label of its colour bar, and whether to threshold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.errors import warn_caller
from groupglm.inference.map_scale import known_scale

if TYPE_CHECKING:
    from groupglm.images import ImageLike

__all__ = ["label_of"]

_SYMBOLS = ("z", "t", "F", "p")
_UNKNOWN = "value"


def label_of(image: ImageLike, threshold: float | None, label: str | None) -> str:
    """Return what a colour bar is labelled with, by the rule that thresholds know maps by.

    Parameters
    ----------
    image : str, os.PathLike or nibabel image
        The map.
    threshold : float or None
        Below which size values are not drawn.
    label : str or None
        What the user says that the values are.

    Returns
    -------
    str
        The label given, else what sidecar, header or name say, else "value".

    Raises
    ------
    ValueError
        If the map is known to hold p-values and there is a threshold.

    Warns
    -----
    UserWarning
        If sidecar, header and name contradict each other.
    """
    scale = known_scale(image)
    if scale is None:
        return _UNKNOWN if label is None else label
    kind = scale.statistic.kind
    if kind == "p" and threshold:
        raise ValueError(
            f"stat_map_img: this is {scale.words}, and threshold={threshold:g} would leave only "
            "those above it, which are no evidence; draw -log10 of them, or the map of z-scores "
            "with the threshold of threshold_stats_img"
        )
    if label is not None:
        return label
    if scale.conflict is not None:
        warn_caller(
            f"stat_map_img: {scale.source} says that this is a map of {scale.statistic.words}, but "
            f"{scale.conflict}; the colour bar is not labelled with either. Give label"
        )
        return _UNKNOWN
    return kind if kind in _SYMBOLS else scale.statistic.words
