# SPDX-License-Identifier: BSD-3-Clause
"""The report's sentences about permutation tests; every number is one of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.report.words import clusters, listed, peak
from groupglm.runtime.rounding import p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.report.permutation_test import PermutationTest
    from groupglm.report.permuted_findings import PermutedFinding

__all__ = ["explanation", "headline", "methods", "references", "shown_where", "title"]

_KINDS = {
    "size": "cluster sizes",
    "mass": "cluster masses",
    "tfce": "threshold-free cluster enhancement",
}
_MAXIMA = {
    "size": "size of a cluster",
    "mass": "mass of a cluster",
    "tfce": "enhanced statistic",
}
_REFERENCES = {
    "lane": (
        "Freedman D, Lane D. A nonstochastic interpretation of reported significance levels. "
        "J Bus Econ Stat. 1983;1:292-298."
    ),
    "maxima": (
        "Nichols TE, Holmes AP. Nonparametric permutation tests for functional neuroimaging: a "
        "primer with examples. Hum Brain Mapp. 2002;15:1-25."
    ),
    "glm": (
        "Winkler AM, Ridgway GR, Webster MA, Smith SM, Nichols TE. Permutation inference for the "
        "general linear model. NeuroImage. 2014;92:381-397."
    ),
    "tfce": (
        "Smith SM, Nichols TE. Threshold-free cluster enhancement: addressing problems of "
        "smoothing, threshold dependence and localisation in cluster inference. NeuroImage. "
        "2009;44:83-98."
    ),
}


def title(finding: PermutedFinding) -> str:
    """Return the title of a permutation test's result."""
    return f"Permutation test of {_KINDS.get(finding.kind, finding.space.place_words[1])}"


def shown_where(finding: PermutedFinding) -> str:
    """Return, in words, where the map shows values."""
    return f"corrected p < {finding.test.alpha:g}"


def headline(finding: PermutedFinding) -> str:
    """Return the finding of a permutation test in one sentence."""
    smallest = f"the smallest corrected p is {p_value(finding.smallest_p)}"
    if not finding.survived:
        return f"Nothing survived: {smallest}, of {peak(finding.top)}."
    return f"{clusters(finding)}; {smallest}, of {peak(finding.top)}."


def _maximum(finding: PermutedFinding) -> str:
    return _MAXIMA.get(finding.kind, f"statistic of a {finding.space.place_words[0]}")


def _tails(test: PermutationTest) -> str:
    return "both tails" if test.two_sided else "the positive tail"


def _rearranged(test: PermutationTest) -> str:
    if test.is_bootstrap:
        return "samples of a wild bootstrap"
    if test.sign_flip is None:
        return "permutations"
    return "sign flips" if test.sign_flip else "permutations of images"


def explanation(finding: PermutedFinding) -> str:
    """Return, in words, what was permuted and what the corrected p means."""
    test, (one, many) = finding.test, finding.space.place_words
    formed = ""
    if finding.kind in ("size", "mass") and test.cluster_p is not None:
        formed = f" Clusters were formed at p < {test.cluster_p:g} of a {one}."
    within = "" if finding.kind == "voxel" else (
        f" It says that there is an effect within a cluster or around a {one}, not at which {many}."
    )  # fmt: skip
    return (
        f"{test.n_permutations:,} {_rearranged(test)}, {_tails(test)}. "
        f"{test.assumption + ' ' if test.assumption else ''}The corrected p is how "
        f"often the largest {_maximum(finding)} in the mask was at least as large, which "
        f"controls the familywise error rate: shown where it is below {test.alpha:g}.{formed}"
        f"{within}"
    )


def methods(findings: Sequence[PermutedFinding]) -> str:
    """Return the sentences of a paper about permutation tests."""
    said: dict[str, list[str]] = {}
    for finding in findings:
        test = finding.test
        how = (
            f"{test.n_permutations:,} {_rearranged(test)} ({_tails(test)}; familywise error rate "
            f"{test.alpha:g} by the distribution of the largest {_maximum(finding)}"
        )
        if finding.kind in ("size", "mass") and test.cluster_p is not None:
            how += f", clusters formed at p < {test.cluster_p:g}"
        said.setdefault(f"{how})", []).append(finding.name)
    tests = [f"{listed(names, 40)} with {how}" for how, names in said.items()]
    return (
        f"By permutation (Freedman and Lane, 1983; Nichols and Holmes, 2002; Winkler and others, "
        f"2014) we tested {'; '.join(tests)}."
    )


def references(findings: Sequence[PermutedFinding]) -> list[str]:
    """Return the references of permutation tests."""
    if not findings:
        return []
    keys = ["lane", "maxima", "glm"]
    if any(finding.kind == "tfce" for finding in findings):
        keys.append("tfce")
    return [_REFERENCES[key] for key in keys]
