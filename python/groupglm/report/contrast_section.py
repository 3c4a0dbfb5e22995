# SPDX-License-Identifier: BSD-3-Clause
"""What the page says about a contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.origins import origins_of
from groupglm.inference.cluster_table import strongest_first
from groupglm.plotting.adjusted import Adjusted, adjust
from groupglm.plotting.contrast import plot_contrast_matrix
from groupglm.plotting.glass import draw_glass
from groupglm.plotting.histogram import plot_histogram
from groupglm.plotting.panels import glass_panels
from groupglm.plotting.peak import draw_peak
from groupglm.plotting.reading_terms import read_terms
from groupglm.plotting.scale import Scale
from groupglm.plotting.stat_map import draw_slices
from groupglm.plotting.volumes import Volume
from groupglm.report import permuted_words, words
from groupglm.report.figures import Picture, chart, picture
from groupglm.runtime.rounding import rounded
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.plotting.template import Background
    from groupglm.plotting.terms import Terms
    from groupglm.report.findings import Finding, Peak
    from groupglm.report.options import ReportOptions
    from groupglm.report.permuted_findings import PermutedFinding

__all__ = ["ContrastResults", "contrast_section"]

_LEVEL = 0.95
_PLACES = "Places in mm; L and R are the subject's left and right"
_MOST_CLUSTERS = 100  # a page with thousands would be slow, and nobody would read them


@dataclass(frozen=True, eq=False)
class Result:
    """One map of a contrast on the page, with its words.

    Parameters
    ----------
    finding : Finding
        What was found.
    options : ReportOptions
        Looks.
    title, headline, shown_where, explanation : str
        What the page says of it; the explanation may be empty.
    """

    finding: Finding
    options: ReportOptions
    title: str
    headline: str
    shown_where: str
    explanation: str = ""


@dataclass(frozen=True, eq=False)
class ContrastResults:
    """All that was found of a contrast.

    Parameters
    ----------
    findings : list of Finding
        One a correction.
    corrections : tuple of ReportOptions
        The corrections.
    permuted : list of PermutedFinding
        By permutation; may be empty.
    """

    findings: list[Finding]
    corrections: tuple[ReportOptions, ...]
    permuted: list[PermutedFinding]

    @property
    def name(self) -> str:
        """What the user calls the contrast."""
        return self.findings[0].name

    @cached_property
    def results(self) -> list[Result]:
        """Every map of the contrast: corrections in their order, then permutations."""
        found = [
            Result(
                own,
                options,
                words.title(options, two_sided=own.two_sided),
                words.headline(own),
                _threshold(own),
            )
            for own, options in zip(self.findings, self.corrections, strict=True)
        ]
        for one in self.permuted:
            said = permuted_words
            found.append(
                Result(
                    one,
                    self.corrections[0],
                    said.title(one),
                    said.headline(one),
                    said.shown_where(one),
                    said.explanation(one),
                )
            )
        return found

    @property
    def leading(self) -> Result:
        """The result whose peaks are shown: the first that has any."""
        return next((one for one in self.results if one.finding.survived), self.results[0])

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The peaks whose data are shown."""
        return self.leading.finding.peaks


def contrast_section(
    contrast: ContrastResults,
    at_peaks: NDArray[np.float64] | None,
    group: FittedGroup,
    design: pd.DataFrame,
    background: Background,
    mask: Volume,
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
            plot_contrast_matrix(finding.weights, design),
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
                "map": _map(result, background, mask),
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


def _threshold(finding: Finding) -> str:
    if not math.isfinite(finding.threshold):
        return "no threshold controls the error rate asked for"
    return f"{words.tested(two_sided=finding.two_sided)} > {words.z_text(finding.threshold)}"


def _map(result: Result, background: Background, mask: Volume) -> Picture:
    finding, options = result.finding, result.options
    if not finding.survived:
        return _map_without_survivors(result, background, mask)
    glass = options.plot_type == "glass"
    # Survivors are above the threshold and in clusters that are large enough; the scale marks it.
    limit = finding.threshold if math.isfinite(finding.threshold) else 0.0
    shown = Volume.of_row(finding.space, finding.survivors)
    scale = Scale.of(shown.data, np.nextafter(limit, 0), None, dark=not glass)
    scale = replace(scale, signed=finding.two_sided)  # whichever signs survived
    if glass:
        panels = glass_panels(options.display_mode)
        figure = draw_glass(shown, background, mask, scale, panels, None, "z")
        kind = "Glass brain"
    else:
        figure = draw_slices(
            shown, background, mask, scale, options.display_mode, options.cut_coords, None, "z"
        )
        kind = "Slices"
    alt = f"{kind} of the map of {finding.name}. {result.headline}"
    return picture(figure, alt, f"{_PLACES}; shown where {result.shown_where}.")


def _map_without_survivors(result: Result, background: Background, mask: Volume) -> Picture:
    """Draw the whole map through its highest peak: slices without any colour would say nothing."""
    finding, options = result.finding, result.options
    limit = finding.threshold if math.isfinite(finding.threshold) else 0.0
    row = np.where(np.isnan(finding.shown), 0, finding.shown)
    values = Volume.of_row(finding.space, row)
    one_tail = finding.result.stat_type == "F"
    scale = Scale.of(values.data, None, None, dark=True, one_tail=one_tail)
    scale = replace(scale, vmax=max(scale.vmax, limit))  # the colours stay below the threshold's
    mode, cuts = options.display_mode, options.cut_coords
    if cuts is None or options.plot_type == "glass":
        mode, cuts = "ortho", finding.top.position
    figure = draw_slices(values, background, mask, scale, mode, cuts, None, "z, no threshold")
    alt = f"Slices of the map of {finding.name}. {result.headline}"
    caption = (
        f"{_PLACES}. Nothing survived ({result.shown_where}); this is the map without a "
        "threshold, through its highest peak, and no evidence of an effect."
    )
    return picture(figure, alt, caption)


def _histogram(finding: Finding) -> Picture | None:
    z = finding.result.z_score
    finite = z[np.isfinite(z)]
    if finite.size == 0:
        return None
    limit = finding.threshold if math.isfinite(finding.threshold) else None
    figure = plot_histogram(z, threshold=limit, two_sided=finding.two_sided)
    mean, sd = float(finite.mean()), float(finite.std())
    n_infinite = int(np.isinf(z).sum())
    others = f"; those of {n_infinite:,} more are infinite" if n_infinite else ""
    text = (
        f"z scores of {finite.size:,} voxels have mean {words.number(mean)} and standard deviation "
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
    """Say in numbers what the picture of a peak shows."""
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
    """Say where a line goes, and where it turns farthest beyond both of its ends."""
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
    """Return the table's columns and rows, the strongest clusters, and which of all these are."""
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
