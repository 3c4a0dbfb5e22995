# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of a map of z-values: which voxels are significant, one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.arguments import (
    check_cluster_threshold,
    check_probability,
    check_z_scale,
    refuse_clusters,
    signed_threshold,
    warn_of_scale,
)
from groupglm.inference.labelling import (
    keep_large_clusters,
    limits_clusters,
)
from groupglm.inference.random_fields.map_field import check_smoothness, field_of_map, rft_threshold
from groupglm.inference.stat_map import StatMap, read_stat_map
from groupglm.messages import argument, arguments
from groupglm.runtime.arguments import check_choice, check_truth, real_array, real_number
from groupglm.runtime.naming import counted
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.wording import extent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image, ImageLike

__all__ = [
    "HeightControl",
    "Survivors",
    "fdr_threshold",
    "passes_threshold",
    "survivors",
    "threshold_map",
    "threshold_of",
    "threshold_stats_img",
]

HeightControl = Literal["fpr", "fdr", "bonferroni", "rft"]

_CONTROLS = ("fpr", "fdr", "bonferroni", "rft", None)
_DEFAULT_THRESHOLD = 3.0


def threshold_of(
    z: NDArray[np.floating],
    alpha: float,
    height_control: HeightControl,
    *,
    two_sided: bool = True,
) -> float:
    """Find the smallest z that is significant.

    Shapes: `z` (n,).

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([4.0, -3.5, 2.8, 2.5, 1.9, 1.2])
    >>> round(threshold_of(z, 0.001, "fpr"), 4)
    3.2905
    >>> round(threshold_of(z, 0.05, "bonferroni"), 4)
    2.6383
    >>> round(threshold_of(z, 0.05, "fdr"), 4)
    2.5
    """
    tail = alpha / 2 if two_sided else alpha
    if height_control == "bonferroni":
        tail /= len(z)
    level = -float(special.ndtri(tail))
    if height_control != "fdr":
        return level
    # A discovery has p <= alpha k / n <= alpha, so only those are sorted.
    values = np.abs(z) if two_sided else z
    candidates = np.sort(values[values >= level].astype(np.float64))[::-1]
    ranks = np.arange(1, len(candidates) + 1)
    found = np.flatnonzero(special.ndtr(-candidates) <= tail * ranks / len(z))
    if found.size == 0:
        return math.inf
    last = int(found[-1])
    if math.isinf(candidates[last]):
        # All discoveries are infinite. The threshold is the z of the p that they are compared with.
        # It is above every other z; otherwise that z would be a discovery too.
        return -float(special.ndtri(tail * (last + 1) / len(z)))
    # The largest double below the smallest discovery, which then passes ">" as well as ">=".
    return float(np.nextafter(candidates[last], -math.inf))


def fdr_threshold(z_vals: ArrayLike, alpha: float) -> np.float64:
    """Find the z from which on the false discovery rate of one tail is controlled.

    Parameters
    ----------
    z_vals : array_like
        The z-values that are tested. NaN is no test.
    alpha : float
        The expected proportion of false discoveries (Benjamini-Hochberg).

    Returns
    -------
    numpy.float64
        A number just below the smallest discovery; infinite if there is no discovery.

    Raises
    ------
    ValueError
        If `alpha` is not between 0 and 1, or `z_vals` holds no z-value.

    Examples
    --------
    >>> import groupglm
    >>> print(groupglm.fdr_threshold([4.0, 3.5, 2.8, 2.5, 1.9, 1.2], alpha=0.05).round(2))
    1.9
    """
    level = real_number("alpha", alpha)
    if not 0 <= level <= 1:
        raise ArgumentError(
            "alpha", f"{level:g}, but alpha should be between 0 and 1", remedy="give 0.05"
        )
    z = real_array("z_vals", z_vals, missing=True).astype(np.float64).ravel()
    z = z[~np.isnan(z)]
    if z.size == 0:
        raise ArgumentError("z_vals", "no z-value", remedy="give at least one", verb="holds")
    return np.float64(threshold_of(z, level, "fdr", two_sided=False))


