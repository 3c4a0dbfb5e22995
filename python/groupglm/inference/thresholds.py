# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of a map of z-values: which voxels are significant, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.inference.error_rates import threshold_of
from groupglm.inference.thresholded_map import threshold_map
from groupglm.runtime.arguments import real_array, real_number
from groupglm.spaces.geometry import Geometry

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.inference.thresholded_map import HeightControl
    from groupglm.spaces.images import Image, ImageLike

__all__ = ["fdr_threshold", "threshold_stats_img"]


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
    cluster_forming_p: float | None = None,
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
    height_control : {"fpr", "fdr", "bonferroni", "rft", "cluster-rft"} or None, default="fpr"
        "fpr": `alpha` is the false positive rate of each voxel. "fdr": the expected proportion of
        false discoveries (Benjamini-Hochberg). "bonferroni": the probability of any false
        positive. "rft": the same by random field theory, which counts with smooth noise; where
        Bonferroni's threshold is lower, a warning says so. "cluster-rft": the probability of any
        false cluster, by its size, among the clusters that places form at `cluster_forming_p`.
        None: `threshold` is used as it is.
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
        For "rft" and "cluster-rft": of the noise, as ``model.smoothness_``. By default the one in
        the sidecar of the map, if ``groupglm fit --correct rft:0.05`` wrote it.
    small_volume : Sphere, four numbers (x, y, z, radius), or mask, optional
        A small volume of prior interest: only places that are in it too are tested and kept. The
        result is that of the mask of both.
    cluster_forming_p : float, optional
        For "cluster-rft": the p-value of a place, of both tails together if `two_sided`, at which
        places form clusters. 0.001 by default.

    Returns
    -------
    image : image or None
        The values that reach the threshold, and zero elsewhere, as an image of the map's kind. NaN
        in the mask stays NaN. An infinite value reaches every threshold. None without `stat_img`.
    threshold : numpy.float64
        The threshold that was used, which is a float too. It is infinite if "fdr" finds no
        discovery. Of "cluster-rft", the one that forms clusters.

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
    found = threshold_map(
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
        cluster_forming_p=cluster_forming_p,
    )
    return found.image, np.float64(found.threshold)
