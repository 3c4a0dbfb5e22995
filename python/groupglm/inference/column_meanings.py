# SPDX-License-Identifier: BSD-3-Clause
"""What the columns of tables of peaks and clusters are, in the form of a BIDS sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.inference.corrected_p.names import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["EFFECT_COLUMNS", "described"]

EFFECT_COLUMNS = {
    "effect": "Effect",
    "effect_ci_low": "Effect CI Low",
    "effect_ci_high": "Effect CI High",
    "cohen_d": "Cohen's d",
    "cohen_d_ci_low": "Cohen's d CI Low",
    "cohen_d_ci_high": "Cohen's d CI High",
}
"""The columns of effects, by what `groupglm.models.effect_sizes.at_places` calls them."""

_UNITS = "those of the maps, times those of the contrast's weights"
_DEVIATIONS = "standard deviations"

_COLUMNS = {
    "Cluster ID": {
        "Description": "Number of the cluster, through both tails; a letter follows for other peaks"
    },
    "Structure": {"Description": "Hemisphere, or structure of the brain, that the peak is in"},
    "Vertex": {"Description": "Number of the peak on its surface, counted from 0"},
    "X": {"Description": "Place of the peak", "Units": "mm"},
    "Y": {"Description": "Place of the peak", "Units": "mm"},
    "Z": {"Description": "Place of the peak", "Units": "mm"},
    "Peak Stat": {"Description": "Value of the map at the peak"},
    "Part": {"Description": "Part of the data that the cluster is in"},
    "Cluster Size": {"Description": "Extent of the cluster, in the unit beside it"},
    "Unit": {"Description": "What the cluster's extent is counted in"},
    "Vertices": {"Description": "Number of the cluster's vertices", "Units": "vertices"},
    "z": {"Description": "z score of the place"},
    "t": {"Description": "t statistic at the peak"},
    "F": {"Description": "F statistic at the peak"},
    "Effect": {"Description": "Effect of the contrast at the peak", "Units": _UNITS},
    "Effect CI Low": {
        "Description": "Lower end of the {level} interval of the effect at the peak",
        "Units": _UNITS,
    },
    "Effect CI High": {
        "Description": "Upper end of the {level} interval of the effect at the peak",
        "Units": _UNITS,
    },
    "Cohen's d": {
        "Description": "Effect over the residual standard deviation, at the peak",
        "Units": _DEVIATIONS,
    },
    "Cohen's d CI Low": {
        "Description": "Lower end of the {level} interval of d, of the noncentral t",
        "Units": _DEVIATIONS,
    },
    "Cohen's d CI High": {
        "Description": "Upper end of the {level} interval of d, of the noncentral t",
        "Units": _DEVIATIONS,
    },
    "Region": {"Description": "Region of the atlas that the peak is in"},
    "Regions of Cluster": {
        "Description": "Percentage of the cluster that is in each region of the atlas"
    },
}
_MEASURES = {"mm2": ("Area", "mm^2"), "mm3": ("Volume", "mm^3")}


def described(
    table: pd.DataFrame, sources: Mapping[str, str] | None = None, confidence: float = 0.95
) -> dict[str, dict[str, str]]:
    """Return the meanings of a table's columns.

    Parameters
    ----------
    table : pandas.DataFrame
        The table.
    sources : mapping of str to str, optional
        Where the methods of columns of p-values are from.
    confidence : float, default=0.95
        Level of the intervals of effects.

    Returns
    -------
    dict of str to dict
        Description, units and source of each column, as far as it has them.
    """
    level = f"{100 * confidence:g}%"
    return {name: _meaning(name, sources or {}, level) for name in table.columns}


def _meaning(name: str, sources: Mapping[str, str], level: str) -> dict[str, str]:
    if name in MEANINGS:
        source = {"Source": sources[name]} if name in sources else {}
        unit = "rate" if "q (FDR)" in name else "probability"
        return {"Description": MEANINGS[name], "Units": unit, **source}
    found = _COLUMNS.get(name) or _size(name)
    return {**found, "Description": found["Description"].format(level=level)}


def _size(name: str) -> dict[str, str]:
    """Describe a column of sizes, such as ``Cluster Size (mm3)``."""
    unit = name.removeprefix("Cluster Size (").removesuffix(")")
    if unit in _MEASURES:
        measure, symbol = _MEASURES[unit]
        return {"Description": f"{measure} of the cluster", "Units": symbol}
    return {"Description": f"Number of the cluster's {unit}", "Units": unit}
