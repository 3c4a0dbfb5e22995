# SPDX-License-Identifier: BSD-3-Clause
"""The report's sentences about corrections: what a threshold controls, and what survived it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from groupglm.inference.random_fields.map_field import left_out_in_words
from groupglm.report.words import beyond, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.report.findings import Finding
    from groupglm.report.options import ReportOptions
    from groupglm.spaces.base import Space

__all__ = ["correction", "explanation", "for_paper", "references", "shown_where", "title"]

_REFERENCES = {
    "fdr": (
        "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful "
        "approach to multiple testing. J R Stat Soc B. 1995;57:289-300.",
    ),
    "bonferroni": (
        "Dunn OJ. Multiple comparisons among means. J Am Stat Assoc. 1961;56(293):52-64.",
    ),
}
_WORSLEY = (
    "Worsley KJ, Marrett S, Neelin P, Vandal AC, Friston KJ, Evans AC. A unified statistical "
    "approach for determining significant signals in images of cerebral activation. Hum Brain "
    "Mapp. 1996;4(1):58-73."
)
_CLUSTERS = (
    "Friston KJ, Worsley KJ, Frackowiak RSJ, Mazziotta JC, Evans AC. Assessing the significance of "
    "focal activations using their spatial extent. Hum Brain Mapp. 1994;1(3):210-220."
)
_SETS = (
    "Friston KJ, Holmes A, Poline JB, Price CJ, Frith CD. Detecting activations in PET and fMRI: "
    "levels of inference and power. NeuroImage. 1996;4(3):223-235."
)
_CLUSTER_FDR = (
    "Chumbley JR, Friston KJ. False discovery rate revisited: FDR and topological inference using "
    "Gaussian random fields. NeuroImage. 2009;44(1):62-70."
)
_PEAK_FDR = (
    "Chumbley J, Worsley K, Flandin G, Friston K. Topological FDR for neuroimaging. NeuroImage. "
    "2010;49(4):3057-3064."
)


def title(options: ReportOptions, *, two_sided: bool) -> str:
    """Return the title of a correction, for a test of one tail or of both."""
    control, alpha = options.height_control, options.alpha
    if control == "fpr":
        return f"p < {alpha:g}, uncorrected"
    if control == "fdr":
        return f"False discovery rate {alpha:g}"
    if control == "bonferroni":
        return f"Familywise error rate {alpha:g}, by Bonferroni's correction"
    if control == "rft":
        return f"Familywise error rate {alpha:g}, by random field theory"
    if control == "cluster-rft":
        return (
            f"Familywise error rate {alpha:g} of clusters formed at "
            f"p < {options.cluster_forming_p:g}, by random field theory"
        )
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
    elif options.height_control == "rft":
        text = (
            f"The familywise error rate is controlled at {options.alpha:g} by random field theory "
            f"({sides}): the chance of any false {one} in a map is at most that, if errors are "
            "normal and as smooth as estimated."
        )
    elif options.height_control == "cluster-rft":
        text = (
            f"Clusters are formed at p < {options.cluster_forming_p:g} of a {one} ({sides}), and "
            "shown where they are larger than those of noise. The familywise error rate is "
            f"controlled at {options.alpha:g} by random field theory: the chance of any false "
            "cluster in a map is about that, if errors are normal and as smooth everywhere as "
            f"estimated. There is an effect within such a cluster, but not at each of its {many}."
        )
    else:
        text = (
            f"The threshold is z = {options.threshold:g} ({sides}), as given; nothing is corrected "
            f"for the number of {many}."
        )
    return text + least


def explanation(finding: Finding) -> str:
    """Return a sentence on what the correction left out; empty if it is nothing."""
    if not finding.n_left_out:
        return ""
    said = left_out_in_words(finding.n_left_out, finding.space.place_words)
    return f"{said[:1].upper()}{said[1:]}."


def shown_where(finding: Finding) -> str:
    """Return, as a formula and in words, where a map shows values."""
    if not math.isfinite(finding.threshold):
        return "no threshold controls the error rate asked for"
    sizes = _sizes(finding)
    at = beyond(finding.threshold, two_sided=finding.two_sided)
    return f"{at}, in clusters of at least {sizes}" if sizes else at


def _sizes(finding: Finding) -> str:
    """Return the sizes from which on clusters are significant; empty if these are not tested."""
    sizes = finding.cluster_sizes
    units = {part.name: part.unit for part in finding.space.parts}
    least = float(finding.cluster_threshold)
    return listed(
        [
            f"{max(size, least):.4g} {units.get(name, finding.space.unit)}"
            + (f" ({name})" if len(sizes) > 1 else "")
            for name, size in sizes.items()
        ]
        or [""]
    )


def for_paper(findings: Sequence[Finding], options: ReportOptions, space: Space) -> str:
    """Return a correction of all contrasts as a sentence of a paper."""
    limits = sorted(
        {
            beyond(finding.threshold, two_sided=finding.two_sided)
            for finding in findings
            if math.isfinite(finding.threshold)
        }
    )
    at = f" ({listed(limits)})" if limits else ""
    least = ""
    if options.cluster_threshold:
        least = f" and a cluster extent of at least {options.cluster_threshold} {space.unit}"
    if options.height_control == "cluster-rft":
        return f"{_clusters_for_paper(findings, options, at, least)}; {_sides(findings)}."
    how = {
        "fpr": f"at p < {options.alpha:g}, uncorrected for multiple comparisons",
        "fdr": f"at a false discovery rate of {options.alpha:g} (Benjamini and Hochberg, 1995)",
        "bonferroni": f"at a familywise error rate of {options.alpha:g} (Bonferroni; Dunn, 1961)",
        "rft": f"at a familywise error rate of {options.alpha:g} by random field theory of peaks "
        "(Worsley and others, 1996)",
        None: "uncorrected for multiple comparisons",
    }[options.height_control]
    return f"Maps were thresholded {how}{at}{least}; {_sides(findings)}."


def _clusters_for_paper(
    findings: Sequence[Finding], options: ReportOptions, at: str, least: str
) -> str:
    sizes: dict[str, str] = {}  # and at which height
    for finding in findings:
        if own := _sizes(finding):
            sizes.setdefault(own, beyond(finding.threshold, two_sided=finding.two_sided))
    several = len(sizes) > 1
    parts = [f"{own} ({height})" if several else own for own, height in sizes.items()]
    from_on = f", which clusters of at least {' or of at least '.join(parts)} pass" if sizes else ""
    return (
        f"Clusters formed at p < {options.cluster_forming_p:g}{at}{least} were tested by their "
        f"size at a familywise error rate of {options.alpha:g} by random field theory (Friston and "
        f"others, 1994){from_on}"
    )


def _sides(findings: Sequence[Finding]) -> str:
    """Return, in words, which tails were tested; F has one, which holds all directions."""
    of_t = {finding.two_sided for finding in findings if finding.result.stat_type == "t"}
    sides = "two-sided" if True in of_t else "one-sided"
    if not any(finding.result.stat_type == "F" for finding in findings):
        return f"tests were {sides}"
    of_f = "F tests have one tail, for effects of any direction"
    return f"t tests were {sides}, and {of_f}" if of_t else of_f


def of_tables(corrections: Sequence[ReportOptions]) -> str:
    """Return the sentence of a paper about p-values of random field theory in tables."""
    if not any(own.by_fields for own in corrections):
        return ""
    return (
        "Tables give familywise p-values of peaks (Worsley and others, 1996), of clusters by their "
        "size (Friston and others, 1994) and of the set of clusters (Friston and others, 1996), "
        "and topological false discovery rates of clusters (Chumbley and Friston, 2009) and peaks "
        "(Chumbley and others, 2010)."
    )


def references(corrections: Sequence[ReportOptions]) -> list[str]:
    """Return the references of corrections."""
    found = [
        reference
        for control in dict.fromkeys(own.height_control for own in corrections)
        for reference in _REFERENCES.get(str(control), ())
    ]
    if any(own.by_fields for own in corrections):
        found += [_WORSLEY, _CLUSTERS, _SETS, _CLUSTER_FDR, _PEAK_FDR]
    return found
