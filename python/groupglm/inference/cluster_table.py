# SPDX-License-Identifier: BSD-3-Clause
"""The table of clusters, with their peaks and subpeaks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from groupglm.atlases.finding import as_atlas
from groupglm.errors import warn_caller
from groupglm.inference.arguments import (
    below_infinity,
    check_cluster_threshold,
    check_distance,
    refuse_clusters,
    signed_threshold,
    warn_of_scale,
)
from groupglm.inference.cluster_columns import (
    cluster_rows,
    has_nilearns_columns,
    public_table,
    table_of_rows,
)
from groupglm.inference.cluster_regions import with_regions
from groupglm.inference.found_clusters import ClusterSet, FoundClusters
from groupglm.inference.labelling import (
    keep_large_clusters,
    limits_clusters,
)
from groupglm.inference.peaks import Clusters, find_clusters
from groupglm.inference.stat_map import StatMap, read_stat_map
from groupglm.inference.survivors import passes_threshold
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.statistic import Statistic

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.atlases.atlas import Atlas
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image, ImageLike

__all__ = [
    "get_clusters_table",
    "tabulate",
    "tabulate_clusters",
]

_FLOAT64 = np.dtype(np.float64)
_MOST_PEAKS = 4  # the peak and three subpeaks
_MIN_DISTANCE = 8.0  # mm, as in nilearn


@overload
def get_clusters_table(
    stat_img: ImageLike,
    stat_threshold: float,
    cluster_threshold: float = ...,
    two_sided: bool = ...,
    min_distance: float = ...,
    return_label_maps: Literal[False] = ...,
    *,
    surfaces: Any = ...,
    areas: Any = ...,
    atlas: Any = ...,
) -> pd.DataFrame: ...


@overload
def get_clusters_table(
    stat_img: ImageLike,
    stat_threshold: float,
    cluster_threshold: float = ...,
    two_sided: bool = ...,
    min_distance: float = ...,
    *,
    return_label_maps: Literal[True],
    surfaces: Any = ...,
    areas: Any = ...,
    atlas: Any = ...,
) -> tuple[pd.DataFrame, list[Image]]: ...


def get_clusters_table(
    stat_img: ImageLike,
    stat_threshold: float,
    cluster_threshold: float = 0,
    two_sided: bool = False,
    min_distance: float = _MIN_DISTANCE,
    return_label_maps: bool = False,
    *,
    surfaces: Any = None,
    areas: Any = None,
    atlas: Any = None,
) -> pd.DataFrame | tuple[pd.DataFrame, list[Image]]:
    """Tabulate the clusters of a statistical map, with their peaks and subpeaks.

    Parameters
    ----------
    stat_img : str, os.PathLike, image or pair of images
        A map in which extreme values are the interesting ones: z, t or -log10(p), not p. It is a
        3-D image, or a map of surfaces or grayordinates as `SecondLevelModel` returns it.
    stat_threshold : float
        The cluster-forming threshold, on the scale of the map. Voxels beyond it are in a cluster,
        and so is every infinite value. A value equal to the threshold is not in a cluster, as in
        nilearn (but `threshold_stats_img` keeps it). A negative threshold, with
        ``two_sided=False``, gives the clusters of the negative tail. With an infinite threshold,
        as of a false discovery rate without a discovery, no finite value is in a cluster.
    cluster_threshold : float, default=0
        Leave out smaller clusters: of fewer voxels, or of fewer mm2 on a surface. For their size,
        values equal to `stat_threshold` count, as in nilearn. Of a nilearn ``SurfaceImage``, the
        size is the number of vertices, unless `surfaces` or `areas` are given.
    two_sided : bool, default=False
        Whether to list the negative tail too, after the positive one. The z of an F test has one
        tail.
    min_distance : float, default=8.0
        Least distance in mm of a subpeak from the one listed before it, along the edges of the mesh
        on a surface. Zero means no limit.
    return_label_maps : bool, default=False
        Whether to return images of the numbers of the clusters too.
    surfaces, areas : optional
        The meshes of a map of surfaces and the areas of their vertices, as `SecondLevelModel` takes
        them. A map that does not have its mesh needs `surfaces`. On volumes they have no effect,
        with a warning.
    atlas : Atlas, str, os.PathLike, image or pair of images, optional
        Names the places: an atlas as `load_atlas` or `find_atlas` returns it, the image of one, or
        words of the name of one that is on this machine. It has the grid of the map, unless it was
        loaded with ``resample="nearest"``.

    Returns
    -------
    table : pandas.DataFrame
        One row for each peak. Clusters are in the order of their most extreme value, with at most
        three subpeaks each. Columns:

        - ``Cluster ID``: the number of the cluster, counted from 1 over both tails. A subpeak has a
          letter after the number.
        - ``X``, ``Y``, ``Z``: position in mm, by the affine of the map.
        - ``Peak Stat``: the value at the peak.
        - ``Cluster Size (mm3)``: the size, rounded down to a whole number; empty for subpeaks.

        On surfaces:

        - ``Structure``: the hemisphere, or the structure of a CIFTI file; after ``Cluster ID``.
        - ``Vertex``: the peak's number on its surface, counted from 0.
        - ``X``, ``Y``, ``Z``: position in mm on the given surface.
        - ``Cluster Size (mm2)``: the sum of the areas of the vertices; empty for subpeaks.
        - ``Vertices``: the number of vertices of the cluster; empty for subpeaks.

        With both surfaces and voxels, ``Cluster Size`` is in the ``Unit`` beside it. Of a nilearn
        ``SurfaceImage`` without `surfaces` and `areas`, the columns are nilearn's, with one row for
        each cluster: ``Cluster ID``, ``Hemisphere``, ``Peak Stat``, ``Cluster Size (vertices)``.

        With `atlas`, at the end:

        - ``Region``: the region that the peak is in, or "no label".
        - ``Regions of Cluster``: the percentage of the cluster, of its area on surfaces, that is in
          each region, the largest first; empty for subpeaks.
    label_maps : list of images
        One image for one tail, or two for both, positive and negative, of the kind of the map. They
        are int32: the number of the cluster in the table, zero outside clusters. Only with
        `return_label_maps`.

    Raises
    ------
    ValueError
        If a number is out of range, the map is a constant other than zero, its sidecar, header or
        name says that it is of p-values, or its places have no neighbours: a surface without its
        mesh, or regions.
    ImageError
        If the map or the atlas cannot be read, or the map is NaN everywhere.
    GridMismatchError
        If the atlas is on another grid, and was not loaded to be resampled.

    Warns
    -----
    UserWarning
        If a tail has no cluster, the threshold is probably a p-value, or voxels are NaN (they are
        in no cluster).

    Notes
    -----
    Voxels of the same sign that share a face are in one cluster, and so are vertices that share an
    edge. A peak is a voxel that none of its 26 neighbours in the cluster exceeds, or a vertex that
    none of those exceeds which share an edge with it. Connected peaks of the same value are one
    peak, at the voxel or vertex nearest to their middle. Subpeaks are listed in decreasing order.
    Each is compared with the one just before it, as in nilearn, so the first and the third may be
    closer than `min_distance`.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> z = np.zeros((7, 7, 7))
    >>> z[3, 3, 2:5] = 3.5, 4.0, 3.2
    >>> z[1, 1, 1] = -5.0
    >>> image = nibabel.Nifti1Image(z, np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> get_clusters_table(image, 3.0, two_sided=True)
       Cluster ID    X    Y    Z  Peak Stat  Cluster Size (mm3)
    0           1  6.0  6.0  6.0        4.0                  24
    1           2  2.0  2.0  2.0       -5.0                   8
    """
    with_maps = check_truth("return_label_maps", return_label_maps)
    found = tabulate_clusters(
        stat_img,
        stat_threshold,
        cluster_threshold,
        two_sided=two_sided,
        min_distance=min_distance,
        geometry=Geometry(surfaces, areas),
        atlas=None if atlas is None else as_atlas(atlas),
    )
    space = found.space
    if has_nilearns_columns(space) and min_distance != _MIN_DISTANCE:
        warn_caller(
            f"min_distance={min_distance:g} has no effect on the table of a SurfaceImage, which "
            "has one row for each cluster, as nilearn's has; give surfaces for one with subpeaks"
        )
    table = public_table(found.table, space)
    if not with_maps:
        return table
    return table, [
        space.to_image(labels, "cluster labels", dtype=np.int32, statistic=Statistic("label"))
        for labels in found.labels
    ]


def tabulate_clusters(
    stat_img: ImageLike,
    stat_threshold: float,
    cluster_threshold: float = 0,
    *,
    two_sided: bool,
    min_distance: float = _MIN_DISTANCE,
    geometry: Geometry = NO_GEOMETRY,
    described: bool = False,
    atlas: Atlas | None = None,
) -> FoundClusters:
    """Find the clusters of a map; parameters and errors are those of `get_clusters_table`.

    `described`: whether the map's sidecar is known to describe this very file.
    """
    two_sided = check_truth("two_sided", two_sided)
    threshold = signed_threshold("stat_threshold", stat_threshold, two_sided=two_sided)
    smallest = check_cluster_threshold(cluster_threshold, stat_img)
    distance = check_distance(min_distance)
    stat_map = read_stat_map(stat_img, geometry=geometry, whole_grid=True, described=described)
    refuse_clusters(stat_map.space, "stat_img", "is a map of regions")
    stat_map.refuse_p()
    two_sided = stat_map.has_two_tails(two_sided=two_sided)
    warn_of_scale(
        "stat_threshold",
        threshold,
        stat_map,
        remedy=lambda _, z: argument("stat_threshold", shown=f"{z:.3g}"),
    )
    found = tabulate(
        stat_map.space,
        stat_map.values,
        threshold,
        cluster_threshold=smallest,
        two_sided=two_sided,
        min_distance=distance,
        dtype=stat_map.dtype,
    )
    for sign, labels in zip(_signs(threshold, two_sided=two_sided), found.labels, strict=True):
        if not labels.any():
            _warn_no_cluster(stat_map, sign * abs(threshold), smallest)
    return found if atlas is None else with_regions(found, atlas, stat_map.name)


def tabulate(
    space: Space,
    row: NDArray[np.float64],
    threshold: float,
    *,
    cluster_threshold: float = 0,
    two_sided: bool,
    min_distance: float = _MIN_DISTANCE,
    dtype: np.dtype[Any] = _FLOAT64,
) -> FoundClusters:
    """Tabulate the clusters of a row of values.

    Shapes: `row` (n_values,).
    """
    row = np.where(np.isnan(row), 0.0, row)
    every, signs = row, _signs(threshold, two_sided=two_sided)
    if limits_clusters(space, cluster_threshold):
        passing = passes_threshold(row, threshold, two_sided=two_sided)
        row, _ = keep_large_clusters(np.where(passing, row, 0.0), space, cluster_threshold)

    def find(values: NDArray[np.float64]) -> list[Clusters]:
        most = 1 if has_nilearns_columns(space) else _MOST_PEAKS  # nilearn lists no subpeaks
        limit = below_infinity(abs(threshold))
        return [
            find_clusters(space, values * sign, limit, min_distance=min_distance, most=most)
            for sign in signs
        ]

    tails = find(row)
    rows: list[list[Any]] = []
    for sign, clusters, before in zip(signs, tails, _starts(tails), strict=True):
        rows += cluster_rows(clusters, space, sign, first=before + 1)
    places = [peaks.places for clusters in tails for peaks in clusters.peaks]
    return FoundClusters(
        space,
        table_of_rows(rows, space, dtype),
        np.concatenate([np.zeros(0, np.intp), *places]),
        _labels(tails),
        lambda: _together(tails if row is every else find(every)),
    )


def _starts(tails: list[Clusters]) -> list[int]:
    """Return for each tail how many clusters are in those before it."""
    counts = [len(clusters.peaks) for clusters in tails]
    return [sum(counts[:number]) for number in range(len(counts))]


def _labels(tails: list[Clusters]) -> list[NDArray[np.int32]]:
    return [
        np.where(clusters.labels > 0, clusters.labels + np.int32(before), 0)
        for clusters, before in zip(tails, _starts(tails), strict=True)
    ]


def _together(tails: list[Clusters]) -> ClusterSet:
    """Return the clusters of all tails as one set."""
    return ClusterSet(
        np.sum(_labels(tails), axis=0, dtype=np.int32),
        np.concatenate([clusters.sizes.astype(np.float64) for clusters in tails]),
        np.array([own.places[0] for clusters in tails for own in clusters.peaks], np.intp),
        np.concatenate([clusters.maxima for clusters in tails]),
    )


def _signs(threshold: float, *, two_sided: bool) -> tuple[int, ...]:
    """Return the tails of a test: 1 for large values, -1 for small ones."""
    return (1, -1) if two_sided else (-1 if threshold < 0 else 1,)


def _warn_no_cluster(stat_map: StatMap, threshold: float, smallest: float) -> None:
    beyond = "above" if threshold >= 0 else "below"
    extreme = stat_map.tests.max() if threshold >= 0 else stat_map.tests.min()
    if math.isinf(threshold):
        warn_caller(
            f"No clusters found in {stat_map.name}: no cluster {beyond} an infinite "
            "threshold, which is that of a false discovery rate where there is no discovery: the "
            f"most extreme value is {extreme:.4g}"
        )
        return
    limited = limits_clusters(stat_map.space, smallest)
    of_size = f" of {smallest:g} {stat_map.space.unit} or more" if limited else ""
    scale = "; all its values lie between 0 and 1, as p-values do: give the map of z-scores"
    out_of_reach = abs(threshold) > abs(extreme)
    warn_caller(
        f"No clusters found in {stat_map.name}: no cluster{of_size} {beyond} {threshold:g}: "
        f"the most extreme value is {extreme:.4g}{scale if stat_map.looks_like_p else ''}"
        + (f". But, you have given threshold={threshold:g}" if out_of_reach else "")
        + "; give a threshold on the scale of the map, or take it that there is none"
    )
