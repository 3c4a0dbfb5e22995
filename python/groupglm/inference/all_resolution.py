# SPDX-License-Identifier: BSD-3-Clause
"""The share of a cluster, or of any region, that is truly active: all-resolution inference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.arguments import (
    below_infinity,
    check_probability,
    check_z_scale,
    refuse_clusters,
    warn_of_scale,
)
from groupglm.inference.discoveries import Discoveries, p_values
from groupglm.inference.labelling import label_clusters
from groupglm.inference.regions import places_of_regions
from groupglm.inference.stat_map import StatMap, read_stat_map
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth, real_array, real_number
from groupglm.runtime.progress import Progress
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.statistic import Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image, ImageLike

__all__ = [
    "cluster_level_inference",
    "discoveries_of",
    "discovery_proportions",
    "true_discovery_bounds",
]


def cluster_level_inference(
    stat_img: ImageLike,
    mask_img: Any = None,
    threshold: float | Sequence[float] = 3.0,
    alpha: float = 0.05,
    verbose: int = 0,
    *,
    two_sided: bool = False,
    surfaces: Any = None,
    areas: Any = None,
) -> Image:
    """Bound from below the proportion of truly active voxels in each cluster.

    Parameters
    ----------
    stat_img : str, os.PathLike, image or pair of images
        A map of z-values, or of t or F with known degrees of freedom, which is converted. See
        `threshold_stats_img` for how groupglm knows what a map holds, and for its kinds.
    mask_img : str, os.PathLike, nibabel image or masker, optional
        The voxels that are tested, on the grid of the map. By default those that differ from the
        background of the map, which is what lies within two voxels of the faces of the volume.
    threshold : float or sequence of floats, default=3.0
        The cluster-forming threshold: a z, not negative. An infinite value of the map is beyond
        every threshold. With several thresholds, each voxel gets the bound of its cluster at the
        highest threshold that it passes. All bounds are true at once, so several thresholds cost
        nothing.
    alpha : float, default=0.05
        The bounds of all clusters are true together with a probability of at least ``1 - alpha``.
    verbose : int, default=0
        1 or more prints Hommel's value and the number of clusters.
    two_sided : bool, default=False
        Whether to test both tails, with two-sided p-values, and form clusters of either sign. The
        z of an F test has one tail.
    surfaces : optional
        The meshes of a map of surfaces, as `SecondLevelModel` takes them: clusters are formed by
        the edges of the mesh. On volumes they have no effect, with a warning.
    areas : optional
        No effect, with a warning: a proportion is one of vertices, whatever their areas.

    Returns
    -------
    image
        Of the map's kind. At each voxel of a cluster, the lower bound of the proportion of voxels
        of this cluster that are truly active. Zero outside clusters. NaN in the mask where the map
        is NaN. An infinite z has a p-value of zero.

    Raises
    ------
    ValueError
        If a number is out of range, the map is known to hold something other than z, t or F, or the
        mask is empty.
    ImageError
        If the map or the mask cannot be read, or the map is NaN everywhere inside the mask.
    GridMismatchError
        If the mask is on another grid.

    Warns
    -----
    UserWarning
        If voxels of the mask are NaN (they are not tested), no voxel passes, the map was
        converted, all its values lie between 0 and 1 as p-values do, or an option has no effect.

    See Also
    --------
    true_discovery_bounds : The same for regions of your own.

    Notes
    -----
    The method is all-resolution inference (Rosenblatt, Finos, Weeda, Solari & Goeman 2018,
    NeuroImage 181, 786-796). It assumes Simes' inequality, which is true for independent and for
    positively dependent tests.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> z = np.random.default_rng(0).normal(size=(10, 10, 10))
    >>> z[3:6, 3:6, 3:6] += 6.0
    >>> proportions = cluster_level_inference(nibabel.Nifti1Image(z, np.eye(4)))
    >>> round(float(proportions.get_fdata()[4, 4, 4]), 3)
    1.0
    """
    thresholds = _thresholds(threshold)
    check_truth("two_sided", two_sided)
    progress = Progress(verbose)
    alpha = check_probability("alpha", alpha)
    geometry = Geometry(surfaces, areas)
    if areas is not None:
        warn_caller(
            argument("areas") + " has no effect on proportions of true discoveries, which are of "
            "vertices; leave it out"
        )
    stat_map = read_stat_map(stat_img, mask_img, geometry=replace(geometry, areas=None)).as_z()
    refuse_clusters(stat_map.space, "stat_img", "is a map of regions")
    check_z_scale(stat_map)
    two_sided = stat_map.has_two_tails(two_sided=two_sided)
    warn_of_scale(
        "threshold",
        thresholds[0],
        stat_map,
        remedy=lambda _, z: argument("threshold", shown=f"{z:.3g}"),
    )
    space = stat_map.space
    found = discoveries_of(stat_map.values, alpha, two_sided=two_sided)
    progress.result(f"Hommel's value: {found.hommel} of {stat_map.n_tested} {space.place_words[1]}")
    row = np.zeros(space.n_values)
    for height in thresholds:
        proportions, n_clusters = discovery_proportions(
            space, stat_map.values, below_infinity(height), found, two_sided=two_sided
        )
        # A cluster at a higher threshold lies within a cluster at a lower one, and replaces its
        # value.
        row = np.where(np.isnan(proportions), row, proportions)
        progress.result(f"clusters beyond {height:g}: {n_clusters}")
    if not row.any():
        _report_nothing(stat_map, thresholds[0], two_sided=two_sided)
    descrip = f"true discovery proportion, alpha {alpha:g}"
    image: Image = stat_map.image(row, descrip, Statistic("true discovery proportions"))
    return image


def true_discovery_bounds(
    stat_img: ImageLike,
    regions: Any,
    mask_img: Any = None,
    alpha: float = 0.05,
    *,
    two_sided: bool = False,
) -> pd.DataFrame:
    """Bound from below how many voxels of regions of your own are truly active.

    You may choose the regions after you have seen the map, as often as you like: with a probability
    of at least ``1 - alpha``, the bounds of all possible regions are true together.

    Parameters
    ----------
    stat_img : str, os.PathLike, image or pair of images
        A map of z-values, or of t or F with known degrees of freedom, which is converted. See
        `threshold_stats_img` for how groupglm knows what a map holds, and for its kinds.
    regions : image, or mapping or sequence of images
        Regions, on the grid of the map. One image is an atlas or a mask: each region has a whole
        number, and zero or NaN is outside. A mapping has a mask for each name. A sequence has masks
        that are named by their positions. Masks may overlap; a mask is everything that is not zero.
    mask_img : str, os.PathLike, nibabel image or masker, optional
        The voxels that are tested, on the grid of the map. By default those that differ from the
        background of the map, which is what lies within two voxels of the faces of the volume.
    alpha : float, default=0.05
        All bounds are true together with a probability of at least ``1 - alpha``.
    two_sided : bool, default=False
        Whether to test both tails, with two-sided p-values. The z of an F test has one tail.

    Returns
    -------
    pandas.DataFrame
        One row for each region, with the columns

        - ``Region``: its number in the image, its name, or its position in the sequence;
        - ``Voxels`` (or ``Vertices``, ``Regions``): how many of them are tested;
        - ``True Discoveries``: at least this number of them is active;
        - ``True Discovery Proportion``: the same as a proportion; NaN if no voxel is tested.

    Raises
    ------
    ValueError
        If `alpha` is out of range, the map is known to hold something other than z, t or F, the
        mask is empty, no region has a tested voxel, or an atlas has values that are not whole.
    ImageError
        If an image cannot be read, or the map is NaN everywhere inside the mask.
    GridMismatchError
        If the mask or a region is on another grid.

    Warns
    -----
    UserWarning
        If voxels of the mask, or of a region, are not tested, no region has a voxel, the map was
        converted, or all its values lie between 0 and 1 as p-values do.

    See Also
    --------
    cluster_level_inference : The same for clusters of the map.

    Notes
    -----
    The method is all-resolution inference (Rosenblatt, Finos, Weeda, Solari & Goeman 2018,
    NeuroImage 181, 786-796). It assumes Simes' inequality, which is true for independent and for
    positively dependent tests.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> z = np.random.default_rng(0).normal(size=(10, 10, 10))
    >>> z[3:6, 3:6, 3:6] += 4.0
    >>> blob = np.zeros(z.shape, np.uint8)
    >>> blob[2:6, 3:6, 3:6] = 1
    >>> image, region = (nibabel.Nifti1Image(a, np.eye(4)) for a in (z, blob))
    >>> true_discovery_bounds(image, {"my blob": region})
        Region  Voxels  True Discoveries  True Discovery Proportion
    0  my blob      36                20                   0.555556
    """
    import pandas as pd

    alpha = check_probability("alpha", alpha)
    check_truth("two_sided", two_sided)
    stat_map = read_stat_map(stat_img, mask_img).as_z()
    check_z_scale(stat_map)
    two_sided = stat_map.has_two_tails(two_sided=two_sided)
    places = places_of_regions(regions, stat_map)
    found = discoveries_of(stat_map.values, alpha, two_sided=two_sided)
    rows = []
    for name, members in places.items():
        bound = found.bound(members)
        proportion = bound / len(members) if len(members) else np.nan
        rows.append([name, len(members), bound, proportion])
    space = stat_map.space
    counted_in = space.place_words[1].capitalize()
    columns = ["Region", counted_in, "True Discoveries", "True Discovery Proportion"]
    return pd.DataFrame(rows, columns=columns)


def _thresholds(threshold: Any) -> list[float]:
    """Return the cluster-forming thresholds in increasing order."""
    several = isinstance(threshold, list | tuple | np.ndarray)
    given = real_array("threshold", threshold).ravel() if several else [threshold]
    thresholds = sorted(real_number("threshold", each, infinite=True) for each in given)
    if not thresholds:
        raise ArgumentError(
            "threshold", "an empty list", remedy="give a z, or several, such as [2.3, 3.1]"
        )
    if thresholds[0] < 0:
        raise ArgumentError.about(
            "threshold",
            f"threshold={thresholds[0]:g} is negative, but 'threshold' cannot be negative or "
            "contain negative values: clusters are formed by how extreme z is; give it without the "
            "sign, and two_sided=True for clusters of both tails",
        )
    return thresholds


def discoveries_of(values: NDArray[np.float64], alpha: float, *, two_sided: bool) -> Discoveries:
    """Prepare bounds for sets of places of a row of z-values; a NaN is not a test.

    Shapes: `values` (n_values,).
    """
    tested = ~np.isnan(values)
    found = Discoveries.of(p_values(values[tested], two_sided=two_sided), alpha)
    steps = np.zeros(len(values), np.int64)
    steps[tested] = found.steps
    return Discoveries(found.hommel, steps)


def discovery_proportions(
    space: Space,
    values: NDArray[np.float64],
    threshold: float,
    found: Discoveries,
    *,
    two_sided: bool,
) -> tuple[NDArray[np.float64], int]:
    """Bound the proportion of true discoveries in each cluster of a row of z-values.

    Shapes: `values` (n_values,); returns `proportions` (n_values,).
    """
    row = np.full(len(values), np.nan)
    n_clusters = 0
    for sign in (1, -1) if two_sided else (1,):
        members = np.flatnonzero(values * sign > threshold)
        labels, _ = label_clusters(space, members)
        counts = np.bincount(labels)[1:]
        row[members] = (found.bounds(members, labels, len(counts)) / counts)[labels - 1]
        n_clusters += len(counts)
    return row, n_clusters


def _report_nothing(stat_map: StatMap, threshold: float, *, two_sided: bool) -> None:
    largest = stat_map.largest if two_sided else float(stat_map.tests.max())
    if largest > threshold:
        warn_caller(
            f"{stat_map.name}: no cluster has a true discovery that can be shown at this alpha; "
            "the image is all zero"
        )
        return
    one, _ = stat_map.space.place_words
    warn_caller(
        f"{stat_map.name}: no {one} is beyond threshold={threshold:g} (the most extreme of "
        f"{stat_map.n_tested} is {largest:.4g}), so there is no cluster and the image is all zero; "
        "give a lower threshold: the bounds hold whatever it is"
    )
