# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about variances of subjects: how much subjects differ, and who counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.group.resampling import resampling_in_words
from groupglm.models.base import Weighs
from groupglm.models.fit_maps import maps_by_group
from groupglm.models.mixed_fit import FEW_DF, LARGE_RATIO, MixedFit
from groupglm.plotting.distribution import draw_distribution
from groupglm.report.figures import Picture, chart
from groupglm.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.drawing import Drawing

__all__ = ["heterogeneity_section"]

# Maps of a fit by name, and by group: empty if all images have the same.
_Maps: TypeAlias = "Mapping[str, Mapping[str, NDArray[np.float64]]]"

_P = 0.05  # the level of the test of Q that the page counts places by
_HALF = 0.5  # of the weight: one image decides
_COLOURED = 99.0  # percent of the places with colours of their own

_OF_VARIANCES = ("tau2", "i_squared", "h_squared", "q", "q_p_value")


def heterogeneity_section(
    group: FittedGroup, names: Sequence[str], drawing: Drawing
) -> dict[str, Any] | None:
    """Return words, numbers, maps and charts about the variances of a model; None if it has none.

    `names` are those of the images.
    """
    fit = group.result
    if not fit.model.beside:
        return None
    one, many = group.space.place_words
    values = {
        name: {label: compute() for label, compute in found.items()}
        for name in _OF_VARIANCES
        if (found := maps_by_group(fit, name))
    }
    said = []
    if values:
        how = fit.words().cited
        said.append(f"{how[:1].upper()}{how[1:]}.")
    said += _spread_in_words(values, one, many)
    if isinstance(fit, Weighs):
        said += _counted(fit.counts(), one, many)
        if set(fit.model.beside) & {"variance", "weight"}:
            said += _dominance(fit, names, one, many)
    if not said:
        return None
    said += filter(None, [resampling_in_words(group)])
    return {
        "title": "How much subjects differ" if values else "Weights and covariates",
        "findings": said,
        "facts": _spread_in_numbers(values, many),
        "maps": _drawn(values, drawing),
        "pictures": _charts(values, many),
    }


def _spread_in_words(values: _Maps, one: str, many: str) -> list[str]:
    """Return sentences on how much subjects differ beyond their measurement."""
    said = []
    for label, tau2 in values.get("tau2", {}).items():
        known = tau2[np.isfinite(tau2)]
        if not known.size:
            continue
        middle = float(np.median(known))
        who = f"subjects of the group {label}" if label else "subjects"
        said.append(
            f"Beyond the uncertainty of their own estimates, {who} differ by a standard deviation "
            f"τ of {np.sqrt(middle):.3g} at the median {one} (τ² = {middle:.3g}, in squared units "
            "of the effects)."
        )
        share = 100 * float(np.mean(known == 0))
        if share > 0:
            said.append(
                f"At {_percent(share)} of the {many}, τ² is 0: there {who} differ no more than "
                "their variances lead to expect, and are weighted by these variances alone. An "
                "estimate of 0 is no proof that they are equal."
            )
    for label, part in values.get("i_squared", {}).items():
        of = f" of the group {label}" if label else ""
        said.append(
            f"I²{of} is {np.nanmedian(part):.0f}% at the median {one}: of the variance of the "
            "effects, about that share is between subjects, and the rest is measurement."
        )
    for p in values.get("q_p_value", {}).values():
        share = 100 * float(np.mean(p[np.isfinite(p)] < _P))
        said.append(
            f"Cochran's Q test speaks against equal effects, other than those that the design "
            f"explains, at {_percent(share)} of the {many} (p < {_P:g}, uncorrected; "
            f"{100 * _P:g}% are expected by chance if there are no such differences)."
        )
    return said


def _percent(share: float) -> str:
    return f"{share:.0f}%" if share >= 10 or share == 0 else f"{share:.2g}%"


