# SPDX-License-Identifier: BSD-3-Clause
"""The page's table of places that form no clusters: all of them, the strongest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.inference.corrected_p.methods import PERMUTED_COLUMNS
from groupglm.plotting.place_fit import half_widths
from groupglm.report.permuted_findings import PermutedFinding
from groupglm.runtime.rounding import p_value, statistic

if TYPE_CHECKING:
    from groupglm.report.findings import Finding

__all__ = ["LEVEL", "MOST_PLACES", "places_table"]

LEVEL = 0.95
"""Level of the confidence intervals of effects on a page."""

MOST_PLACES = 500
"""Rows of the table: more would make the page slow."""


def places_table(finding: Finding) -> dict[str, Any]:
    """Return columns and rows of the table of a contrast, and a note on it."""
    one, many = finding.space.place_words
    result, z = finding.result, finding.z
    known = np.flatnonzero(~np.isnan(z))
    order = known[np.argsort(-np.abs(z[known]), kind="stable")][:MOST_PLACES]
    is_t = result.stat_type == "t"
    columns = [one.capitalize()]
    columns += ["Effect", f"{LEVEL:.0%} interval"] if is_t else []
    columns += [result.stat_type, "z", "p (uncorrected)"]
    columns += [PERMUTED_COLUMNS[finding.kind]] if isinstance(finding, PermutedFinding) else []
    columns += ["Survives"]
    half = half_widths(result, LEVEL) if is_t else None
    # A normal tail is exact where 1 - p would round to 0.
    p = 2 * special.ndtr(-np.abs(z)) if finding.two_sided else result.p_value
    rows = []
    for place in order.tolist():
        row = [finding.space.describe_place(place)]
        if half is not None:
            effect = float(result.effect_size[place])
            low, high = effect - half[place], effect + half[place]
            row += [statistic(effect), f"{statistic(low)} to {statistic(high)}"]
        row += [statistic(float(result.stat[place])), statistic(float(z[place]))]
        row += [p_value(float(p[place]))]
        if isinstance(finding, PermutedFinding):
            row += [p_value(float(10.0 ** -finding.logp[place]))]
        row += ["yes" if finding.survivors[place] else ""]
        rows.append(row)
    kept = f"All {many}, the strongest"
    if len(order) < len(known):
        kept = f"{len(order):,} of {len(known):,} {many}, the strongest"
    tails = "two-sided" if finding.two_sided else "one-sided"
    note = f"{kept} first, by the size of z. p is {tails}, without correction for their number"
    note += ", and intervals are those of each by itself." if is_t else "."
    return {
        "columns": columns,
        "rows": rows,
        "table_title": many.capitalize(),
        "table_note": note,
    }
