# SPDX-License-Identifier: BSD-3-Clause
"""The findings of a contrast: map, threshold, clusters and peaks; no words and no pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, printable, renamed
from groupglm.inference.arguments import refuse_clusters
from groupglm.inference.cluster_regions import with_regions
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.corrected_p.columns import with_p_values
from groupglm.inference.corrected_p.methods import TestedMap
from groupglm.inference.corrected_p.of_thresholded import (
    method_of_control,
    with_p_of_threshold,
)
from groupglm.inference.error_rates import threshold_of
from groupglm.inference.found_clusters import FoundClusters, n_clusters, strongest_first
from groupglm.inference.labelling import label_clusters
from groupglm.inference.peaks import Extreme, extremes
from groupglm.inference.places_table import tabulate_places
from groupglm.inference.random_fields.map_field import field_of_result
from groupglm.inference.stat_map import StatMap
from groupglm.inference.survivors import passes_threshold, survivors
from groupglm.inference.thresholded_map import (
    ThresholdedMap,
    least_sizes,
    searched,
    threshold_by_fields,
)
from groupglm.models.null_value import against
from groupglm.spaces.narrowing import narrowed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.design.hypotheses import Hypothesis
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.models.results import ContrastResult
    from groupglm.report.options import ReportOptions
    from groupglm.spaces.base import Space

    Row = NDArray[np.floating]

__all__ = [
    "MOST_CLUSTERS",
    "Finding",
    "Peak",
    "find",
    "listed_peaks",
    "main_peaks",
    "peak_at",
    "with_places",
]

_MAX_PEAKS = 3

MOST_CLUSTERS = 100
"""Clusters in a table: thousands would make the page slow, and nobody reads them."""


@dataclass(frozen=True)
class Peak:
    """A place of interest.

    Parameters
    ----------
    place : int
        Its place in a row of the space's values.
    position : tuple of 3 floats
        Its position in mm.
    where : str
        The position in words.
    z : float
        Its z score.
    cluster : str
        The cluster of which it is the peak; empty for a peak that did not survive.
    """

    place: int
    position: tuple[float, float, float]
    where: str
    z: float
    cluster: str


@dataclass(frozen=True, eq=False)
class Finding:
    """The findings of a contrast.

    Parameters
    ----------
    name : str
        The user's name of the contrast.
    expression : str
        The contrast as an expression over the columns.
    weights : array, shape (n_columns,) or (n_rows, n_columns)
        The contrast.
    result : ContrastResult
        Its statistics.
    two_sided : bool
        Whether both tails were tested; never for F.
    threshold : float
        Threshold of z; infinite if none controls the error rate that was asked for.
    space : Space
        The places of the values of the rows.
    z : array of float64, shape (n_values,)
        The z scores; NaN where there is no statistic.
    shown : array of float32 or float64, shape (n_values,)
        The z scores in the type of an image.
    survivors : array, shape (n_values,)
        The values of `shown` that survive, zero elsewhere.
    table : pandas.DataFrame
        The clusters and their peaks, the strongest first, with the numbers that
        `get_clusters_table` gives them.
    places : array of int, shape (n_rows,)
        The place of the peak in each row of the table.
    extremes : tuple of Extreme or None
        The strongest positive and the strongest negative z; None if there is none.
    top : Peak
        The place of the largest z score, or of the largest size if two-sided.
    peaks : tuple of Peak
        The peaks of the first clusters; the highest voxel if there is no cluster.
    cluster_threshold : int
        Clusters of a smaller size are left out.
    top_size : float
        Size of the cluster, beyond the threshold, that holds `top`; 0 if `top` is not beyond it.
    cluster_sizes : dict of str to float
        Of "cluster-rft", the size from which on a cluster is significant, of each part of the
        space by its name.
    n_left_out : int
        Places that random field theory does not search, because of few degrees of freedom.
    """

    name: str
    expression: str
    weights: NDArray[np.float64]
    result: ContrastResult
    two_sided: bool
    threshold: float
    space: Space
    z: NDArray[np.float64]
    shown: Row
    survivors: Row
    table: pd.DataFrame
    places: NDArray[np.intp]
    extremes: tuple[Extreme | None, Extreme | None]
    top: Peak
    peaks: tuple[Peak, ...]
    cluster_threshold: int
    top_size: float
    cluster_sizes: dict[str, float]
    n_left_out: int

    @property
    def in_small_cluster(self) -> bool:
        """Whether the highest voxel passes the threshold, but its cluster is too small."""
        return 0 < self.top_size < self.least_size(self.top.place)

    def least_size(self, place: int) -> float:
        """Return the least size of a cluster at a place that is shown, in the unit of its part."""
        own = [part.name for part in self.space.parts if part.first <= place < part.end]
        return max([self.cluster_threshold, *(self.cluster_sizes.get(name, 0.0) for name in own)])

    @property
    def survived(self) -> bool:
        """Whether any voxel is above the threshold in a cluster that is large enough."""
        return bool(self.survivors.any())

    @property
    def n_clusters(self) -> int:
        """Number of clusters; rows of the table for subpeaks do not count."""
        return n_clusters(self.table)


def find(
    name: str,
    tested: Hypothesis,
    group: FittedGroup,
    options: ReportOptions,
    smoothness: Smoothness | None = None,
) -> Finding:
    """Compute a contrast, threshold it and list its clusters.

    `smoothness` is that of the fit's residuals; random field theory needs it.
    """
    weights = tested.weights
    with renamed(contrast="contrasts"):
        result = against(group.result.contrast(weights), tested.null_value, group.result.n_threads)
    # The z of an F statistic is large for effects in any direction, so one tail holds them all.
    two_sided = options.two_sided and result.stat_type == "t"
    z = result.z_score
    if np.isnan(z).all():
        one, _ = group.space.place_words
        raise ArgumentError.about(
            "contrasts",
            f"contrast {printable(name)}: no {one} has a statistic, because nowhere do the images "
            "that have a value there suffice to estimate it",
            "leave it out of the report",
        )
    # In the type of `compute_contrast`'s images: the page then shows what its reader finds there.
    shown = narrowed(z)
    values = shown.astype(np.float64)
    extent = options.cluster_threshold
    if extent:
        refuse_clusters(group.space, "cluster_threshold", f"is {extent}")
    stat_map = _as_map(f"the map of {printable(name)}", group.space, values, shown.dtype)
    own = _threshold(stat_map, result, options, smoothness, two_sided=two_sided)
    limit = own.threshold
    assert own.tested is not None  # noqa: S101  (as it is the map that was given)
    kept = survivors(
        group.space,
        own.tested.values,
        limit,
        least_sizes(group.space, extent, own.cluster_sizes),
        two_sided=two_sided,
    ).row
    found = _tabulated(own, kept, options, two_sided=two_sided)
    if options.atlas is not None and group.space.has_neighbours:
        found = with_regions(found, options.atlas, stat_map.name)
    top = peak_at(_farthest(z, limit, two_sided=two_sided), group.space, z)
    return Finding(
        name=name,
        expression=tested.in_words(list(group.result.column_names)),
        weights=weights,
        result=result,
        two_sided=two_sided,
        threshold=limit,
        space=group.space,
        z=z,
        shown=shown,
        survivors=np.asarray(kept, dtype=shown.dtype),
        table=with_places(found),
        places=found.places,
        extremes=extremes(group.space, shown),
        top=top,
        peaks=main_peaks(found, z) or (top,),
        cluster_threshold=extent,
        top_size=_cluster_size(z, top.place, limit, group.space),
        cluster_sizes=own.cluster_sizes,
        n_left_out=0 if own.field is None else own.field.n_left_out,
    )


def _as_map(name: str, space: Space, values: NDArray[np.float64], dtype: np.dtype[Any]) -> StatMap:
    """Return a row of z-scores as the functions of thresholds take it."""
    everywhere = np.ones(space.n_values, np.bool_)
    return StatMap(name, space, values, ~np.isnan(values), dtype, space, everywhere)


def _threshold(
    stat_map: StatMap,
    result: ContrastResult,
    options: ReportOptions,
    smoothness: Smoothness | None,
    *,
    two_sided: bool,
) -> ThresholdedMap:
    """Return the threshold of a map of z, and the sizes that its clusters need."""
    control, alpha = options.height_control, options.alpha
    if control is None:
        return ThresholdedMap(None, options.threshold, {}, stat_map)
    if control == "rft" or control == "cluster-rft":  # noqa: PLR1714  (for the types)
        assert smoothness is not None  # noqa: S101  (the page has it for such a control)
        own = field_of_result(result, smoothness, stat_map.space.place_words)
        stat_map = searched(stat_map, own)
        if alpha == 0:
            return ThresholdedMap(None, math.inf, {}, stat_map, own)
        with renamed(images="height_control"):
            limit, sizes = threshold_by_fields(
                control, stat_map, own, alpha, options.cluster_forming_p, two_sided=two_sided
            )
        return ThresholdedMap(None, limit, sizes, stat_map, own)
    limit = threshold_of(stat_map.tests, alpha, control, two_sided=two_sided)
    return ThresholdedMap(None, limit, {}, stat_map)


def _tabulated(
    own: ThresholdedMap, kept: NDArray[np.float64], options: ReportOptions, *, two_sided: bool
) -> FoundClusters:
    """Return the clusters that survive, the strongest first, with their p-values."""
    stat_map, extent = own.tested, options.cluster_threshold
    assert stat_map is not None  # noqa: S101  (`_threshold` has it)
    space, values = stat_map.space, stat_map.values  # noqa: PD011
    method = method_of_control(options.height_control, own.field)
    if not space.has_neighbours:
        found = tabulate_places(space, values, own.threshold, two_sided=two_sided)
        tested = TestedMap(stat_map.tests, own.threshold, two_sided, extent)
        return with_p_values(found, tested, method).strongest_first()
    found = tabulate(
        space,
        kept if own.cluster_sizes else values,  # in which small clusters are zero
        own.threshold,
        cluster_threshold=extent,
        two_sided=two_sided,
        min_distance=options.min_distance,
        dtype=stat_map.dtype,
    )
    if own.cluster_sizes:
        with_p = with_p_of_threshold(
            found, own, method, two_sided=two_sided, cluster_threshold=extent
        )
    else:
        tested = TestedMap(stat_map.tests, own.threshold, two_sided, extent)
        with_p = with_p_values(found, tested, method)
    return with_p.strongest_first()


def _farthest(z: NDArray[np.float64], threshold: float, *, two_sided: bool) -> int:
    """Return the place of the strongest evidence, which a negative threshold seeks below it."""
    size = np.abs(z) if two_sided else -z if threshold < 0 else z
    return int(np.nanargmax(size))


def _cluster_size(z: NDArray[np.float64], top: int, threshold: float, space: Space) -> float:
    """Return the size of a place's cluster beyond the threshold; 0 if it is in none."""
    if not space.has_neighbours:
        return float(abs(z[top]) >= abs(threshold))
    members = np.flatnonzero(passes_threshold(z * np.sign(z[top]), abs(threshold), two_sided=False))
    labels, sizes = label_clusters(space, members)
    own = labels[members == top]
    return sizes[own[0] - 1].item() if len(own) else 0


