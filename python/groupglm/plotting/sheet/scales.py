# SPDX-License-Identifier: BSD-3-Clause
"""The colours of all maps of a sheet: one scale, or one colour for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap

from groupglm.errors import ArgumentError, warn_caller
from groupglm.plotting.kind import kind_of
from groupglm.plotting.limits import NOISE
from groupglm.plotting.scale import Scale
from groupglm.plotting.sheet.asked import OVERLAY_COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.sheet.asked import Asked

__all__ = ["overlay_codes", "overlay_note", "overlay_scale", "scales_of", "tell_of_empty"]


def scales_of(
    asked: Asked, values: Sequence[NDArray[Any]], *, dark: bool
) -> tuple[list[Scale], str]:
    """Return the scale of each map, which differ only in their tails, and the label of the bar.

    Raises
    ------
    ArgumentError
        If the maps hold different kinds of values, which no scale has in common.
    """
    kinds = [kind_of(image, asked.threshold, None) for image in asked.maps]
    labels = list(dict.fromkeys(kind.label for kind in kinds))
    if len(labels) > 1:
        raise ArgumentError.about(
            "stat_map_img",
            f"these maps hold different kinds of values: {', '.join(labels)}; they have no scale "
            "in common",
            "draw maps of one kind, such as those of z, or each in a picture of its own",
        )
    together = np.concatenate(
        [
            np.maximum(own, 0).ravel() if kind.one_tail else own.ravel()
            for own, kind in zip(values, kinds, strict=True)
        ]
    )
    # With one threshold for all; NaN is nowhere drawn.
    together = np.where(np.isnan(together), 0, together)
    shared = Scale.of(together, kinds[0].threshold, asked.vmax, dark=dark)
    return [replace(shared, one_tail=kind.one_tail) for kind in kinds], labels[0]


def tell_of_empty(names: Sequence[str], shown: Sequence[bool]) -> None:
    """Say of which maps nothing is drawn."""
    for name, is_shown in zip(names, shown, strict=True):
        if not is_shown:
            warn_caller(
                f"{name}: no value is beyond the threshold, so that nothing of it is drawn; give a "
                "lower threshold, or take it that there is nothing to see"
            )


def overlay_codes(shown: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return where two maps are drawn: 1 is the first, 2 the second, 3 both, 0 none."""
    first, second = (np.nan_to_num(own) != 0 for own in shown)
    return np.asarray(first + 2.0 * second)


def overlay_note(asked: Asked, scales: Sequence[Scale], label: str) -> str:
    """Return what an overlay shows, which has no colour bar: ``|z| > 3.1``; "" of no overlay."""
    if not asked.overlay:
        return ""
    size = label if all(scale.one_tail for scale in scales) else f"|{label or 'value'}|"
    limit = scales[0].threshold
    return f"{size} > {limit:.3g}" if limit > NOISE else f"where {label or 'values'} is not 0"


def overlay_scale() -> Scale:
    """Return the colours of `overlay_codes`."""
    return Scale(3.5, 0.5, False, ListedColormap(OVERLAY_COLOURS, "groupglm_overlay"), vmin=0.5)
