# SPDX-License-Identifier: BSD-3-Clause
"""The paragraph on methods: what was done, in the words of a paper, and its references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.group.resampling import resampling_in_words
from groupglm.models.effect_size_rules import rules_of
from groupglm.report import correction_words, permuted_words, smoothness_words
from groupglm.report.methods import Methods, cited
from groupglm.report.sets_section import references_of_sets, sets_for_paper
from groupglm.report.words import listed
from groupglm.runtime import rounding
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.contrast_results import ContrastResults
    from groupglm.report.drawing import Drawing
    from groupglm.report.request import Request

__all__ = ["methods_of"]

_OF_PAGE = (
    "Belsley DA, Kuh E, Welsch RE. Regression Diagnostics. New York: Wiley; 1980.",
    "Iglewicz B, Hoaglin DC. How to Detect and Handle Outliers. ASQC; 1993.",
)
"""Of what the page says of the design and of the images."""

_MOST = 40


def methods_of(
    drawing: Drawing,
    contrasts: Sequence[ContrastResults],
    request: Request,
    versions: dict[str, str],
) -> Methods:
    """Return the paragraph for a paper, numbers filled in, and the references."""
    group, corrections = drawing.group, request.corrections
    parts = [_fit(drawing, versions)]
    references = [*group.result.words().references, *_OF_PAGE]
    if contrasts:
        tests = [
            f"{own.name} [{own.findings[0].expression}; {own.findings[0].result.degrees}]"
            for own in contrasts
        ]
        parts.append(
            f"We tested {listed(tests, _MOST)}. Statistics were turned into z scores of equal tail "
            "area."
        )
        smooth = request.smoothness
        if smooth is not None and any(own.by_fields for own in corrections):
            parts.append(smoothness_words.for_paper(smooth))
            references += smoothness_words.references(smooth)
        for number, options in enumerate(corrections):
            own = [contrast.findings[number] for contrast in contrasts]
            parts.append(correction_words.for_paper(own, options, group.space))
        parts.append(correction_words.of_tables(corrections))
        references += correction_words.references(corrections)
        effects, sources = _effects(contrasts, group.result)
        parts.append(effects)
        references += sources
        parts.append(_atlas(contrasts, request))
        stat_types = {own.findings[0].result.stat_type for own in contrasts}
        further, sources = request.further.for_paper(group.result.model, stat_types)
        parts.append(further)
        references += sources
    permuted = [finding for contrast in contrasts for finding in contrast.permuted]
    if permuted:
        parts.append(permuted_words.methods(permuted))
        references += permuted_words.references(permuted)
    parts.append(sets_for_paper(request.confidence_sets))
    references += references_of_sets(request.confidence_sets)
    return Methods(" ".join(filter(None, parts)), tuple(dict.fromkeys(references)))


def _fit(drawing: Drawing, versions: dict[str, str]) -> str:
    group = drawing.group
    result = group.result
    _, many = group.space.place_words
    fine = f" ({drawing.resolution})" if drawing.resolution else ""
    text = (
        f"Group analysis was a mass-univariate general linear model, "
        f"{result.words().cited} with groupglm {versions['groupglm']} (Python "
        f"{versions['Python']}, NumPy {versions['numpy']}, SciPy {versions['scipy']}). "
        f"{_inputs(group)}{fine} were modelled at "
        f"{group.space.n_values:,} {many} with the regressors "
        f"{listed(result.column_names, _MOST)}{_residual_freedom(result.df_residual)}."
    )
    return " ".join(filter(None, [text, resampling_in_words(group)]))


def _inputs(group: FittedGroup) -> str:
    """Return the beginning of a sentence on what was modelled."""
    one, many = group.space.input_words
    if one == "image":
        return f"The effect images of {len(group.images)} inputs"
    return f"The {counted(len(group.images), one, many)} of a table"


def _residual_freedom(df: float | NDArray[Any]) -> str:
    if np.isinf(np.ravel(df)).all():
        return ""
    return f", leaving {rounding.span(df)} residual degrees of freedom"


def _effects(contrasts: Sequence[ContrastResults], fit: Any) -> tuple[str, list[str]]:
    """Return a sentence about the effects in tables, and its sources."""
    found = [result.finding for own in contrasts for result in own.results]
    listed_t = [own for own in found if own.result.stat_type == "t" and len(own.table)]
    if not found[0].space.has_neighbours:
        is_t = any(own.result.stat_type == "t" for own in found)
        one, _ = found[0].space.place_words
        return (f"Effects are given with the 95% interval of each {one}." if is_t else ""), []
    if not listed_t:
        return "", []
    text = "Effects at peaks are given with the 95% interval of each place by itself"
    rules = rules_of(fit.model)
    if rules.cohen_d:
        return f"{text}.", []
    sources = list(rules.references["cohen_d"])
    return f"{text}, and as Cohen's d with that of the noncentral t ({cited(sources)}).", sources


def _atlas(contrasts: Sequence[ContrastResults], request: Request) -> str:
    atlas = request.corrections[0].atlas
    named = any(
        len(result.finding.table) and result.finding.space.has_neighbours
        for own in contrasts
        for result in own.results
    )
    if atlas is None or not named:
        return ""
    return (
        "Peaks were named by the region of the atlas that they are in, and clusters by the shares "
        f"of their size in its regions ({atlas.name}, {len(atlas.names)} regions)."
    )
