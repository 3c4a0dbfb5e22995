# SPDX-License-Identifier: BSD-3-Clause
"""Columns of effects and of Cohen's d at the peaks of a table, each with its interval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.cluster_columns import REGION_COLUMNS
from groupglm.inference.column_meanings import EFFECT_COLUMNS
from groupglm.models.effect_size_rules import rules_of
from groupglm.models.effect_sizes import at_places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.models.base import Fit

__all__ = ["CONFIDENCE", "effects_of_fit", "with_effects"]

CONFIDENCE = 0.95
"""The level of intervals in tables, unless another is asked for."""


def effects_of_fit(
    fit: Fit,
    contrast: ArrayLike,
    places: NDArray[np.integer],
    *,
    null_value: float = 0.0,
    confidence: float = CONFIDENCE,
    intervals: bool = True,
) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a t contrast at some places of a fit, by their names.

    Without Cohen's d if the model does not define it. Without `intervals`, the effect alone: all
    else needs an error of the effect that is known.
    """
    names = [name for name in EFFECT_COLUMNS if intervals or name == "effect"]
    if rules_of(fit.model).cohen_d:
        names = [name for name in names if not name.startswith("cohen_d")]
    if not len(places):
        return {EFFECT_COLUMNS[name]: np.zeros(0) for name in names}
    found = at_places(fit, contrast, places, confidence=confidence, null_value=null_value)
    return {EFFECT_COLUMNS[name]: found[name].to_numpy() for name in names}


def with_effects(found: FoundClusters, columns: Mapping[str, NDArray[np.float64]]) -> FoundClusters:
    """Add columns of effects to a table of clusters, before those of an atlas.

    Shapes: `columns` (n_rows,) each.
    """
    table = found.table.copy()
    at = next((n for n, name in enumerate(table) if name in REGION_COLUMNS), table.shape[1])
    for number, (name, values) in enumerate(columns.items()):
        table.insert(at + number, name, values)
    return replace(found, table=table)