def threshold_stats_img(
    stat_img: ImageLike | None = None,
    mask_img: Any = None,
    alpha: float = 0.001,
    threshold: float | None = None,
    height_control: HeightControl | None = "fpr",
    cluster_threshold: float = 0,
    two_sided: bool = True,
    *,
    surfaces: Any = None,
    areas: Any = None,
    smoothness: Smoothness | None = None,
    small_volume: Any = None,
) -> tuple[Image | None, np.float64]:
    """Keep the significant voxels of a map of z-values.

    Parameters
    ----------
    stat_img : str, os.PathLike, image or pair of images, optional
        A map of z-values, or of t or F (see Notes): a 3-D image, or a map of surfaces,
        grayordinates or regions as `SecondLevelModel` returns it. It may be None if the threshold
        does not depend on it (`height_control` "fpr" or None).
    mask_img : str, os.PathLike, image or masker, optional
        The voxels that are tested, on the grid of the map. By default those that differ from the
        background of the map, which is what lies within two voxels of the faces of the volume.
        Of surfaces, what is neither zero nor NaN by default.
    alpha : float, default=0.001
        The level that `height_control` controls, of both tails together if `two_sided`.
    threshold : float, optional
        A threshold on the scale of the map, for ``height_control=None``; 3.0 by default. A negative
        one, with ``two_sided=False``, keeps the values at or below it. An infinite one keeps
        infinite values.
    height_control : {"fpr", "fdr", "bonferroni", "rft"} or None, default="fpr"
        "fpr": `alpha` is the false positive rate of each voxel. "fdr": the expected proportion of
        false discoveries (Benjamini-Hochberg). "bonferroni": the probability of any false
        positive. "rft": the same by random field theory, which counts with smooth noise; where
        Bonferroni's threshold is lower, a warning says so. None: `threshold` is used as it is.
    cluster_threshold : float, default=0
        Remove smaller clusters: of fewer voxels, or of fewer mm2 on a surface. Voxels of the same
        sign that share a face are in one cluster, and so are vertices that share an edge. Of a
        nilearn ``SurfaceImage``, the size is the number of vertices, unless `surfaces` or `areas`
        are given.
    two_sided : bool, default=True
        Whether to keep large negative values too. The z of an F test has one tail.
    surfaces, areas : optional
        The meshes of a map of surfaces and the areas of their vertices, as `SecondLevelModel` takes
        them, for `cluster_threshold`. On volumes they have no effect, with a warning.
    smoothness : Smoothness, optional
        For "rft": of the noise, as ``model.smoothness_``. By default the one in the sidecar of the
        map, if ``groupglm fit --correct rft:0.05`` wrote it.
    small_volume : Sphere, four numbers (x, y, z, radius), or mask, optional
        A small volume of prior interest: only places that are in it too are tested and kept. The
        result is that of the mask of both.

    Returns
    -------
    image : image or None
        The values that reach the threshold, and zero elsewhere, as an image of the map's kind. NaN
        in the mask stays NaN. An infinite value reaches every threshold. None without `stat_img`.
    threshold : numpy.float64
        The threshold that was used, which is a float too. It is infinite if "fdr" finds no
        discovery.

    Raises
    ------
    ValueError
        If a number is out of range, the mask is empty, or the map is known to hold something other
        than z, t or F. With ``height_control=None``, if it is known to hold p-values.
    ImageError
        If the map or the mask cannot be read, or the map is NaN everywhere inside the mask.
    GridMismatchError
        If the mask is on another grid.

    Warns
    -----
    UserWarning
        If voxels of the mask are NaN (they are not tested), `threshold` has no effect or is
        probably a p-value, nothing passes, t or F was converted to z, `two_sided` is given for the
        z of an F test, or the values of a map of unknown kind all lie between 0 and 1, as p-values
        do.

    Notes
    -----
    The threshold is computed in double precision from all tested voxels: those of the mask that are
    not NaN. An effect without any residual variance has an infinite z, for example where all
    patients have a lesion and no control has one. It is the strongest evidence that a map can hold.

    The sidecar of the map (the JSON file that ``groupglm fit`` writes beside it), its header (the
    intent code of NIfTI, or the description that this package, nilearn and SPM write) or its file
    name (``stat-t``) says what it holds; its values never do. If they contradict each other, the
    map is an error. If none of them says anything, the map counts as z. A map of t or F is
    converted to the z with the same upper tail, if its degrees of freedom are known. Threshold and
    image are then on the scale of z. With ``height_control=None`` nothing is converted.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> z = np.zeros((7, 7, 7))
    >>> z[3, 3, 2:5] = 2.0, 4.0, -5.0
    >>> image, threshold = threshold_stats_img(nibabel.Nifti1Image(z, np.eye(4)), alpha=0.001)
    >>> print(threshold.round(3))
    3.291
    >>> image.get_fdata()[3, 3, 2:5]
    array([ 0.,  4., -5.])
    """
    image, used = threshold_map(
        stat_img,
        mask_img,
        alpha=alpha,
        threshold=threshold,
        height_control=height_control,
        cluster_threshold=cluster_threshold,
        two_sided=two_sided,
        geometry=Geometry(surfaces, areas),
        smoothness=smoothness,
        small_volume=small_volume,
    )
    return image, np.float64(used)


