# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about variances of subjects: how much subjects differ, and who counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.models.base import Weighs
from groupglm.plotting.distribution import draw_distribution
from groupglm.report.figures import Picture, chart
from groupglm.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup

__all__ = ["heterogeneity_section"]

_P = 0.05  # the level of the test of Q that the page counts places by
_HALF = 0.5  # of the weight: one image decides
_WIDE_RATIO = 100.0  # of the largest to the smallest variance
_FEW = 5  # residual degrees of freedom

_OF_VARIANCES = ("tau2", "i_squared", "h_squared", "q", "q_p_value")


def heterogeneity_section(group: FittedGroup, names: Sequence[str]) -> dict[str, Any] | None:
    """Return words, numbers and charts about the variances of a model; None if it has none.

    `names` are those of the images.
    """
    fit = group.result
    beside = fit.model.beside
    maps = {name: compute for name, compute in fit.maps().items() if name in _OF_VARIANCES}
    if not maps and not beside:
        return None
    one, many = group.space.place_words
    values = {name: compute() for name, compute in maps.items()}
    said, facts, pictures = [], [], []
    if values:
        said += _spread_in_words(values, one, many)
        facts += _spread_in_numbers(values, many)
        pictures += _charts(values, many)
    if isinstance(fit, Weighs):
        said += _counted(fit.counts(), many)
        said += _dominance(fit, names, many)
    if not said:
        return None
    return {
        "title": "How much subjects differ" if values else "Weights and covariates",
        "findings": said,
        "facts": facts,
        "pictures": pictures,
    }


def _spread_in_words(values: Mapping[str, NDArray[np.float64]], one: str, many: str) -> list[str]:
    """Return sentences on how much subjects differ beyond their measurement."""
    said = []
    if "tau2" in values:
        tau2 = values["tau2"]
        known = tau2[np.isfinite(tau2)]
        sd, share = np.sqrt(np.median(known)), 100 * float(np.mean(known == 0))
        said.append(
            "Beyond the uncertainty of their own estimates, subjects differ by a standard "
            f"deviation τ of {sd:.3g} at the median {one} (τ² = {np.median(known):.3g}, in squared "
            "units of the effects)."
        )
        if share > 0:
            said.append(
                f"At {_percent(share)} of the {many}, τ² is 0: there subjects differ no more than "
                "their variances lead to expect, and are weighted by these variances alone. An "
                "estimate of 0 is no proof that they are equal."
            )
    if "i_squared" in values:
        part = np.nanmedian(values["i_squared"])
        said.append(
            f"I² is {part:.0f}% at the median {one}: of the variance of the effects, about that "
            "share is between subjects, and the rest is measurement."
        )
    if "q_p_value" in values:
        p = values["q_p_value"]
        share = 100 * float(np.mean(p[np.isfinite(p)] < _P))
        said.append(
            f"Cochran's Q test speaks against equal effects, other than those that the design "
            f"explains, at {_percent(share)} of the {many} (p < {_P:g}, uncorrected; "
            f"{100 * _P:g}% are expected by chance if there are no such differences)."
        )
    return said


def _percent(share: float) -> str:
    return f"{share:.0f}%" if share >= 10 or share == 0 else f"{share:.2g}%"


def _spread_in_numbers(
    values: Mapping[str, NDArray[np.float64]], many: str
) -> list[tuple[str, str]]:
    titles = {"tau2": "τ²", "i_squared": "I², %", "h_squared": "H²", "q": "Q"}
    facts = []
    for name, title in titles.items():
        if name in values:
            low, middle, high = np.nanpercentile(values[name], [25, 50, 75])
            facts.append(
                (f"{title}, median", f"{middle:.3g} (half of the {many}: {low:.3g} to {high:.3g})")
            )
    return facts


def _charts(values: Mapping[str, NDArray[np.float64]], many: str) -> list[Picture]:
    pictures = []
    drawn = (
        ("tau2", "τ, standard deviation between subjects", None, np.sqrt),
        ("i_squared", "I², %", 100.0, np.asarray),
    )
    for name, label, highest, change in drawn:
        if name not in values:
            continue
        row: NDArray[np.float64] = change(values[name])
        low, middle, high = np.nanpercentile(row, [25, 50, 75])
        text = f"{label}, over {many}: median {middle:.3g}, quartiles {low:.3g} and {high:.3g}."
        figure = draw_distribution(row, label, many, highest=highest)
        pictures.append(chart(figure, f"Histogram of {text}", text))
    return pictures


def _counted(counts: Mapping[str, NDArray[np.int64]], many: str) -> list[str]:
    """Return sentences on values that count as missing because of what is beside them."""
    words = {
        "outside": (
            "both the value and its variance are 0: {total:,} values at {places:,} {many}. Such a "
            "value is outside that subject's brain, and counts as missing"
        ),
        "unusable": (
            "a value has a variance or weight that is 0 or missing: {total:,} values at {places:,} "
            "{many}. They count as missing"
        ),
    }
    said = []
    for name, text in words.items():
        number = counts[name]
        if number.any():
            found = text.format(
                total=int(number.sum()), places=int(np.count_nonzero(number)), many=many
            )
            said.append(f"For some images, {found}.")
    return said


def _dominance(fit: Any, names: Sequence[str], many: str) -> list[str]:
    """Return sentences on images that have most of the weight."""
    share, image = fit.dominance()
    # Of two images one always has half of the weight.
    several = np.broadcast_to(np.asarray(fit.n_observations) > 2, share.shape)
    share = np.where(several, share, 0.0)
    over = share > _HALF
    n_places = int(np.count_nonzero(several))
    if not n_places:
        return []
    said = []
    if over.any():
        images, times = np.unique(image[over], return_counts=True)
        order = np.argsort(-times, kind="stable")
        whose = listed([f"{names[images[k]]} ({times[k]:,})" for k in order], 5)
        said.append(
            f"At {int(over.sum()):,} of {n_places:,} {many} with more than two images, one of them "
            f"has more than half of the weight, so that the estimate is nearly its own: {whose}. "
            "Check its variances."
        )
    else:
        most = int(np.argmax(share))
        said.append(
            f"No image has more than half of the weight at any of the {n_places:,} {many}; the "
            f"most is {100 * share[most]:.0f}%, of {names[image[most]]}."
        )
    df = np.broadcast_to(np.asarray(fit.df_residual, dtype=np.float64), share.shape)
    wide = (df < _FEW) & (fit.variance_ratio > _WIDE_RATIO)
    if "variance" in fit.model.beside and wide.any():
        said.append(
            f"At {int(wide.sum()):,} {many} there are fewer than {_FEW} degrees of freedom, and "
            f"the variances of the images differ more than {_WIDE_RATIO:g}-fold: there even the "
            "test of Knapp and Hartung finds too much or too little."
        )
    return said
