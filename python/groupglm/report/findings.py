# SPDX-License-Identifier: BSD-3-Clause
"""What a contrast found: map, threshold, clusters and peaks; no words and no pictures yet."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from groupglm.group.fitted_group import statistic_of
from groupglm.inference.cluster_table import (
    COLUMNS,
    n_clusters,
    strongest_first,
    tabulate_clusters,
)
from groupglm.inference.labelling import label_clusters
from groupglm.inference.peaks import Extreme, extremes
from groupglm.inference.thresholds import passes_threshold, threshold_stats_img
from groupglm.plotting.volumes import Volume
from groupglm.report.options import describe_weights
from groupglm.spaces.volume.space import volume_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.results import ContrastResult
    from groupglm.report.options import ReportOptions

__all__ = ["Finding", "Peak", "empty_table", "find", "main_peaks", "place_of", "position_of"]

_MAX_PEAKS = 3


@dataclass(frozen=True)
class Peak:
    """A voxel of interest.

    Parameters
    ----------
    position : tuple of 3 floats
        In mm.
    z : float
        Its z score.
    place : int
        Its place in a row of the space's values.
    cluster : str
        The cluster it is the peak of; empty for a peak that did not survive.
    """

    position: tuple[float, float, float]
    z: float
    place: int
    cluster: str


@dataclass(frozen=True, eq=False)
class Finding:
    """What a contrast found.

    Parameters
    ----------
    name : str
        What the user calls the contrast.
    expression : str
        The contrast as an expression over the columns.
    weights : array, shape (n_columns,) or (n_rows, n_columns)
        The contrast.
    result : ContrastResult
        Its statistics.
    two_sided : bool
        Whether both tails were tested; never for F.
    threshold : float
        Of z; infinite where none controls the error rate asked for.
    thresholded : Volume
        The map with zero where nothing survived.
    z_map : Volume
        The map, zero outside the mask; NaN where there is no statistic.
    z_row : array, shape (n_voxels,)
        Its values in the mask.
    table : pandas.DataFrame
        The clusters and their peaks, the strongest first, with the numbers that
        `get_clusters_table` gives them.
    extremes : tuple of Extreme or None
        The strongest positive and the strongest negative z; None where there is none.
    top : Peak
        The voxel of the largest z score, or of the largest size if two-sided.
    peaks : tuple of Peak
        Of the first clusters; the highest voxel if there is none.
    cluster_threshold : int
        Clusters of fewer voxels are left out.
    top_size : int
        Number of voxels beyond the threshold in the cluster of `top`; 0 if it is not beyond it.
    """

    name: str
    expression: str
    weights: NDArray[np.float64]
    result: ContrastResult
    two_sided: bool
    threshold: float
    thresholded: Volume
    z_map: Volume
    z_row: NDArray[np.float64]
    table: pd.DataFrame
    extremes: tuple[Extreme | None, Extreme | None]
    top: Peak
    peaks: tuple[Peak, ...]
    cluster_threshold: int
    top_size: int

    @property
    def in_small_cluster(self) -> bool:
        """Whether the highest voxel is beyond the threshold, and its cluster is left out."""
        return 0 < self.top_size < self.cluster_threshold

    @property
    def survived(self) -> bool:
        """Whether any voxel is above the threshold and in a cluster that is large enough."""
        return bool(self.thresholded.data.any())

    @property
    def n_clusters(self) -> int:
        """Number of clusters; the table has rows for subpeaks too."""
        return n_clusters(self.table)


def find(
    name: str, weights: NDArray[np.float64], group: FittedGroup, options: ReportOptions
) -> Finding:
    """Compute a contrast, threshold it and list its clusters.

    Parameters
    ----------
    name : str
        What the user calls it.
    weights : array
        The contrast.
    group : FittedGroup
        The fit.
    options : ReportOptions
        Thresholds.

    Returns
    -------
    Finding
        All of it.

    Raises
    ------
    groupglm.errors.NotEstimableError
        If the design cannot estimate the contrast.
    ValueError
        If no voxel has a statistic.
    """
    result = group.result.contrast(weights)
    # The z scores of an F statistic are large for effects in any direction: one tail holds all.
    two_sided = options.two_sided and result.stat_type == "t"
    z = result.z_score
    if np.isnan(z).all():
        raise ValueError(
            f"contrast {name}: no voxel has a statistic, because nowhere do the images that have a "
            "value there suffice to estimate it; leave it out of the report"
        )
    # As `compute_contrast` gives it: the page finds what its reader finds in that map.
    descrip = f"{result.stat_type} z_score of contrast {name}"
    image = group.space.to_image(z, descrip, statistic=statistic_of(result, "z_score"))
    with warnings.catch_warnings():
        # That nothing survived, on one side or both, is what the page says.
        warnings.simplefilter("ignore", UserWarning)
        survivors, limit = _survivors(image, group, options, two_sided)
        table = _clusters(image, limit, survivors, options, two_sided)
    top = int(np.nanargmax(np.abs(z) if two_sided else z))
    top_peak = Peak(position_of(group, top), float(z[top]), top, "")
    return Finding(
        name=name,
        expression=describe_weights(weights, list(group.result.column_names)),
        weights=weights,
        result=result,
        two_sided=two_sided,
        threshold=limit,
        thresholded=survivors,
        z_map=Volume(np.asarray(image.dataobj), image.affine),
        z_row=z,
        table=table,
        extremes=extremes(np.asarray(image.dataobj), image.affine),
        top=top_peak,
        peaks=main_peaks(table, group, z) or (top_peak,),
        cluster_threshold=options.cluster_threshold,
        top_size=_cluster_size(z, top, limit, group),
    )


def _cluster_size(z: NDArray[np.float64], top: int, threshold: float, group: FittedGroup) -> int:
    """Return the number of voxels beyond the threshold that are connected with one."""
    members = np.flatnonzero(passes_threshold(z * np.sign(z[top]), threshold, two_sided=False))
    space = volume_space(group.space)
    labels, _ = label_clusters(space.places(members), space.grid.shape)
    own = labels[members == top]
    return int(np.count_nonzero(labels == own[0])) if len(own) else 0


def _survivors(
    image: Nifti1Image, group: FittedGroup, options: ReportOptions, two_sided: bool
) -> tuple[Volume, float]:
    by_alpha = options.height_control is not None
    thresholded, threshold = threshold_stats_img(
        image,
        mask_img=group.space.mask_image(),
        alpha=options.alpha,
        threshold=None if by_alpha else options.threshold,
        height_control=options.height_control,
        cluster_threshold=options.cluster_threshold,
        two_sided=two_sided,
    )
    # There is an image because one was given.
    return Volume.of(cast("Nifti1Image", thresholded), "thresholded map"), float(threshold)


def _clusters(
    image: Nifti1Image,
    threshold: float,
    survivors: Volume,
    options: ReportOptions,
    two_sided: bool,
) -> pd.DataFrame:
    if not survivors.data.any():
        return empty_table()
    found = tabulate_clusters(
        image,
        threshold,
        cluster_threshold=options.cluster_threshold,
        two_sided=two_sided,
        min_distance=options.min_distance,
    )
    return strongest_first(found.table)


def empty_table() -> pd.DataFrame:
    """Return the table of no clusters."""
    import pandas as pd

    return pd.DataFrame(columns=COLUMNS)


def main_peaks(table: pd.DataFrame, group: FittedGroup, z: NDArray[np.float64]) -> tuple[Peak, ...]:
    """Return the highest peaks of clusters, the highest first."""
    peaks = []
    for row in table.itertuples(index=False, name=None):
        label, position = str(row[0]), (float(row[1]), float(row[2]), float(row[3]))
        place = place_of(group, position)
        if label.isdigit() and place is not None:
            peaks.append(Peak(position, float(z[place]), place, label))
    peaks.sort(key=lambda peak: -abs(peak.z))
    return tuple(peaks[:_MAX_PEAKS])


def _indices(group: FittedGroup) -> Any:
    space = volume_space(group.space)
    return np.arange(space.n_values) if space.indices is None else space.indices


def position_of(group: FittedGroup, place: int) -> tuple[float, float, float]:
    """Return where a place in a row is, in mm."""
    grid = volume_space(group.space).grid
    voxel = np.unravel_index(int(_indices(group)[place]), grid.shape, order="F")
    x, y, z = (grid.affine @ [*voxel, 1])[:3]
    return float(x), float(y), float(z)


def place_of(group: FittedGroup, position: Sequence[float]) -> int | None:
    """Return the place in a row of the voxel that holds a position; None outside the mask."""
    grid = volume_space(group.space).grid
    voxel = np.floor((np.linalg.inv(grid.affine) @ [*position, 1.0])[:3] + 0.5).astype(int)
    if (voxel < 0).any() or (voxel >= grid.shape).any():
        return None
    flat = int(np.ravel_multi_index(tuple(voxel), grid.shape, order="F"))
    indices = _indices(group)
    place = int(np.searchsorted(indices, flat))
    return place if place < len(indices) and indices[place] == flat else None
