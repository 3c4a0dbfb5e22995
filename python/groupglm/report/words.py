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
    from groupglm.report.options import ReportOptions
    from groupglm.spaces.base import Space

__all__ = [
    "beyond",
    "clusters",
    "correction",
    "headline",
    "listed",
    "methods",
    "place",
    "references",
    "summary",
    "title",
    "z_text",
]

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

_REFERENCES = {
    "fdr": (
        "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful "
        "approach to multiple testing. J R Stat Soc B. 1995;57:289-300."
    ),
    "outliers": "Iglewicz B, Hoaglin DC. How to Detect and Handle Outliers. ASQC; 1993.",
    "vif": "Belsley DA, Kuh E, Welsch RE. Regression Diagnostics. New York: Wiley; 1980.",
}


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
        f"At each of {group.space.n_values:,} {many}, the values of {len(group.images)} images "
        f"were explained by a linear model with {columns}, {result.words().plain}. "
        f"{_freedom(result.df_residual)}{gaps}"
    )


def _freedom(df: float | NDArray[Any]) -> str:
    if np.isinf(np.ravel(df)).all():
        return "Nothing is estimated of the error, whose variances are taken as known."
    return f"That leaves {rounding.span(df)} degrees of freedom for the error."


def title(options: ReportOptions, *, two_sided: bool) -> str:
    """Return the title of a correction, for a test of one tail or of both."""
    if options.height_control == "fpr":
        return f"p < {options.alpha:g}, uncorrected"
    if options.height_control == "fdr":
        return f"False discovery rate {options.alpha:g}"
    if options.height_control == "bonferroni":
        return f"Familywise error rate {options.alpha:g}, by Bonferroni's correction"
    return f"{beyond(options.threshold, two_sided=two_sided)}, uncorrected"


def correction(options: ReportOptions, space: Space) -> str:
    """Return, in words, what the threshold controls and what it does not."""
    one, many = space.place_words
    sides = "two-sided" if options.two_sided else "one-sided"
    least = ""
    if options.cluster_threshold:
        least = (
            f" Clusters of fewer than {options.cluster_threshold} {space.unit} are left out, which "
            "does not by itself control any error rate."
        )
    if options.height_control == "fpr":
        text = (
            f"Each {one} is tested by itself at p < {options.alpha:g} ({sides}); nothing is "
            f"corrected for the number of {many}, so that some of what is shown is expected by "
            "chance."
        )
    elif options.height_control == "fdr":
        text = (
            f"The false discovery rate is controlled at {options.alpha:g} ({sides}): of the {many} "
            "shown, about that share is expected to be by chance."
        )
    elif options.height_control == "bonferroni":
        text = (
            f"The familywise error rate is controlled at {options.alpha:g} by Bonferroni's "
            f"correction ({sides}): the chance of any false {one} in a map is at most that."
        )
    else:
        text = (
            f"The threshold is z = {options.threshold:g} ({sides}), as given; nothing is corrected "
            f"for the number of {many}."
        )
    return text + least


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
    return f"{number_of}, {n_places:,} {finding.space.place_words[1]}{sign}"


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
    size = extent(finding.top_size, finding.space)
    return (
        f"above the threshold in a cluster of {size}, fewer than the {finding.cluster_threshold} "
        "asked for"
    )


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


def methods(
    group: FittedGroup,
    resolution: str,
    findings: Sequence[Sequence[Finding]],
    corrections: Sequence[ReportOptions],
    versions: dict[str, str],
) -> str:
    """Return a paragraph for a paper, numbers filled in; findings by contrast and correction."""
    result = group.result
    _, many = group.space.place_words
    fine = f" ({resolution})" if resolution else ""
    text = (
        f"Group analysis was a mass-univariate general linear model, "
        f"{result.words().cited} with groupglm {versions['groupglm']} (Python "
        f"{versions['Python']}, NumPy {versions['numpy']}, SciPy {versions['scipy']}). The effect "
        f"images of {len(group.images)} inputs{fine} were modelled at "
        f"{group.space.n_values:,} {many} with the regressors {listed(result.column_names, 40)}"
        f"{_residual_freedom(result.df_residual)}."
    )
    if findings:
        tests = listed(
            [f"{own[0].name} [{own[0].expression}; {own[0].result.degrees}]" for own in findings],
            40,
        )
        text += f" We tested {tests}. Statistics were turned into z scores of equal tail area."
        for own, options in zip(zip(*findings, strict=True), corrections, strict=True):
            text += f" {_threshold_for_paper(own, options, group.space)}"
    return text


def _residual_freedom(df: float | NDArray[Any]) -> str:
    if np.isinf(np.ravel(df)).all():
        return ""
    return f", leaving {rounding.span(df)} residual degrees of freedom"


def _threshold_for_paper(findings: Sequence[Finding], options: ReportOptions, space: Space) -> str:
    limits = sorted(
        {
            beyond(finding.threshold, two_sided=finding.two_sided)
            for finding in findings
            if math.isfinite(finding.threshold)
        }
    )
    how = {
        "fpr": f"at p < {options.alpha:g}, uncorrected for multiple comparisons",
        "fdr": f"at a false discovery rate of {options.alpha:g} (Benjamini and Hochberg, 1995)",
        "bonferroni": f"at a familywise error rate of {options.alpha:g} (Bonferroni)",
        None: "uncorrected for multiple comparisons",
    }[options.height_control]
    at = f" ({listed(limits)})" if limits else ""
    least = ""
    if options.cluster_threshold:
        least = f" and a cluster extent of at least {options.cluster_threshold} {space.unit}"
    return f"Maps were thresholded {how}{at}{least}; {_sides(findings)}."


def _sides(findings: Sequence[Finding]) -> str:
    """Return, in words, which tails were tested; F has one, which holds all directions."""
    of_t = {finding.two_sided for finding in findings if finding.result.stat_type == "t"}
    sides = "two-sided" if True in of_t else "one-sided"
    if not any(finding.result.stat_type == "F" for finding in findings):
        return f"tests were {sides}"
    of_f = "F tests have one tail, for effects of any direction"
    return f"t tests were {sides}, and {of_f}" if of_t else of_f


def references(group: FittedGroup, corrections: Sequence[ReportOptions]) -> list[str]:
    """Return the references of the methods and of the report."""
    uses_fdr = any(options.height_control == "fdr" for options in corrections)
    keys = ["vif", "outliers", *(["fdr"] if uses_fdr else [])]
    return [*group.result.words().references, *(_REFERENCES[key] for key in keys)]
