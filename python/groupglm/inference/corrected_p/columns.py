# SPDX-License-Identifier: BSD-3-Clause
"""Columns of p-values, added to a table of peaks and clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.inference.cluster_columns import REGION_COLUMNS
from groupglm.inference.corrected_p.names import P_COLUMNS
from groupglm.inference.found_clusters import main_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.corrected_p.methods import Method, TestedMap
    from groupglm.inference.found_clusters import FoundClusters

__all__ = ["with_p_values"]


def with_p_values(
    found: FoundClusters,
    tested: TestedMap,
    method: Method,
    z: NDArray[np.float64] | None = None,
) -> FoundClusters:
    """Add the p-values that a method defines to a table of clusters and their peaks.

    Parameters
    ----------
    found : FoundClusters
        The clusters.
    tested : TestedMap
        The z-scores that they are of.
    method : Method
        The method.
    z : array, shape (n_rows,), optional
        The z-scores of the peaks; by default those in the table.

    Returns
    -------
    FoundClusters
        The same clusters. Columns of clusters are empty in the rows of further peaks.
    """
    table = found.table.copy()
    heights = table["Peak Stat"].to_numpy(np.float64) if z is None else z
    is_main = main_rows(table)
    columns: dict[str, NDArray[Any]] = dict(method.of_peaks(found, heights, tested))
    for name, values in method.of_clusters(found, found.places[is_main], tested).items():
        column = np.full(len(table), "", object)
        column[is_main] = values
        columns[name] = column if not is_main.all() else values
    at = next((n for n, name in enumerate(table) if name in REGION_COLUMNS), table.shape[1])
    for name in P_COLUMNS:
        if name in columns:
            table.insert(at, name, columns[name])
            at += 1
    return replace(found, table=table)
