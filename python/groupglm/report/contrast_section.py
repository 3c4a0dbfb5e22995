# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about a contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.origins import origins_of
from groupglm.inference.cluster_table import strongest_first
from groupglm.plotting.adjusted import Adjusted, adjust
from groupglm.plotting.contrast import draw_weights
from groupglm.plotting.histogram import draw_histogram
from groupglm.plotting.peak import draw_peak
from groupglm.plotting.reading_terms import read_terms
from groupglm.report import words
from groupglm.report.figures import Picture, chart
from groupglm.runtime.rounding import rounded
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.plotting.terms import Terms
    from groupglm.report.contrast_results import ContrastResults
    from groupglm.report.drawing import Drawing
    from groupglm.report.findings import Finding, Peak

__all__ = ["contrast_section"]

_LEVEL = 0.95
_MOST_CLUSTERS = 100  # thousands would make the page slow, and nobody reads them


def contrast_section(
    contrast: ContrastResults,
    at_peaks: NDArray[np.float64] | None,
    group: FittedGroup,
    design: pd.DataFrame,
    drawing: Drawing,
    *,
    first_map: int,
) -> dict[str, Any]:
    """Return pictures, tables and sentences of a contrast.

    Shapes: `at_peaks` (n_images, n_peaks).
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
                **_table(result.finding),
                "number": first_map + place,
            }
            for place, result in enumerate(contrast.results)
        ],
        "histogram": _histogram(finding),
        "peaks": []
        if at_peaks is None
        else [
            _peak_picture(leading.finding, peak, data, terms)
            for peak, data in zip(contrast.peaks, at_peaks.T, strict=True)
        ],
        "peaks_of": leading.title if several else "",
    }


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


def _peak_picture(
    finding: Finding,
    peak: Peak,
    data: NDArray[np.float64],
    terms: Terms,
) -> Picture:
    adjusted = adjust(data, terms, finding.weights, _LEVEL)
    figure = draw_peak(adjusted, _LEVEL, None, "value")
    what = words.rank(finding, peak)
    caption = f"{what[:1].upper()}{what[1:]}: {words.peak(peak)}."
    detail = _fitted(adjusted)
    return chart(figure, f"Data at the {what}, {words.peak(peak)}. {detail}", f"{caption} {detail}")


def _fitted(adjusted: Adjusted) -> str:
    """Return, in numbers, what the picture of a peak shows."""
    if adjusted.kind == "groups":
        facts = [
            f"{level.name}: {words.number(level.fitted)} ± {level.half_width:.2f}"
            for level in adjusted.groups
        ]
        return f"Fitted: {'; '.join(facts)} ({_LEVEL:.0%} interval)."
    if adjusted.kind == "lines":
        if len(adjusted.lines) == 1:
            return f"The fit goes {_curve(adjusted.lines[0].line)} over {adjusted.label}."
        facts = [
            f"{f'{one.panel}, ' if one.panel else ''}{one.name}: {_curve(one.line)}"
            for one in adjusted.lines
        ]
        return f"The fit over {adjusted.label} goes {'; '.join(facts)}."
    return f"The fit goes {_from_to(adjusted.line[1])} over {adjusted.label}."


def _curve(line: NDArray[np.float64]) -> str:
    """Return, in words, the ends of a line, and its turn farthest beyond both of them."""
    places, fitted = line[:2]
    beyond = [fitted - max(fitted[0], fitted[-1]), min(fitted[0], fitted[-1]) - fitted]
    way = int(beyond[1].max() > beyond[0].max())
    turn = int(beyond[way].argmax())
    if beyond[way][turn] <= 1e-9 * np.abs(fitted).max():
        return _from_to(fitted)
    top = words.number(float(fitted[turn]))
    ends = [words.number(float(fitted[end])) for end in (0, -1)]
    return f"from {ends[0]} through {top} at {places[turn]:.4g} to {ends[1]}"


def _from_to(fitted: NDArray[np.float64]) -> str:
    return f"from {words.number(float(fitted[0]))} to {words.number(float(fitted[-1]))}"


def _table(finding: Finding) -> dict[str, Any]:
    """Return columns and rows of a table of the strongest clusters, and a note on it."""
    shown = strongest_first(finding.table, _MOST_CLUSTERS)
    count = finding.n_clusters
    kept = (
        f"{_MOST_CLUSTERS} of {count:,} clusters, the strongest"
        if count > _MOST_CLUSTERS
        else ("The strongest clusters")
    )
    return {
        "columns": list(shown.columns),
        "rows": rounded(shown).to_numpy().tolist(),
        "table_note": f"{kept} first, by the size of z at the peak.",
    }
