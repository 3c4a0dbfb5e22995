# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about robust regression: who was down-weighted, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.models.robust_fit import RobustFit
from groupglm.plotting.distribution import draw_distribution
from groupglm.report.figures import chart
from groupglm.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.drawing import Drawing

__all__ = ["robust_section"]

_MANY = 0.1  # of the places: such an image is named
_MAX_NAMES = 8


def robust_section(
    group: FittedGroup, names: Sequence[str], drawing: Drawing
) -> dict[str, Any] | None:
    """Return words, numbers, a map and a chart; None for another model.

    `names` are those of the images.
    """
    fit = group.result
    if not isinstance(fit, RobustFit):
        return None
    one, many = group.space.place_words
    how = fit.words().cited
    said = [f"{how[:1].upper()}{how[1:]}."]
    shares = np.nan_to_num(fit.low_shares)
    order = np.argsort(-shares, kind="stable")
    high = [k for k in order.tolist() if shares[k] > _MANY]
    if high:
        whose = listed([f"{names[k]} ({100 * shares[k]:.0f}%)" for k in high], _MAX_NAMES)
        said.append(
            f"Images with less than half of their weight at more than {100 * _MANY:.0f}% of the "
            f"{many}: {whose}. Look at these images before you trust either fit."
        )
    elif len(order):
        first = order[0]
        said.append(
            f"No image has less than half of its weight at more than {100 * _MANY:.0f}% of the "
            f"{many}; the most is {100 * shares[first]:.1f}%, of {names[first]}."
        )
    if fit.n_not_converged:
        said.append(
            f"At {fit.n_not_converged:,} {many} the iterations did not converge; their results "
            "are those of the last one."
        )
    if fit.n_equal:
        said.append(
            f"At {fit.n_equal:,} {many} at least half of the residuals are zero, so that all "
            "other images have no weight there."
        )
    weight = fit.mean_weight
    facts = [
        (names[k], f"mean weight {fit.mean_weights[k]:.2f}, below a half at {100 * shares[k]:.1f}%")
        for k in order.tolist()[:_MAX_NAMES]
    ]
    what = f"Mean weight of the images at each {one}: low where several are far off"
    drawn = drawing.fit_map(weight, 1.0, "weight", f"{what}.")
    low, middle, top = np.nanpercentile(fit.mean_weights, [0, 50, 100])
    text = (
        f"mean weight of each image over the {many}: median {middle:.2f}, from {low:.2f} to "
        f"{top:.2f}."
    )
    figure = draw_distribution(fit.mean_weights, "mean weight of an image", "images", highest=1.0)
    return {
        "title": "Who was down-weighted",
        "findings": said,
        "facts": facts,
        "maps": [] if drawn is None else [drawn],
        "pictures": [chart(figure, f"Histogram of the {text}", f"M{text[1:]}")],
    }
