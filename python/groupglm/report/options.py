# SPDX-License-Identifier: BSD-3-Clause
"""The user's options of a report, checked: `ReportOptions`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np

from groupglm.atlases.atlas import Atlas
from groupglm.atlases.finding import as_atlas
from groupglm.design.hypotheses import Hypothesis, read_hypothesis
from groupglm.errors import ArgumentError, printable, shown, warn_caller
from groupglm.inference.arguments import check_probability
from groupglm.inference.thresholded_map import BY_FIELDS, FORMING_P, HeightControl
from groupglm.messages import text_of
from groupglm.runtime.arguments import (
    check_choice,
    check_text,
    check_truth,
    real_number,
    whole_number,
)

__all__ = [
    "HeightControl",
    "PlotType",
    "ReportOptions",
    "check_corrections",
    "named_contrasts",
]

PlotType: TypeAlias = Literal["slice", "glass"]

DEFAULT_THRESHOLD, DEFAULT_ALPHA = 3.09, 0.001

_CONTROLS = ("fpr", "fdr", "bonferroni", *BY_FIELDS, None)


@dataclass(frozen=True, eq=False)
class ReportOptions:
    """The user's options of a report; the parameters are those of ``generate_report``.

    Those of pictures are checked by `groupglm.report.drawing.checked_views`.
    """

    title: str | None
    bg_img: Any
    threshold: float
    alpha: float
    cluster_threshold: int
    height_control: HeightControl | None
    min_distance: float
    plot_type: PlotType
    display_mode: Any
    two_sided: bool
    cut_coords: Any
    atlas: Atlas | None = None
    cluster_forming_p: float = FORMING_P

    @property
    def by_fields(self) -> bool:
        """Whether the threshold is that of random field theory, which needs the smoothness."""
        return self.height_control in BY_FIELDS

    @classmethod
    def check(cls, **given: Any) -> ReportOptions:
        """Refuse wrong values, and warn of options without effect."""
        check_text("title", given["title"])
        check_choice("height_control", given["height_control"], _CONTROLS)
        given["two_sided"] = check_truth("two_sided", given["two_sided"])
        given["cluster_forming_p"] = _checked_forming_p(given)
        _check_thresholds(given)
        return cls(**given)


def check_corrections(given: Mapping[str, Any]) -> tuple[ReportOptions, ...]:
    """Return the checked options of each correction that was asked for."""
    atlas = given["atlas"]
    given = {**given, "atlas": None if atlas is None else as_atlas(atlas)}  # loaded once
    controls = given["height_control"]
    if not isinstance(controls, list | tuple):
        return (ReportOptions.check(**given),)
    levels = _one_for_each("alpha", given["alpha"], len(controls))
    forming = _one_for_each("cluster_forming_p", given.get("cluster_forming_p"), len(controls))
    found, pairs = [], []
    for control, alpha, forming_p in zip(controls, levels, forming, strict=True):
        own = {**given, "height_control": control, "alpha": alpha}
        # It has an effect on others of the list.
        several = "cluster-rft" in controls and control != "cluster-rft"
        own["cluster_forming_p"] = None if several else forming_p
        pairs.append((control, alpha, own["cluster_forming_p"]))
        if None in controls:  # each of alpha and threshold has an effect on other corrections
            own |= {"alpha": DEFAULT_ALPHA} if control is None else {"threshold": DEFAULT_THRESHOLD}
        found.append(ReportOptions.check(**own))
    if len(set(pairs)) < len(pairs):
        raise ArgumentError.about(
            "height_control",
            "height_control and alpha hold a correction twice: "
            f"{[(control, alpha) for control, alpha, _ in pairs]}",
        )
    return tuple(found)


def _one_for_each(name: str, given: Any, n_corrections: int) -> list[Any]:
    """Return a value for each correction, of which there must be one."""
    several = isinstance(given, list | tuple | np.ndarray)
    values = list(given) if several else [given] * n_corrections
    if not n_corrections or len(values) != n_corrections:
        raise ArgumentError(
            "height_control",
            f"{n_corrections} corrections and {name} {len(values)} levels",
            remedy="give at least one correction, and one level for all or one for each",
            verb="has",
        )
    return values


def _checked_forming_p(given: Mapping[str, Any]) -> float:
    """Return the p at which places form clusters; warn if there are none to be formed."""
    p = given.get("cluster_forming_p")
    if p is None:
        return FORMING_P
    if given["height_control"] != "cluster-rft":
        warn_caller(
            f"cluster_forming_p={shown(p)} has no effect: only height_control='cluster-rft' uses it"
        )
    return check_probability("cluster_forming_p", p)


def _check_thresholds(given: dict[str, Any]) -> None:
    control = given["height_control"]
    alpha = real_number("alpha", given["alpha"])
    if not 0 <= alpha < 1:
        raise ArgumentError(
            "alpha",
            str(alpha),
            remedy=(
                "it is a probability, between 0 and 1; a threshold of z is given as threshold "
                "with height_control=None"
            ),
        )
    if given["threshold"] is None:
        given["threshold"] = DEFAULT_THRESHOLD
    threshold = real_number("threshold", given["threshold"], infinite=True)
    if threshold == 0 or (threshold < 0 and given["two_sided"]):
        raise ArgumentError(
            "threshold",
            str(threshold),
            remedy=(
                "it is a z score and must be above zero, or below zero for negative effects with "
                "two_sided=False"
            ),
        )
    if control is not None and threshold != DEFAULT_THRESHOLD:
        warn_caller(
            f"threshold={threshold} is only used when height_control is None: "
            f"height_control={control!r} sets the threshold by alpha; give height_control=None to "
            "use it"
        )
    if control is None and math.isinf(threshold):
        warn_caller(
            "threshold is infinite, as that of a false discovery rate is where there is no "
            "discovery: no finite value survives it"
        )
    if control is None and alpha != DEFAULT_ALPHA:
        warn_caller(
            f"alpha={alpha} has no effect with height_control=None: the threshold is z = "
            f"{threshold}; give height_control='fpr', 'fdr', 'bonferroni' or 'rft' to use it"
        )
    extent = whole_number("cluster_threshold", given["cluster_threshold"], least=0)
    distance = real_number("min_distance", given["min_distance"])
    if distance < 0:
        raise ArgumentError("min_distance", str(distance), "a distance in mm, zero or more")
    given.update(alpha=alpha, threshold=threshold, cluster_threshold=extent, min_distance=distance)


def named_contrasts(contrasts: Any, columns: list[str]) -> dict[str, Hypothesis]:
    """Return each contrast as numbers, with the constant that it is tested against, by its name."""
    if contrasts is None:
        return {}
    if isinstance(contrasts, Mapping):
        if not contrasts:
            raise ArgumentError(
                "contrasts", "an empty mapping", remedy="give at least one contrast, or None"
            )
        return {str(name): _read(str(name), item, columns) for name, item in contrasts.items()}
    found: dict[str, Hypothesis] = {}
    for item in _items(contrasts):
        own = _read(shown(item), item, columns)
        name = item if isinstance(item, str) else own.in_words(columns)
        if name in found and not np.array_equal(found[name].weights, own.weights):
            name = f"{name} ({len(found) + 1})"  # weights that differ only in later digits
        found[name] = own
    return found


def _items(contrasts: Any) -> list[Any]:
    if isinstance(contrasts, str | np.ndarray) or not isinstance(contrasts, list | tuple):
        return [contrasts]
    if len(contrasts) == 0:
        raise ArgumentError(
            "contrasts", "empty", remedy="give at least one contrast, or None for none"
        )
    if any(isinstance(item, Real) for item in contrasts):
        return [contrasts]
    return list(contrasts)


def _read(name: str, contrast: Any, columns: list[str]) -> Hypothesis:
    try:
        own = read_hypothesis(contrast, columns)
    except ArgumentError as error:
        words = f"contrast {printable(name)}: " + text_of(error)
        raise type(error).about("contrasts", words) from error
    if own.weights.ndim == 2 and len(own.weights) == 1:
        return replace(own, weights=own.weights[0])
    return own
