# SPDX-License-Identifier: BSD-3-Clause
"""Which effect sizes a model defines, and why not the others: `EffectSizeRules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from groupglm.errors import ArgumentError
from groupglm.messages import either

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from groupglm.models.base import Model

__all__ = [
    "OF_LEAST_SQUARES",
    "OF_MIXED",
    "OF_REPEATED",
    "OF_ROBUST",
    "OF_SANDWICH",
    "OF_UNEQUAL",
    "OF_WEIGHTS",
    "OF_Z",
    "UNKNOWN",
    "EffectSizeRules",
    "Standardises",
    "refuse_undefined",
    "refuse_units_of_d",
    "rules_of",
]


@dataclass(frozen=True)
class EffectSizeRules:
    """Which effect sizes a model defines: a text is why it does not define one.

    Parameters
    ----------
    cohen_d, hedges_g, partial_r, log_bayes_factor : str
        Why the model does not define it, and what to take instead; empty if it does. `partial_r`
        is about its square too.
    confidence_sets : str
        The same of spatial confidence sets, which flip the signs of images' residuals.
    references : mapping of str to tuple of str
        The sources of each of those that it defines, by its name.
    """

    cohen_d: str = ""
    hedges_g: str = ""
    partial_r: str = ""
    log_bayes_factor: str = ""
    confidence_sets: str = ""
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@runtime_checkable
class _HasRules(Protocol):
    """What models have that say something of effect sizes."""

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        ...


def rules_of(model: Model) -> EffectSizeRules:
    """Return which effect sizes a model defines."""
    return model.effect_size_rules if isinstance(model, _HasRules) else UNKNOWN


def refuse_undefined(model: Model, output: str) -> None:
    """Refuse an output of `compute_contrast` that the model does not define."""
    family = output.partition("_ci_")[0].replace("partial_r2", "partial_r")
    why = getattr(rules_of(model), family, "")
    if why:
        raise ArgumentError.about(
            "output_type", f"{output!r} is not defined for the model {model.kind!r}: " + why
        )


def refuse_units_of_d(model: Model) -> None:
    """Refuse bounds of equivalence in units of Cohen's d if the model defines none."""
    why = rules_of(model).cohen_d
    if why:
        raise ArgumentError.about(
            "units",
            f"bounds in units of Cohen's d need a d, which the model {model.kind!r} does not "
            "define: " + why,
            "give the bounds in units of the data" + either(", units='effect'", ", without :d"),
        )


