# SPDX-License-Identifier: BSD-3-Clause
"""The page's table of places that form no clusters: all of them, the strongest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from groupglm.inference.corrected_p.methods import PermutedMaxima, TestedMap
from groupglm.inference.corrected_p.names import PLACE_P
from groupglm.inference.corrected_p.of_thresholded import method_of_control
from groupglm.inference.found_clusters import FoundClusters
from groupglm.plotting.place_fit import half_widths
from groupglm.report.permuted_findings import PermutedFinding
from groupglm.runtime.rounding import p_value, statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.corrected_p.methods import Method
    from groupglm.report.findings import Finding

__all__ = ["LEVEL", "MOST_PLACES", "places_table"]

LEVEL = 0.95
"""Level of the confidence intervals of effects on a page."""

MOST_PLACES = 500
"""Rows of the table: more would make the page slow."""


def places_table(finding: Finding, control: str | None = None) -> dict[str, Any]:
    """Return columns and rows of the table of a contrast, and a note on it.

    `control` is how the threshold was set, whose p-values the table has.
    """
    one, many = finding.space.place_words
    result, z = finding.result, finding.z
    known = np.flatnonzero(~np.isnan(z))
    order = known[np.argsort(-np.abs(z[known]), kind="stable")][:MOST_PLACES]
    is_t = result.stat_type == "t"
    of_p = _p_values(finding, order, control)
    columns = [one.capitalize()]
    columns += ["Effect", f"{LEVEL:.0%} interval"] if is_t else []
    columns += [result.stat_type, "z", *of_p, "Survives"]
    half = half_widths(result, LEVEL) if is_t else None
    rows = []
    for number, place in enumerate(order.tolist()):
        row = [finding.space.describe_place(place)]
        if half is not None:
            effect = float(result.effect_size[place])
            low, high = effect - half[place], effect + half[place]
            row += [statistic(effect), f"{statistic(low)} to {statistic(high)}"]
        row += [statistic(float(result.stat[place])), statistic(float(z[place]))]
        row += [p_value(float(values[number])) for values in of_p.values()]
        row += ["yes" if finding.survivors[place] else ""]
        rows.append(row)
    kept = f"All {many}, the strongest"
    if len(order) < len(known):
        kept = f"{len(order):,} of {len(known):,} {many}, the strongest"
    tails = "two-sided" if finding.two_sided else "one-sided"
    note = f"{kept} first, by the size of z. p is {tails}"
    note += ", without correction for their number" if len(of_p) == 1 else ""
    note += ", and intervals are those of each by itself." if is_t else "."
    return {
        "columns": columns,
        "rows": rows,
        "table_title": many.capitalize(),
        "table_note": note,
    }


def _p_values(
    finding: Finding, places: NDArray[np.intp], control: str | None
) -> dict[str, NDArray[np.float64]]:
    """Return the p-values of places by their names: not corrected, and as the threshold has them.

    Shapes: `places` (n,); (n,) each.
    """
    z: NDArray[np.float64] = finding.shown.astype(np.float64)  # as the threshold was applied to
    tested = TestedMap(z[~np.isnan(z)], finding.threshold, finding.two_sided)
    method: Method = method_of_control(control)
    if isinstance(finding, PermutedFinding):
        method = PermutedMaxima({finding.kind: finding.logp.astype(np.float64)})
    found = FoundClusters(finding.space, pd.DataFrame(), places, [])
    own = method.of_peaks(found, z[places], tested)
    return {PLACE_P: own[PLACE_P], **{name: own[name] for name in own if name != PLACE_P}}
