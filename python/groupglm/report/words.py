# SPDX-License-Identifier: BSD-3-Clause
"""The report's sentences; every number in them is one of the results."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.runtime import rounding
from groupglm.runtime.naming import counted
from groupglm.spaces.wording import extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.peaks import Extreme
    from groupglm.report.data_quality import DataQuality
    from groupglm.report.findings import Finding, Peak

__all__ = [
    "beyond",
    "clusters",
    "headline",
    "listed",
    "place",
    "summary",
    "z_text",
]

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Join names as in a sentence; of a long list only the first ones."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def number(value: float, digits: int = 2) -> str:
    """Write a number with a true minus sign."""
    text = f"{value:.4g}" if abs(value) >= 1e9 else f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", MINUS)


def place(found: Peak | Extreme) -> str:
    """Return a place in the format of logs, but with a true minus sign."""
    return re.sub(r"-(?=\d)", MINUS, found.where)


def summary(group: FittedGroup, quality: DataQuality) -> str:
    """Return, in plain words, what was fitted, on how many images, with which design."""
    result, names = group.result, list(group.result.column_names)
    columns = (
        f"{len(names)} columns: {listed(names)}" if len(names) > 1 else f"one column, {names[0]}"
    )
    one, many = group.space.place_words
    missing = {
        "omit": f"left out {one} by {one}",
        "zero": "taken for zero",
        "intersect": f"reason to leave the {one} out",
        "raise": "refused",
    }[group.missing]
    n_missing = sum(image.n_missing for image in quality.images)
    if quality.at_places is None:  # the fit's counts say what was missing
        n_missing = int((len(group.images) - np.asarray(result.n_observations)).sum())
    gaps = f" Missing values were {missing} ({n_missing:,} in all)." if n_missing else ""
    return (
        f"At each of {group.space.n_values:,} {many}, the values of "
        f"{counted(len(group.images), *group.space.input_words)} "
        f"were explained by a linear model with {columns}, {result.words().plain}. "
        f"{_freedom(result.df_residual)}{gaps}"
    )


def _freedom(df: float | NDArray[Any]) -> str:
    if np.isinf(np.ravel(df)).all():
        return "Nothing is estimated of the error, whose variances are taken as known."
    return f"That leaves {rounding.span(df)} degrees of freedom for the error."


def headline(finding: Finding) -> str:
    """Return the finding of a contrast in one sentence."""
    if not finding.survived:
        if not math.isfinite(finding.threshold):
            missed = "no threshold controls the error rate asked for"
        elif finding.in_small_cluster:
            which = "the larger is" if finding.two_sided and all(finding.extremes) else "that is"
            limit = z_text(finding.threshold)
            missed = f"{which} {_too_small(finding)} (the threshold is {limit})"
        else:
            missed = f"the threshold is {z_text(finding.threshold)}"
        return f"Nothing survived. {strongest(finding)}; {missed}."
    return f"{clusters(finding)}. {strongest(finding)}."


def strongest(finding: Finding) -> str:
    """Return the strongest peak in words, of either sign if both were tested."""
    if not finding.two_sided:
        which = "smallest" if finding.threshold < 0 else "largest"
        return f"The {which} {peak(finding.top)}"
    told = [
        f"strongest {sign} z is {z_text(found.value)} at {place(found)}"
        for sign, found in zip(("positive", "negative"), finding.extremes, strict=True)
        if found is not None
    ]
    return f"The {', the '.join(told)}" if told else "Every z is 0"


def clusters(finding: Finding) -> str:
    """Return the numbers of surviving clusters, places, and places of either sign, in words."""
    count = finding.n_clusters
    number_of = "One cluster" if count == 1 else f"{count:,} clusters"
    n_places = int(np.count_nonzero(finding.survivors))
    sign = ""
    if finding.two_sided:
        n_below = int(np.count_nonzero(finding.survivors < 0))
        sign = f" ({n_places - n_below:,} with a positive effect, {n_below:,} with a negative one)"
    places = counted(n_places, *finding.space.place_words)
    if not finding.space.has_neighbours:
        return f"{places}{sign}"
    return f"{number_of}, {n_places:,} {finding.space.place_words[n_places != 1]}{sign}"


def rank(finding: Finding, found: Peak) -> str:
    """Return, in words, which peak it is; for one that did not survive, why."""
    if not finding.space.has_neighbours:
        one, _ = finding.space.place_words
        if not found.cluster:
            return f"{one} with the largest z, which did not survive"
        return f"{one} in row {found.cluster} of the table"
    if found.cluster:
        return f"peak of cluster {found.cluster}"
    if finding.in_small_cluster:
        return f"highest peak, {_too_small(finding)}"
    return "highest peak, which did not survive"


def _too_small(finding: Finding) -> str:
    size, least = extent(finding.top_size, finding.space), finding.least_size(finding.top.place)
    if least > finding.cluster_threshold:
        return (
            f"above the threshold in a cluster of {size}, fewer than the {least:.4g} from which on "
            "one is significant"
        )
    return f"above the threshold in a cluster of {size}, fewer than the {least:g} asked for"


def peak(found: Peak) -> str:
    """Return a peak's z and place as text."""
    return f"z = {z_text(found.z)} at {place(found)}"


def z_text(value: float) -> str:
    """Return a z in the format of tables and logs, but with a true minus sign."""
    return rounding.statistic(value).replace("-", MINUS).replace("inf", "\N{INFINITY}")


def beyond(threshold: float, *, two_sided: bool) -> str:
    """Return, as a formula, which z are beyond a threshold."""
    if two_sided:
        return f"|z| > {z_text(threshold)}"
    return f"z {'<' if threshold < 0 else '>'} {z_text(threshold)}"
