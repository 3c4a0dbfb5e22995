# SPDX-License-Identifier: BSD-3-Clause
"""The whole page: from a fit to HTML."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import printable
from groupglm.group.image_names import subject_names
from groupglm.report import correction_words, redo, smoothness_words, words
from groupglm.report.contrast_results import ContrastResults
from groupglm.report.contrast_section import contrast_section
from groupglm.report.data_quality import look_at_images
from groupglm.report.data_section import data_section
from groupglm.report.design_section import design_section
from groupglm.report.drawing import drawing_of
from groupglm.report.findings import find
from groupglm.report.heterogeneity import heterogeneity_section
from groupglm.report.methods_text import methods_of
from groupglm.report.peak_pictures import places_of
from groupglm.report.permuted_findings import find_permuted
from groupglm.report.rendering import render
from groupglm.report.robust_section import robust_section
from groupglm.report.script import python_script
from groupglm.report.small_forests import MOST_LINES
from groupglm.report.subjects_section import subjects_section

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.findings import Peak
    from groupglm.report.methods import Methods
    from groupglm.report.options import ReportOptions
    from groupglm.report.request import Request

__all__ = ["build_page", "build_page_without_results"]


def build_page(group: FittedGroup, design: pd.DataFrame, request: Request) -> tuple[str, Methods]:
    """Write the page, and its paragraph on methods."""
    options = request.corrections[0]
    drawing = drawing_of(group, options, request.report_parameters)
    findings = [
        [
            find(name, tested, group, correction, request.smoothness)
            for correction in request.corrections
        ]
        for name, tested in request.contrasts.items()
    ]
    permuted = [
        list(
            find_permuted(
                own[0], request.permutations[own[0].name], options.min_distance, options.atlas
            )
        )
        if own[0].name in request.permutations
        else []
        for own in findings
    ]
    contrasts = [
        ContrastResults(own, request.corrections, further)
        for own, further in zip(findings, permuted, strict=True)
    ]
    listed = _with_small_forests(group, contrasts)
    peaks = [
        (*contrast.peaks, *further) for contrast, further in zip(contrasts, listed, strict=True)
    ]
    places = [peak.place for own in peaks for peak in own]
    names = subject_names([source.name for source in group.images], design)
    quality = look_at_images(group, np.array(places, dtype=np.intp))
    sections, taken, n_maps = [], 0, 0
    for contrast, own, further in zip(contrasts, peaks, listed, strict=True):
        at_peaks = places_of(quality, slice(taken, taken + len(own)), names)
        taken += len(own)
        sections.append(
            contrast_section(
                contrast,
                further,
                at_peaks,
                group,
                design,
                drawing,
                request.confidence_sets.get(contrast.name, ()),
                first_map=n_maps,
            )
        )
        n_maps += len(contrast.results)
    versions = redo.versions()
    script = python_script(
        group, design, request.model_parameters, request.report_parameters, request.contrasts
    )
    methods = methods_of(drawing, contrasts, request, versions)
    context = {
        "title": options.title
        or f"Group analysis of {len(group.images)} {group.space.input_words[1]}",
        "summary": words.summary(group, quality),
        "corrections": [
            correction_words.correction(own, group.space) for own in request.corrections
        ]
        if findings
        else [],
        "methods": methods.text,
        "references": methods.references,
        "data": data_section(group, quality, request.wording),
        "space": [*drawing.facts(), *smoothness_words.facts(request.smoothness)],
        "caution": smoothness_words.caution(request.smoothness),
        "places": group.space.place_words[1],
        "mask_picture": drawing.mask_picture(),
        "note": drawing.note,
        "design": design_section(group, design),
        "spread": heterogeneity_section(group, names, drawing)
        or subjects_section(group, drawing)
        or robust_section(group, names, drawing),
        "contrasts": sections,
        "viewer": drawing.viewer(contrasts),
        "versions": versions,
        "script": script.code,
        "script_notes": script.notes,
        "command": _for_a_page(request.command),
        "command_note": request.command_note,
        "parameters": _all_parameters(request.corrections),
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return render("page.html.j2", context), methods


def _with_small_forests(
    group: FittedGroup, contrasts: Sequence[ContrastResults]
) -> list[tuple[Peak, ...]]:
    """Return, for each contrast, the peaks with a small forest plot: the first that fit the page.

    None if the model has no variances.
    """
    if group.result.model.beside != ("variance",):
        return [() for _ in contrasts]
    most = MOST_LINES // (len(group.images) * max(len(contrasts), 1))
    return [contrast.listed[:most] for contrast in contrasts]


def build_page_without_results(
    options: ReportOptions, problem: str, model_parameters: Mapping[str, Any]
) -> str:
    """Write a page that says why it has no results."""
    context = {
        "title": options.title or "Group analysis without results",
        "problem": problem,
        "parameters": {name: redo.shown(value) for name, value in model_parameters.items()},
        "viewer": None,
    }
    return render("empty.html.j2", context)


def _for_a_page(command: str) -> str:
    """Quote a command's words that hold control characters, so that it can be pasted."""
    return " ".join(
        shlex.quote(word)
        if printable(word) == word
        # Between such quotes the shell understands the escapes that the page would make.
        else "$'" + printable(word.replace("\\", r"\\").replace("'", r"\'")) + "'"
        for word in shlex.split(command)
    )


def _all_parameters(corrections: Sequence[ReportOptions]) -> dict[str, str]:
    parameters = {name: redo.shown(value) for name, value in vars(corrections[0]).items()}
    if len(corrections) > 1:
        for name in ("height_control", "alpha", "cluster_forming_p"):
            parameters[name] = redo.shown([getattr(own, name) for own in corrections])
    return parameters