def threshold_map(
    stat_img: ImageLike | None,
    mask_img: Any,
    *,
    alpha: float,
    threshold: float | None = None,
    height_control: HeightControl | None,
    cluster_threshold: float,
    two_sided: bool,
    geometry: Geometry = NO_GEOMETRY,
    described: bool = False,
    smoothness: Smoothness | None = None,
    small_volume: Any = None,
) -> tuple[Image | None, float]:
    """Keep the significant voxels of a map, as `threshold_stats_img` does.

    `described`: whether the map's sidecar is known to describe this very file.
    """
    check_choice("height_control", height_control, _CONTROLS)
    two_sided = check_truth("two_sided", two_sided)
    smallest = check_cluster_threshold(cluster_threshold, stat_img)
    given = None if threshold is None else signed_threshold("threshold", threshold, two_sided=False)
    if height_control is None:
        given = signed_threshold(
            "threshold", _DEFAULT_THRESHOLD if given is None else given, two_sided=two_sided
        )
    else:
        alpha = check_probability("alpha", alpha)
        if given is not None:
            warn_caller(
                argument("threshold", shown=f"{given:g}")
                + f" is ignored: it is not used with height_control={height_control!r}, which "
                "computes the threshold from alpha; give height_control=None to use it"
            )
    _check_small_volume(small_volume, height_control)
    if check_smoothness(smoothness) is not None and height_control != "rft":
        warn_caller(
            argument("smoothness")
            + " has no effect: only "
            + argument("height_control", "rft")
            + " uses it"
        )
    if stat_img is None:
        return None, _threshold_without_map(alpha, given, height_control, two_sided)
    stat_map = read_stat_map(
        stat_img, mask_img, geometry=geometry, described=described, small_volume=small_volume
    )
    if smallest > 0:
        refuse_clusters(stat_map.space, "cluster_threshold", f"is {smallest:g}")
    if height_control is None:
        stat_map.refuse_p()
        two_sided = stat_map.has_two_tails(two_sided=two_sided)
        assert given is not None  # noqa: S101  (set above; for the types)
        used = given
        warn_of_scale(
            "threshold",
            used,
            stat_map,
            remedy=lambda p, _: arguments(alpha=f"{p:g}", height_control="'fpr'"),
        )
    else:
        stat_map, two_sided, used = _computed(
            stat_img, stat_map, alpha, height_control, smoothness, two_sided=two_sided
        )
    kept = survivors(stat_map.space, stat_map.values, used, smallest, two_sided=two_sided)
    if kept.n_passed == 0:
        _warn_nothing_survives(stat_map, used, two_sided=two_sided)
    elif kept.largest < smallest:
        words = stat_map.space.place_words
        size = extent(kept.largest, stat_map.space)
        warn_caller(
            f"{stat_map.name}: nothing survives: {counted(kept.n_passed, *words)} at {used:.4g} "
            f"or beyond, but the largest cluster has {size}, fewer than "
            + argument("cluster_threshold", shown=f"{smallest:g}")
            + "; the image is all zero"
        )
    control = "given" if height_control is None else f"{height_control}, alpha {alpha:g}"
    about = f"thresholded at {used:.6g} ({control})"
    if stat_map.scale is not None and stat_map.scale.contrast is not None:
        about += f": {stat_map.scale.statistic.kind} of contrast {stat_map.scale.contrast}"
    return stat_map.image(kept.row, about), used


