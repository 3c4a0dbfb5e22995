# SPDX-License-Identifier: BSD-3-Clause
"""The table of places beyond a threshold, of a space whose places form no clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.found_clusters import FoundClusters
from groupglm.inference.survivors import passes_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["tabulate_places"]


def tabulate_places(
    space: Space, row: NDArray[np.float64], threshold: float, *, two_sided: bool
) -> FoundClusters:
    """Tabulate the places that reach a threshold, each as a cluster of its own.

    The strongest come first. Shapes: `row` (n_values,).
    """
    import pandas as pd

    row = np.where(np.isnan(row), 0.0, row)
    passing = passes_threshold(row, threshold, two_sided=two_sided) & (row != 0)
    places = np.flatnonzero(passing)
    places = places[np.argsort(-np.abs(row[places]), kind="stable")]
    positions = space.coordinates(places)
    table = pd.DataFrame(
        {
            "Cluster ID": np.arange(1, len(places) + 1),
            **{axis: positions[:, number] for number, axis in enumerate("XYZ")},
            "Peak Stat": row[places],
        }
    )
    labels = np.zeros(space.n_values, np.int32)
    labels[places] = np.arange(1, len(places) + 1)
    return FoundClusters(space, table, places, [labels])