@runtime_checkable
class Standardises(Protocol):
    """What a fit has whose Cohen's d does not divide by `residual_sd`."""

    def standardiser(self, contrast: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what Cohen's d of a contrast, (n_columns,), divides by, shape (n_values,)."""
        ...


_INTERVAL = either("'ci_low' and 'ci_high'", "'ci'")
_ONE_VARIANCE = (
    "the JZS Bayes factor is defined for one residual variance, which least squares alone "
    "estimates; fit the model 'ols' for it"
)
_KNOWN = (
    "its test is z: it takes the variances of the images as known, and estimates no standard "
    "deviation of subjects; take " + _INTERVAL + ", or fit mixed effects with a test by t"
)
_OF_SUBJECTS = (
    "images of a subject are not independent, but their residuals would be flipped one by one; fit "
    "the model 'ols' to one image a subject, such as the mean of its images"
)
_BY_SUM = (
    "the correction of g needs the degrees of freedom of a sum of variances, which the model does "
    "not estimate; take 'cohen_d'"
)

UNKNOWN = EffectSizeRules(
    *("the model does not say how it is defined; take " + _INTERVAL,) * 4,
    confidence_sets="the model does not say how; fit the model 'ols'",
)

_COHEN = (
    "Cohen J. Statistical power analysis for the behavioral sciences. 2nd ed. Hillsdale: Erlbaum; "
    "1988."
)
_HEDGES = (
    "Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. "
    "Journal of Educational Statistics. 1981;6(2):107-128."
)
_STEIGER = (
    "Steiger JH. Beyond the F test: effect size confidence intervals and tests of close fit in the "
    "analysis of variance and contrast analysis. Psychological Methods. 2004;9(2):164-182."
)
_ROUDER = (
    "Rouder JN, Speckman PL, Sun D, Morey RD, Iverson G. Bayesian t tests for accepting and "
    "rejecting the null hypothesis. Psychonomic Bulletin & Review. 2009;16(2):225-237.",
    "Rouder JN, Morey RD. Default Bayes factors for model selection in regression. Multivariate "
    "Behavioral Research. 2012;47(6):877-903.",
)
_BONETT = (
    "Bonett DG. Confidence intervals for standardized linear contrasts of means. Psychological "
    "Methods. 2008;13(2):99-109."
)
_DELACRE = (
    "Delacre M, Lakens D, Ley C, Liu L, Leys C. Why Hedges' g*s based on the non-pooled standard "
    "deviation should be reported with Welch's t-test. PsyArXiv; 2021."
)
_CLUSTERED = (
    "Hedges LV. Effect sizes in cluster-randomized designs. Journal of Educational and Behavioral "
    "Statistics. 2007;32(4):341-370."
)
_HIGGINS = (
    "Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Statistics in "
    "Medicine. 2002;21(11):1539-1558."
)
_EDWARDS = (
    "Edwards LJ, Muller KE, Wolfinger RD, Qaqish BF, Schabenberger O. An R2 statistic for fixed "
    "effects in the linear mixed model. Statistics in Medicine. 2008;27(29):6137-6157."
)
_WESTFALL = (
    "Westfall J, Kenny DA, Judd CM. Statistical power and optimal design in experiments in which "
    "samples of participants respond to samples of stimuli. Journal of Experimental Psychology: "
    "General. 2014;143(5):2020-2045."
)

OF_LEAST_SQUARES = EffectSizeRules(
    references={
        "cohen_d": (_COHEN, _STEIGER),
        "hedges_g": (_HEDGES, _STEIGER),
        "partial_r": (_COHEN, _STEIGER),
        "log_bayes_factor": _ROUDER,
    },
)

_OF_WEIGHT = (
    "the standard deviation of an image depends on its weight, so that there is no common one to "
    "divide by; take 'partial_r', or leave weights out"
)
OF_WEIGHTS = EffectSizeRules(
    cohen_d=_OF_WEIGHT,
    hedges_g=_OF_WEIGHT,
    log_bayes_factor=_ONE_VARIANCE,
    references={"partial_r": (_COHEN, _STEIGER)},
)

OF_UNEQUAL = EffectSizeRules(
    partial_r="it is a share of one residual variance, and each group has its own; take 'cohen_d'",
    log_bayes_factor=_ONE_VARIANCE,
    references={
        "cohen_d": (_BONETT, _DELACRE, _STEIGER),
        "hedges_g": (_HEDGES, _DELACRE, _STEIGER),
    },
)

OF_MIXED = EffectSizeRules(
    hedges_g=_BY_SUM,
    partial_r="in mixed effects the share of variance that is explained is one of tau2, which is "
    "not the square of a partial correlation; take 'cohen_d'",
    log_bayes_factor=_ONE_VARIANCE,
    references={"cohen_d": (_CLUSTERED, _HIGGINS, _STEIGER)},
)

OF_REPEATED = EffectSizeRules(
    hedges_g=_BY_SUM,
    log_bayes_factor=_ONE_VARIANCE,
    confidence_sets=_OF_SUBJECTS,
    references={
        "cohen_d": (_CLUSTERED, _WESTFALL, _STEIGER),
        "partial_r": (_EDWARDS, _STEIGER),
    },
)

_NO_VARIANCE = (
    "a sandwich of subjects assumes no common variance of images, so that nothing is there to "
    "divide by; take " + _INTERVAL + ", or a random intercept"
)
OF_SANDWICH = EffectSizeRules(_NO_VARIANCE, _NO_VARIANCE, _NO_VARIANCE, _ONE_VARIANCE, _OF_SUBJECTS)

_NO_SD = (
    "the scale of robust regression tells how precise its coefficients are, and is no standard "
    "deviation of the images, of which it counts some less; take "
    + _INTERVAL
    + ", or fit the model 'ols'"
)
OF_ROBUST = EffectSizeRules(
    _NO_SD,
    _NO_SD,
    "it is a share of a sum of squares, which robust regression does not make smallest; take "
    + _INTERVAL
    + ", or fit the model 'ols'",
    _ONE_VARIANCE,
    "the residuals of images that it does not count would be flipped too; fit the model 'ols'",
)

OF_Z = EffectSizeRules(_KNOWN, _KNOWN, _KNOWN, _ONE_VARIANCE)
