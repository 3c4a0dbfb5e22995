# SPDX-License-Identifier: BSD-3-Clause
"""The results of a map of z, t or F: clusters and peaks with the p-values of a correction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groupglm.errors import renamed
from groupglm.inference.arguments import (
    check_cluster_threshold,
    check_distance,
    check_z_scale,
    refuse_clusters,
    signed_threshold,
)
from groupglm.inference.cluster_regions import with_regions
from groupglm.inference.corrected_p.methods import RandomField
from groupglm.inference.random_fields.map_field import field_of_map
from groupglm.inference.results_rows import Limits, TestedRow, find_results, method_of
from groupglm.inference.stat_map import read_stat_map

if TYPE_CHECKING:
    from groupglm.atlases.atlas import Atlas
    from groupglm.inference.corrected_p.methods import Method
    from groupglm.inference.corrected_p.permuted import PermutedMaps
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.inference.results_rows import Correction
    from groupglm.spaces.geometry import Geometry

__all__ = ["checked_limits", "results_of_map", "results_of_row", "tested_map"]


def results_of_map(
    stat_img: Any,
    stat_threshold: float,
    cluster_threshold: float,
    *,
    two_sided: bool,
    min_distance: float,
    correction: Correction,
    mask_img: Any,
    geometry: Geometry,
    atlas: Atlas | None,
) -> FoundClusters:
    """Find the results of a map; parameters are those of `groupglm.get_results_table`."""
    tested = tested_map(stat_img, mask_img, None, geometry, two_sided=two_sided)
    limits = checked_limits(stat_threshold, cluster_threshold, min_distance, stat_img, tested)
    found, _ = results_of_row(tested, limits, correction)
    return found if atlas is None else with_regions(found, atlas, tested.name)


def tested_map(
    stat_img: Any, mask_img: Any, smoothness: Any, geometry: Geometry, *, two_sided: bool
) -> TestedRow:
    """Return the z-scores of a map."""
    own = read_stat_map(stat_img, mask_img, geometry=geometry)
    as_z = own.as_z()
    check_z_scale(as_z)
    statistic = None
    if as_z is not own and own.scale is not None:
        statistic = (own.scale.statistic.kind, own.values)
    return TestedRow(
        own.name,
        as_z.space,
        as_z.values,
        as_z.has_two_tails(two_sided=two_sided),
        statistic,
        lambda: field_of_map(stat_img, own, smoothness),
    )


def checked_limits(
    stat_threshold: float | None,
    cluster_threshold: float,
    min_distance: float,
    stat_img: Any,
    tested: TestedRow,
) -> Limits:
    """Return what of a map is tabulated; `stat_img` is the map, or None of a model's contrast."""
    threshold = None
    if stat_threshold is not None:
        threshold = signed_threshold("stat_threshold", stat_threshold, two_sided=tested.two_sided)
    limits = Limits(
        threshold,
        check_cluster_threshold(cluster_threshold, stat_img),
        check_distance(min_distance),
    )
    if limits.cluster_threshold > 0:
        refuse_clusters(tested.space, "cluster_threshold", f"is {limits.cluster_threshold:g}")
    return limits


def results_of_row(
    tested: TestedRow,
    limits: Limits,
    correction: Correction,
    permuted: PermutedMaps | None = None,
) -> tuple[FoundClusters, Method]:
    """Find peaks and clusters with their p-values, and return the method of these too."""
    with renamed(threshold="stat_threshold"):
        method = method_of(correction, tested, permuted)
        if isinstance(method, RandomField):
            tested = replace(tested, z=method.field.searched(tested.z))
        members = None if permuted is None else permuted.members
        return find_results(tested, limits, method, permuted, members), method
