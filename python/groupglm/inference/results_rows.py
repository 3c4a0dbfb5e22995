# SPDX-License-Identifier: BSD-3-Clause
"""The table of results of a row of z-scores: clusters, peaks, and their p-values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.corrected_p.columns import with_p_values
from groupglm.inference.corrected_p.methods import (
    PermutedMaxima,
    TestedMap,
)
from groupglm.inference.corrected_p.of_thresholded import method_of_control
from groupglm.inference.places_table import tabulate_places
from groupglm.messages import argument

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.inference.corrected_p.methods import Method
    from groupglm.inference.corrected_p.permuted import PermutedMaps
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.inference.random_fields.map_field import MapField
    from groupglm.spaces.base import Space

    Floats = NDArray[np.float64]

__all__ = [
    "CORRECTIONS",
    "Correction",
    "Limits",
    "TestedRow",
    "find_results",
    "method_of",
    "public_rows",
]

Correction = Literal["fpr", "fdr", "bonferroni", "rft", "permutation"]
CORRECTIONS: tuple[Correction, ...] = ("fpr", "fdr", "bonferroni", "rft", "permutation")


@dataclass(frozen=True, eq=False)
class TestedRow:
    """The z-scores of all tested places.

    Attributes
    ----------
    name : str
        The map's name in messages.
    space : Space
        The places.
    z : array, shape (n_values,)
        The z-scores; NaN where nothing was tested.
    two_sided : bool
        Whether both tails are tested.
    statistic : tuple of str and array, or None
        Letter and values of the t or F that the z-scores were made from.
    find_field : callable, optional
        Returns the random field that the map is of.
    """

    name: str
    space: Space
    z: Floats
    two_sided: bool
    statistic: tuple[str, Floats] | None
    find_field: Callable[[], MapField] | None = None


@dataclass(frozen=True)
class Limits:
    """What of a map is tabulated.

    Attributes
    ----------
    threshold : float or None
        The z beyond which places form clusters; None for the clusters of a permutation test.
    cluster_threshold : float
        The least size of a cluster.
    min_distance : float
        The least distance of a subpeak from the one before, in mm.
    """

    threshold: float | None
    cluster_threshold: float
    min_distance: float


def method_of(correction: Correction, tested: TestedRow, permuted: PermutedMaps | None) -> Method:
    """Return the method of p-values of a correction."""
    if correction == "permutation":
        assert permuted is not None  # noqa: S101  (the door has checked it)
        return PermutedMaxima(permuted.logp)
    field = None
    if correction == "rft":
        assert tested.find_field is not None  # noqa: S101  (as every map has)
        field = tested.find_field()
    return method_of_control(correction, field)


def find_results(
    tested: TestedRow,
    limits: Limits,
    method: Method,
    permuted: PermutedMaps | None,
    members: NDArray[np.bool_] | None = None,
) -> FoundClusters:
    """Find peaks and clusters with their p-values.

    `members`, shape (n_values,), are the places in clusters if there is no threshold.
    """
    space, row, threshold = tested.space, tested.z, limits.threshold
    if threshold is None:
        row, threshold = _only_members(row, members)
    if space.has_neighbours:
        found = tabulate(
            space,
            row,
            threshold,
            cluster_threshold=limits.cluster_threshold,
            two_sided=tested.two_sided,
            min_distance=limits.min_distance,
        )
    else:
        found = tabulate_places(space, row, threshold, two_sided=tested.two_sided)
    if permuted is not None:
        permuted.check_same_clusters(found)
    if tested.statistic is not None:
        letter, values = tested.statistic
        at = list(found.table.columns).index("Peak Stat") + 1
        found.table.insert(at, letter, values[found.places])
    about = TestedMap(
        tested.z[~np.isnan(tested.z)],
        threshold,
        tested.two_sided,
        limits.cluster_threshold,
    )
    return with_p_values(found, about, method)


def _only_members(row: Floats, members: NDArray[np.bool_] | None) -> tuple[Floats, float]:
    """Return z in the places that are in clusters, and a threshold below all of it."""
    if members is None:
        raise ArgumentError(
            "stat_threshold",
            "missing",
            "a z beyond which places form clusters",
            "only "
            + argument("correction", "permutation")
            + " with the clusters that the test formed (threshold=...) knows them",
        )
    kept = np.where(members, row, 0.0)
    least = float(np.nanmin(np.abs(kept[kept != 0]), initial=math.inf))
    return kept, least / 2


def public_rows(found: FoundClusters) -> pd.DataFrame:
    """Return the table as users get it: places of a table of regions have names, and no clusters.

    Peaks without a position in mm have no columns of it.
    """
    table: Any = found.table
    axes = ["X", "Y", "Z"]
    if len(table) and table[axes].isna().all(axis=None):
        table = table.drop(columns=axes)
    if found.space.has_neighbours:
        return table  # type: ignore[no-any-return]
    one, _ = found.space.place_words
    names = [found.space.describe_place(place) for place in found.places.tolist()]
    table = table.drop(columns="Cluster ID")
    table.insert(0, one.capitalize(), names)
    return table  # type: ignore[no-any-return]