def _spread_in_numbers(values: _Maps, many: str) -> list[tuple[str, str]]:
    titles = {"tau2": "τ²", "i_squared": "I² in %", "h_squared": "H²", "q": "Q"}
    facts = []
    for name, title in titles.items():
        for label, row in values.get(name, {}).items():
            low, middle, high = np.nanpercentile(row, [25, 50, 75])
            of = f" of {label}" if label else ""
            what = f"{title}{of}, median"
            facts.append((what, f"{middle:.3g} (half of the {many}: {low:.3g} to {high:.3g})"))
    return facts


def _drawn(values: _Maps, drawing: Drawing) -> list[Picture]:
    """Return the maps of tau and I2, those of groups with the same colours; none without space."""
    pictures = []
    for name, what, unit in (
        ("tau2", "τ, the standard deviation between subjects", "τ"),
        ("i_squared", "I², the share of the variance that is between subjects", "I² in %"),
    ):
        rows = values.get(name, {})
        if name == "tau2":
            rows = {label: np.sqrt(own) for label, own in rows.items()}
            # A few places with a large tau would leave no colours for the others.
            known = np.concatenate([np.empty(0), *(own[np.isfinite(own)] for own in rows.values())])
            highest = float(np.percentile(known, _COLOURED)) if known.any() else 0.0
            highest = highest or float(known.max(initial=0.0))
            more = f" The last colour is {highest:.3g} and more."
        else:
            highest, more = 100.0, ""
        for label, own in rows.items():
            of = f" of the group {label}" if label else ""
            drawn = drawing.fit_map(own, highest, unit, f"{what}{of}.{more}")
            if drawn is not None:
                pictures.append(drawn)
    return pictures


def _charts(values: _Maps, many: str) -> list[Picture]:
    pictures = []
    for name, title, highest in (
        ("tau2", "τ, standard deviation between subjects", None),
        ("i_squared", "I², %", 100.0),
    ):
        for label, own in values.get(name, {}).items():
            row = np.sqrt(own) if name == "tau2" else own
            low, middle, high = np.nanpercentile(row, [25, 50, 75])
            what = f"{title}, {label}" if label else title
            text = f"{what}, over {many}: median {middle:.3g}, quartiles {low:.3g} and {high:.3g}."
            figure = draw_distribution(row, what, many, highest=highest)
            pictures.append(chart(figure, f"Histogram of {text}", text))
    return pictures


def _counted(counts: Mapping[str, NDArray[np.int64]], one: str, many: str) -> list[str]:
    """Return sentences on values that count as missing because of what is beside them."""
    words = {
        "outside": (
            "both the value and its variance are 0: {values} at {places}. Such a value is outside "
            "that subject's brain, and counts as missing"
        ),
        "unusable": (
            "a value has a variance or weight that is 0 or missing: {values} at {places}. Such "
            "values count as missing"
        ),
    }
    said = []
    for name, text in words.items():
        number = counts[name]
        if number.any():
            n_values, n_places = int(number.sum()), int(np.count_nonzero(number))
            found = text.format(
                values=f"{n_values:,} value{'' if n_values == 1 else 's'}",
                places=f"{n_places:,} {one if n_places == 1 else many}",
            )
            said.append(f"For some images, {found}.")
    return said


def _dominance(fit: Any, names: Sequence[str], one: str, many: str) -> list[str]:
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
            "Check their variances."
        )
    else:
        most = int(np.argmax(share))
        said.append(
            f"No image has more than half of the weight at any {one} with more than two images; "
            f"the most is {100 * share[most]:.0f}%, of {names[image[most]]}."
        )
    if isinstance(fit, MixedFit) and fit.errs.any():
        said.append(
            f"At {int(fit.errs.sum()):,} {many} there are fewer than {FEW_DF} degrees of freedom, "
            f"and the variances of the images differ more than {LARGE_RATIO}-fold: there even the "
            "test of Knapp and Hartung finds too much or too little."
        )
    return said
