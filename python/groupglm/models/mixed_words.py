# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about mixed effects: estimators of tau2, tests, and their sources."""

from __future__ import annotations

from typing import NamedTuple

from groupglm.models.words import Words

__all__ = ["ESTIMATORS", "TESTS", "estimator_in_short", "words_of_mixed"]


class _Said(NamedTuple):
    text: str
    cited: str  # sources as (author, year), without brackets
    references: tuple[str, ...]


_VIECHTBAUER = (
    "Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects "
    "model. Journal of Educational and Behavioral Statistics. 2005;30(3):261-293."
)
_KNAPP = (
    "Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single "
    "covariate. Statistics in Medicine. 2003;22(17):2693-2710."
)
_HARTUNG = (
    "Hartung J, Knapp G. On tests of the overall treatment effect in meta-analysis with normally "
    "distributed responses. Statistics in Medicine. 2001;20(12):1771-1782."
)
_BECKMANN = (
    "Beckmann CF, Jenkinson M, Smith SM. General multilevel linear modeling for group analysis in "
    "FMRI. NeuroImage. 2003;20(2):1052-1063."
)
_WOOLRICH = (
    "Woolrich MW, Behrens TEJ, Beckmann CF, Jenkinson M, Smith SM. Multilevel linear modelling for "
    "FMRI group analysis using Bayesian inference. NeuroImage. 2004;21(4):1732-1747."
)
_DERSIMONIAN = (
    "DerSimonian R, Laird N. Meta-analysis in clinical trials. Controlled Clinical Trials. "
    "1986;7(3):177-188."
)
_PAULE = (
    "Paule RC, Mandel J. Consensus values and weighting factors. Journal of Research of the "
    "National Bureau of Standards. 1982;87(5):377-385."
)
_HEDGES = (
    "Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Orlando: Academic Press; 1985."
)

ESTIMATORS = {
    "reml": _Said("restricted maximum likelihood", "Viechtbauer, 2005", (_VIECHTBAUER,)),
    "ml": _Said("maximum likelihood", "Viechtbauer, 2005", (_VIECHTBAUER,)),
    "dersimonian-laird": _Said(
        "the method of DerSimonian and Laird", "DerSimonian, 1986", (_DERSIMONIAN,)
    ),
    "paule-mandel": _Said("the method of Paule and Mandel", "Paule, 1982", (_PAULE,)),
    "hedges": _Said("the method of Hedges and Olkin", "Hedges, 1985", (_HEDGES,)),
}
TESTS = {
    "knapp-hartung": _Said(
        "contrasts are tested by t and F on n - p degrees of freedom, with variances scaled by the "
        "weighted residual mean square",
        "Hartung, 2001; Knapp, 2003",
        (_HARTUNG, _KNAPP),
    ),
    "knapp-hartung-conservative": _Said(
        "contrasts are tested by t and F on n - p degrees of freedom, with variances scaled by the "
        "weighted residual mean square where that is above 1",
        "Hartung, 2001; Knapp, 2003",
        (_HARTUNG, _KNAPP),
    ),
    "t": _Said(
        "contrasts are tested by Wald's t and F on n - p degrees of freedom, as in FLAME 1",
        "Beckmann, 2003; Woolrich, 2004",
        (_BECKMANN, _WOOLRICH),
    ),
    "z": _Said(
        "contrasts are tested by Wald's z and chi-square, which take the variances as known",
        "Hedges, 1985",
        (_HEDGES,),
    ),
}


_IN_SHORT = {
    "reml": "REML",
    "ml": "ML",
    "dersimonian-laird": "DerSimonian-Laird",
    "paule-mandel": "Paule-Mandel",
    "hedges": "Hedges",
}


def estimator_in_short(tau2: str | float) -> str:
    """Return the name of an estimator as people write it, or the given value of tau2."""
    return _IN_SHORT[tau2] if isinstance(tau2, str) else f"tau2 = {tau2:g}"


def words_of_mixed(tau2: str | float, test: str, group_names: tuple[str, ...]) -> Words:
    """Return the words about an estimator, or a given value, of tau2, and a test."""
    start = (
        "fitted by mixed effects, which weigh each image by the inverse of its own variance plus "
        "the variance between images"
    )
    if group_names:
        start += f", one for each of the groups {', '.join(group_names)}"
    own = TESTS[test]
    if isinstance(tau2, str):
        how = ESTIMATORS[tau2]
        plain = f"{start}, estimated by {how.text}; {own.text}"
        references = {*how.references, *own.references}
        cited = f"{start}, estimated by {how.text} ({how.cited}); {own.text}"
    else:
        plain = cited = f"{start}, given as {tau2:g}; {own.text}"
        references = set(own.references)
    return Words(plain, f"{cited} ({own.cited})", tuple(sorted(references)))