def with_places(found: FoundClusters) -> pd.DataFrame:
    """Return the table of clusters; peaks without a position in mm are named in words."""
    table, axes = found.table, ["X", "Y", "Z"]
    if not table[axes].isna().any(axis=None):
        return table
    names = [found.space.describe_place(place) for place in found.places.tolist()]
    table = table.drop(columns=axes) if table[axes].isna().all(axis=None) else table.copy()
    table.insert(1, "Place", names)
    return table


def peak_at(place: int, space: Space, z: NDArray[np.float64]) -> Peak:
    """Return a place as a peak that did not survive."""
    x, y, mm = space.coordinates(np.array([place]))[0].tolist()
    return Peak(place, (x, y, mm), space.describe_place(place), float(z[place]), "")


def main_peaks(found: FoundClusters, z: NDArray[np.float64]) -> tuple[Peak, ...]:
    """Return the highest peaks of the strongest clusters, the strongest first."""
    places, table = found.places.tolist(), found.table
    labels = table["Cluster ID"].astype(str).tolist()
    rows = [row for row, label in enumerate(labels) if label.isdigit()]
    rows.sort(key=lambda row: -abs(z[places[row]]))
    peaks = []
    for row in rows[:_MAX_PEAKS]:
        x, y, mm = table[["X", "Y", "Z"]].iloc[row].tolist()  # the numbers that the table shows
        place = places[row]
        where = found.space.describe_place(place)
        peaks.append(Peak(place, (x, y, mm), where, float(z[place]), labels[row]))
    return tuple(peaks)


def listed_peaks(finding: Finding) -> tuple[Peak, ...]:
    """Return the peaks of all rows of the page's table, further peaks of a cluster included."""
    shown = strongest_first(finding.table, MOST_CLUSTERS)
    places = finding.places[: len(shown)]  # the table is in that order
    positions = finding.space.coordinates(places).tolist()
    return tuple(
        Peak(
            place,
            (x, y, mm),
            finding.space.describe_place(place),
            float(finding.z[place]),
            str(label),
        )
        for place, (x, y, mm), label in zip(
            places.tolist(), positions, shown["Cluster ID"], strict=True
        )
    )