def _computed(
    stat_img: ImageLike,
    stat_map: StatMap,
    alpha: float,
    control: HeightControl,
    smoothness: Smoothness | None,
    *,
    two_sided: bool,
) -> tuple[StatMap, bool, float]:
    """Return the map as z, whether both tails are tested, and the threshold of an error rate."""
    field = field_of_map(stat_img, stat_map, smoothness) if control == "rft" else None
    stat_map = stat_map.as_z()
    check_z_scale(stat_map)
    two_sided = stat_map.has_two_tails(two_sided=two_sided)
    if field is None:
        return (
            stat_map,
            two_sided,
            threshold_of(stat_map.tests, alpha, control, two_sided=two_sided),
        )
    other = threshold_of(stat_map.tests, alpha, "bonferroni", two_sided=two_sided)
    used = rft_threshold(field, stat_map, alpha, two_sided=two_sided, bonferroni=other)
    return stat_map, two_sided, used


def _check_small_volume(small_volume: Any, height_control: HeightControl | None) -> None:
    """Refuse a small volume with random fields: its resels are not those of the whole mask."""
    if small_volume is not None and height_control == "rft":
        raise ArgumentError.about(
            "small_volume",
            argument("small_volume")
            + " has another search volume than the smoothness was found in",
            "give height_control 'fdr' or 'bonferroni'",
        )


def _threshold_without_map(
    alpha: float, given: float | None, height_control: HeightControl | None, two_sided: bool
) -> float:
    if height_control is None:
        assert given is not None  # noqa: S101  (the caller has set it)
        return given
    if height_control == "fpr":
        return threshold_of(np.empty(0), alpha, "fpr", two_sided=two_sided)
    raise ArgumentError(
        "stat_img",
        "None",
        remedy=f"'stat_img' cannot be None for height_control={height_control!r}, which depends on "
        "the map: give stat_img, or height_control='fpr' or None",
    )


@dataclass(frozen=True, eq=False)
class Survivors:
    """The values of a row that survive a threshold.

    Attributes
    ----------
    row : array of float64, shape (n_values,)
        The values that survive, zero elsewhere.
    n_passed : int
        How many values reach the threshold, whatever the size of their cluster.
    largest : float
        The size of their largest cluster, in the unit of the space; infinite if clusters may have
        any size.
    """

    row: NDArray[np.float64]
    n_passed: int
    largest: float


def survivors(
    space: Space,
    values: NDArray[np.float64],
    threshold: float,
    cluster_threshold: float = 0,
    *,
    two_sided: bool,
) -> Survivors:
    """Keep the values that reach a threshold, in clusters that are large enough.

    Shapes: `values` (n_values,).
    """
    row: NDArray[np.float64] = np.where(
        passes_threshold(values, threshold, two_sided=two_sided), values, 0.0
    )
    n_passed = int(np.count_nonzero(row))
    if n_passed == 0 or not limits_clusters(space, cluster_threshold):
        return Survivors(row, n_passed, math.inf)
    kept, largest = keep_large_clusters(row, space, cluster_threshold)
    return Survivors(kept, n_passed, largest)


def passes_threshold(
    values: NDArray[np.float64], threshold: float, *, two_sided: bool
) -> NDArray[np.bool_]:
    """Return which values reach a threshold; a negative threshold tests the negative tail."""
    if two_sided:
        return np.asarray(np.abs(values) >= threshold)
    return np.asarray(values >= threshold if threshold >= 0 else values <= threshold)


def _warn_nothing_survives(stat_map: StatMap, threshold: float, *, two_sided: bool) -> None:
    if two_sided:
        extreme = f"the largest absolute value is {stat_map.largest:.4g}"
    elif threshold >= 0:
        extreme = f"the largest value is {stat_map.tests.max():.4g}"
    else:
        extreme = f"the smallest value is {stat_map.tests.min():.4g}"
    one, many = stat_map.space.place_words
    needed = (
        f"no {one} is a discovery" if math.isinf(threshold) else f"the threshold is {threshold:.4g}"
    )
    scale = (
        "; all values lie between 0 and 1, as p-values do: give the map of z-scores"
        if stat_map.looks_like_p
        else ""
    )
    doubt = "" if stat_map.scale is not None else "Check that the map is of z-values; if it is, "
    verdict = "there is no evidence at this level"
    warn_caller(
        f"{stat_map.name}: nothing survives: {needed}, and {extreme} of {stat_map.n_tested} "
        f"{many}{scale}; the image is all zero. {doubt}{verdict if doubt else verdict.capitalize()}"
    )
