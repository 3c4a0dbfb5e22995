# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about the sandwich estimator."""

from __future__ import annotations

from groupglm.models.words import Words

__all__ = ["words_of_sandwich"]

_LIANG = (
    "Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika. "
    "1986;73(1):13-22."
)
_GUILLAUME = (
    "Guillaume B, Hua X, Thompson PM, Waldorp L, Nichols TE. Fast and accurate modelling of "
    "longitudinal and repeated measures neuroimaging data. NeuroImage. 2014;94:287-302."
)
_BELL = (
    "Bell RM, McCaffrey DF. Bias reduction in standard errors for linear regression with "
    "multi-stage samples. Survey Methodology. 2002;28(2):169-181."
)
_TIPTON = (
    "Tipton E, Pustejovsky JE. Small-sample adjustments for tests of moderators and model fit "
    "using robust variance estimation in meta-regression. Journal of Educational and Behavioral "
    "Statistics. 2015;40(6):604-634."
)
_THESIS = (
    "Guillaume B. Accurate non-iterative modelling and inference of longitudinal neuroimaging "
    "data. PhD thesis, University of Liege; 2015."
)

_ADJUSTED = {
    "0": "of residuals as they are",
    "1": "of residuals times the root of n / (n - p)",
    "2": "of residuals over the root of one less their leverage",
    "3": "of residuals over one less their leverage",
    "C2": "of each subject's residuals, whitened by their covariance if images were independent "
    "(Bell, 2002)",
    "C3": "of each subject's residuals, times the inverse of their covariance if images were "
    "independent (Bell, 2002)",
}

_RULES = {
    "satterthwaite": (
        "Satterthwaite's degrees of freedom for the images present (Bell, 2002; for several rows "
        "Tipton, 2015)",
        (_BELL, _TIPTON),
    ),
    "naive": (
        "the number of subjects less the coefficients between subjects as degrees of freedom "
        "(Guillaume, 2014)",
        (),
    ),
    "approximate-1": (
        "degrees of freedom from the share of each {unit} in the variance (Guillaume, 2014)",
        (),
    ),
    "approximate-2": (
        "degrees of freedom from an unbiased estimate of the variance of the visits' covariances "
        "(Guillaume, 2015)",
        (_THESIS,),
    ),
    "approximate-3": (
        "degrees of freedom from the variance of the visits' covariances, missing visits included "
        "(Guillaume, 2015)",
        (_THESIS,),
    ),
}


def words_of_sandwich(adjustment: str, df: str, homogeneous: bool) -> Words:
    """Return how a report speaks of the sandwich estimator."""
    which = "of the visits within each group of subjects" if homogeneous else "within subjects"
    plain = (
        "fitted by ordinary least squares, with variances by a sandwich estimator that allows any "
        f"covariance {which}"
    )
    rule, sources = _RULES[df]
    rule = rule.format(unit="group" if homogeneous else "subject")
    blocks = (_BELL,) if adjustment in ("C2", "C3") else ()
    return Words(
        plain=plain,
        cited=(
            f"{plain} (Liang, 1986; Guillaume, 2014), {_ADJUSTED[adjustment]}; contrasts have "
            f"{rule}"
        ),
        references=tuple(sorted({_LIANG, _GUILLAUME, *sources, *blocks})),
    )
