# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about a contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.origins import origins_of
from groupglm.inference.found_clusters import strongest_first
from groupglm.plotting.contrast import draw_weights
from groupglm.plotting.histogram import draw_histogram
from groupglm.plotting.reading_terms import read_terms
from groupglm.report import words
from groupglm.report.effects_table import effect_columns
from groupglm.report.figures import Picture, chart
from groupglm.report.findings import MOST_CLUSTERS
from groupglm.report.peak_pictures import peak_pictures
from groupglm.report.places_table import places_table
from groupglm.report.sets_section import sets_section
from groupglm.runtime.rounding import rounded
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.confidence_sets.sets import ConfidenceSets
    from groupglm.models.base import Fit
    from groupglm.report.contrast_results import ContrastResults, Result
    from groupglm.report.drawing import Drawing
    from groupglm.report.findings import Finding, Peak
    from groupglm.report.peak_pictures import AtPlace

__all__ = ["contrast_section"]


def contrast_section(
    contrast: ContrastResults,
    listed: Sequence[Peak],
    at_peaks: Sequence[AtPlace] | None,
    group: FittedGroup,
    design: pd.DataFrame,
    drawing: Drawing,
    sets: Sequence[ConfidenceSets] = (),
    *,
    first_map: int,
) -> dict[str, Any]:
    """Return pictures, tables and sentences of a contrast, and its confidence sets.

    `listed` are the peaks with a small forest plot. `at_peaks` has the images at the peaks of the
    contrast, and then at the listed ones; None if they cannot be read.
    """
    finding = contrast.findings[0]
    leading = contrast.leading
    result = group.result
    terms = read_terms(result.X, result.column_names, levels_of(design), origins_of(design))
    several = len(contrast.results) > 1
    return {
        "name": contrast.name,
        "expression": finding.expression,
        "statistic": finding.result.degrees,
        "weights": chart(
            draw_weights(finding.weights, design),
            f"Bars of the weights: {finding.expression}.",
            "Weight of each column.",
        ),
        "results": [
            {
                "title": result.title,
                "headline": result.headline,
                "survived": result.finding.survived,
                "shown_where": result.shown_where,
                "explanation": result.explanation,
                "map": drawing.map_picture(result),
                "further": drawing.further_pictures(result),
                **_table(result, group.result),
                "number": first_map + place,
            }
            for place, result in enumerate(contrast.results)
        ],
        "sets": sets_section(contrast.name, sets, drawing),
        "histogram": _histogram(finding),
        **peak_pictures(leading.finding, contrast.peaks, listed, at_peaks, group.result, terms),
        "peaks_of": leading.title if several else "",
        "small_note": _small_note(len(listed), len(contrast.listed)),
    }


def _small_note(n_drawn: int, n_listed: int) -> str:
    """Return what is said below the small forest plots."""
    note = (
        "One drawing for each row of the table, with an axis of its own. Lines are images with the "
        "95% interval by their own variance, the area of a square is the weight, and the diamond "
        "is the estimate of the group with the interval of the test."
    )
    if n_drawn == n_listed:
        return note
    return (
        f"{note} These are the first {n_drawn} of {n_listed} peaks, because more drawings of so "
        "many images would make the page slow: groupglm.plotting.plot_forest draws any of them, "
        "with its position in mm."
    )


def _histogram(finding: Finding) -> Picture | None:
    z = finding.result.z_score
    finite = z[np.isfinite(z)]
    if finite.size == 0:
        return None
    _, many = finding.space.place_words
    figure = draw_histogram(z, finding.threshold, many, two_sided=finding.two_sided)
    mean, sd = float(finite.mean()), float(finite.std())
    n_infinite = int(np.isinf(z).sum())
    others = f"; those of {n_infinite:,} more are infinite" if n_infinite else ""
    text = (
        f"z scores of {finite.size:,} {many} have mean {words.number(mean)} and standard deviation "
        f"{sd:.2f}{others}; without any effect 0 and 1 are expected."
    )
    if finding.result.stat_type == "F":
        text += " F has one tail: a negative z is an F below its median, no effect."
    return chart(figure, f"Histogram beside the standard normal density. The {text}", f"The {text}")


def _table(result: Result, fit: Fit) -> dict[str, Any]:
    """Return columns and rows of a table of the strongest clusters, and a note on it."""
    finding = result.finding
    if not finding.space.has_neighbours:
        return places_table(finding, result.options.height_control)
    shown = strongest_first(finding.table, MOST_CLUSTERS)
    if "Vertex" in shown:  # no mesh is known to a thousandth of a mm
        shown = shown.round(dict.fromkeys("XYZ", 1))
    count = finding.n_clusters
    kept = (
        f"{MOST_CLUSTERS} of {count:,} clusters, the strongest"
        if count > MOST_CLUSTERS
        else ("The strongest clusters")
    )
    rows, note = rounded(shown).to_numpy().tolist(), ""
    columns: dict[str, list[str]] = {}
    if finding.result.stat_type == "t" and rows:
        places, null_value = finding.places[: len(rows)], finding.result.null_value
        columns, note = effect_columns(fit, finding.weights, places, null_value)
        rows = [
            [*row, *own] for row, own in zip(rows, zip(*columns.values(), strict=True), strict=True)
        ]
    return {
        "columns": [*shown.columns, *columns],
        "rows": rows,
        "table_title": "Clusters and peaks",
        "table_note": f"{kept} first, by the size of z at the peak."
        + (" X, Y, Z in mm." if "X" in shown.columns else "")
        + " Letters after a number are further peaks of the same cluster."
        + note,
    }
