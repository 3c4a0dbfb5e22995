# SPDX-License-Identifier: BSD-3-Clause
"""The words for a paper about maps that are made of maps: conjunctions, and pTFCE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.report import smoothness_words
from groupglm.report.methods import Methods, cited
from groupglm.report.redo import own_version
from groupglm.report.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.inference.random_fields.smoothness import Smoothness

__all__ = ["methods_of_conjunction", "methods_of_enhancement"]

_NICHOLS = (
    "Nichols T, Brett M, Andersson J, Wager T, Poline JB. Valid conjunction inference with the "
    "minimum statistic. NeuroImage. 2005;25(3):653-660."
)
_SPISAK = (
    "Spisak T, Spisak Z, Zunhammer M, Bingel U, Smith S, Nichols T, Kincses T. Probabilistic TFCE: "
    "a generalized combination of cluster size and voxel intensity to increase statistical power. "
    "NeuroImage. 2019;185:12-26."
)


def methods_of_conjunction(contrasts: Sequence[str], *, two_sided: bool) -> Methods:
    """Return what a conjunction of contrasts, or of maps, is."""
    signs = (
        "effects of both signs counted where all agree in theirs"
        if two_sided
        else "positive effects counted"
    )
    text = (
        f"The conjunction of {listed(contrasts, 40)} is the smallest of their z scores at each "
        f"place ({cited([_NICHOLS])}; groupglm {own_version()}); {signs}. Where it exceeds a "
        "threshold, every one of them does, so that the null hypothesis is that at least one of "
        "the effects is absent."
    )
    return Methods(text, (_NICHOLS,))


def methods_of_enhancement(contrast: str, smoothness: Smoothness, *, two_sided: bool) -> Methods:
    """Return what pTFCE did to the map of a contrast."""
    signs = "effects of both signs, each by itself" if two_sided else "positive effects"
    text = (
        f"The z scores of {contrast} were enhanced by the sizes of their clusters at all heights "
        f"(probabilistic threshold-free cluster enhancement, pTFCE; {cited([_SPISAK])}; groupglm "
        f"{own_version()}), for {signs}. {smoothness_words.for_paper(smoothness)}"
    )
    return Methods(text, (_SPISAK, *smoothness_words.references(smoothness)))
