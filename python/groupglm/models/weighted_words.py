# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about models that weigh images: weights, covariates, fixed effects."""

from __future__ import annotations

from groupglm.models.words import Words

__all__ = ["GIVENS", "words_of_fixed", "words_of_weighted"]

GIVENS = (
    "Miller AJ. Algorithm AS 274: least squares routines to supplement those of Gentleman. Applied "
    "Statistics. 1992;41:458-478."
)
_AITKEN = (
    "Aitken AC. On least squares and linear combination of observations. Proceedings of the Royal "
    "Society of Edinburgh. 1936;55:42-48."
)
_COVARIATES = (
    "Oakes TR, Fox AS, Johnstone T, Chung MK, Kalin N, Davidson RJ. Integrating VBM into the "
    "general linear model with voxelwise anatomical covariates. NeuroImage. 2007;34:500-508."
)
_FIXED = "Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Orlando: Academic Press; 1985."


def words_of_weighted(beside: tuple[str, ...]) -> Words:
    """Return the words about least squares with what lies beside the images."""
    plain, cited, references = "fitted by least squares", "fitted by least squares", [GIVENS]
    if "weight" in beside:
        plain = "fitted by weighted least squares"
        cited = f"{plain} (Aitken, 1936)"
        references = [_AITKEN, *references]
    if "covariate" in beside:
        plain += " with covariates that differ from place to place"
        cited += " with covariates that differ from place to place (Oakes, 2007)"
        references = [*references, _COVARIATES]
    return Words(plain, f"{cited}, by rotations (Miller, 1992)", tuple(references))


def words_of_fixed() -> Words:
    """Return the words about fixed effects."""
    plain = (
        "fitted by fixed effects, which weigh each image by the inverse of its variance and speak "
        "of these images only"
    )
    return Words(plain, f"{plain} (Hedges, 1985; Miller, 1992)", (_FIXED, GIVENS))
