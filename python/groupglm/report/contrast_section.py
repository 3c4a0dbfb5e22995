# SPDX-License-Identifier: BSD-3-Clause
"""What the page says about a contrast."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.adjusted import adjust
from groupglm.plotting.contrast import plot_contrast_matrix
from groupglm.plotting.glass import draw_glass
from groupglm.plotting.histogram import plot_histogram
from groupglm.plotting.panels import glass_panels
from groupglm.plotting.peak import draw_peak
from groupglm.plotting.scale import Scale
from groupglm.plotting.stat_map import draw_slices
from groupglm.report import words
from groupglm.report.figures import Picture, chart, picture

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.fitted import FittedGroup
    from groupglm.plotting.template import Background
    from groupglm.plotting.volumes import Volume
    from groupglm.report.findings import Finding, Peak
    from groupglm.report.options import ReportOptions

__all__ = ["contrast_section"]

_LEVEL = 0.95


def contrast_section(
    finding: Finding,
    at_peaks: NDArray[np.float64] | None,
    group: FittedGroup,
    design: pd.DataFrame,
    options: ReportOptions,
    background: Background,
    mask: Volume,
) -> dict[str, Any]:
    """Return pictures, table and sentences of a contrast.

    Parameters
    ----------
    finding : Finding
        What was found.
    at_peaks : array, shape (n_images, n_peaks)
        The data at the finding's peaks; None when the images could not be read.
    group : FittedGroup
        The fit.
    design : pandas.DataFrame
        The design matrix.
    options : ReportOptions
        Thresholds and looks.
    background : Background
        The picture behind the map.
    mask : Volume
        The mask.

    Returns
    -------
    dict
        For the template.
    """
    headline = words.headline(finding)
    return {
        "name": finding.name,
        "expression": finding.expression,
        "statistic": words.degrees(finding),
        "headline": headline,
        "survived": finding.survived,
        "threshold": _threshold(finding),
        "weights": chart(
            plot_contrast_matrix(finding.weights, design),
            f"Bars of the weights: {finding.expression}.",
            "Weight of each column.",
        ),
        "map": _map(finding, options, background, mask, headline),
        "histogram": _histogram(finding),
        "peaks": []
        if at_peaks is None
        else [
            _peak_picture(finding, peak, data, group)
            for peak, data in zip(finding.peaks, at_peaks.T, strict=True)
        ],
        "columns": list(finding.table.columns),
        "rows": [_cells(row) for row in finding.table.itertuples(index=False, name=None)],
    }


def _threshold(finding: Finding) -> str:
    if not math.isfinite(finding.threshold):
        return "no threshold controls the error rate asked for"
    sign = "|z|" if finding.two_sided else "z"
    return f"{sign} > {finding.threshold:.3f}"


def _map(
    finding: Finding, options: ReportOptions, background: Background, mask: Volume, headline: str
) -> Picture:
    glass = options.plot_type == "glass"
    # Survivors are above the threshold and in clusters that are large enough; the scale marks it.
    limit = finding.threshold if math.isfinite(finding.threshold) else 0.0
    shown = finding.thresholded
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
    alt = f"{kind} of the map of {finding.name}. {headline}"
    note = "places in mm; L and R are the subject's left and right"
    return picture(figure, alt, f"Shown: {_threshold(finding)}; {note}.")


def _histogram(finding: Finding) -> Picture | None:
    z = finding.result.z_score
    finite = z[np.isfinite(z)]
    if finite.size == 0:
        return None
    limit = finding.threshold if math.isfinite(finding.threshold) else None
    figure = plot_histogram(finite, threshold=limit, two_sided=finding.two_sided)
    mean, sd = float(finite.mean()), float(finite.std())
    text = (
        f"z scores of {finite.size:,} voxels have mean {words.number(mean)} and standard deviation "
        f"{sd:.2f}; without any effect 0 and 1 are expected."
    )
    return chart(figure, f"Histogram beside the standard normal density. The {text}", f"The {text}")


def _peak_picture(
    finding: Finding, peak: Peak, data: NDArray[np.float64], group: FittedGroup
) -> Picture:
    result = group.result
    adjusted = adjust(data, result.X, result.column_names, finding.weights, _LEVEL)
    figure = draw_peak(adjusted, _LEVEL, None, "value")
    if peak.cluster:
        what = f"peak of cluster {peak.cluster}"
    else:
        what = "highest peak, below the threshold"
    caption = f"{what.capitalize()}: {words.peak(peak)}."
    if adjusted.kind == "groups":
        facts = [
            f"{level.name}: {words.number(level.fitted)} ± {level.half_width:.2f}"
            for level in adjusted.groups
        ]
        detail = f"Fitted: {'; '.join(facts)} ({_LEVEL:.0%} interval)."
    else:
        start, end = adjusted.line[1][0], adjusted.line[1][-1]
        detail = (
            f"The fit goes from {words.number(float(start))} to {words.number(float(end))} over "
            f"{adjusted.label}."
        )
    return chart(figure, f"Data at the {what}, {words.peak(peak)}. {detail}", f"{caption} {detail}")


def _cells(row: tuple[Any, ...]) -> list[str]:
    """Write a row of the table: places in mm, z to three digits, sizes whole."""
    cells = []
    for value in row:
        if isinstance(value, float | np.floating):
            cells.append(f"{value:.3f}".rstrip("0").rstrip("."))
        else:
            cells.append(str(value))
    return cells
