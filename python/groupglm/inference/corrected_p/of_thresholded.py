# SPDX-License-Identifier: BSD-3-Clause
"""p-values of what survives a threshold, by the method that set the threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.cluster_table import tabulate
from groupglm.inference.corrected_p.columns import with_p_values
from groupglm.inference.corrected_p.methods import (
    RANDOM_FIELD_SOURCES,
    Bonferroni,
    FalseDiscoveryRate,
    RandomField,
    TestedMap,
    Uncorrected,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from groupglm.inference.corrected_p.methods import Method
    from groupglm.inference.found_clusters import ClusterSet, FoundClusters
    from groupglm.inference.random_fields.map_field import MapField
    from groupglm.inference.thresholded_map import ThresholdedMap

__all__ = [
    "map_of_threshold",
    "method_of_control",
    "sources_of_control",
    "with_p_of_threshold",
]


def method_of_control(control: str | None, field: MapField | None = None) -> Method:
    """Return the method of p-values of a control of error, as `threshold_stats_img` has them."""
    if field is not None:
        return RandomField(field)
    if control == "fdr":
        return FalseDiscoveryRate()
    return Bonferroni() if control == "bonferroni" else Uncorrected()


def sources_of_control(control: str) -> Mapping[str, str]:
    """Return the columns of p of a control of error, and where the method of each is from."""
    return RANDOM_FIELD_SOURCES if control == "rft" else method_of_control(control).sources


def map_of_threshold(
    kept: ThresholdedMap, *, two_sided: bool, cluster_threshold: float = 0
) -> TestedMap:
    """Return the z-scores of a thresholded map, and which clusters are in its table."""
    assert kept.tested is not None  # noqa: S101  (a map was given)
    least = {
        part.name: max(cluster_threshold, kept.cluster_sizes.get(part.name, 0.0))
        for part in kept.tested.space.parts
    }
    return TestedMap(kept.tested.tests, kept.threshold, two_sided, least)


def with_p_of_threshold(
    found: FoundClusters,
    kept: ThresholdedMap,
    method: Method,
    *,
    two_sided: bool,
    cluster_threshold: float = 0,
) -> FoundClusters:
    """Add p-values to the table of the clusters of a thresholded map, on its whole grid.

    Clusters that are too small for the table count among those whose false discovery rate is
    controlled.
    """
    assert kept.tested is not None  # noqa: S101  (a map was given)
    own = kept.tested

    def find_all() -> ClusterSet:
        row = np.zeros(own.everywhere.n_values)
        row[own.inside] = np.nan_to_num(own.values, posinf=np.inf, neginf=-np.inf)
        every = tabulate(own.everywhere, row, kept.threshold, two_sided=two_sided).find_all
        assert every is not None  # noqa: S101  (it has neighbours)
        return every()

    tested = map_of_threshold(kept, two_sided=two_sided, cluster_threshold=cluster_threshold)
    return with_p_values(replace(found, find_all=find_all), tested, method)
