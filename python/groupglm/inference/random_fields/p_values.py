# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks, clusters and sets of clusters by random field theory, of one tail each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.expected import Field
from groupglm.runtime.arguments import real_array, real_number, whole_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.inference.random_fields.densities import FieldKind
    from groupglm.inference.random_fields.smoothness import PartSmoothness, Smoothness

__all__ = [
    "checked_threshold",
    "cluster_p",
    "cluster_tail",
    "peak_p",
    "set_p",
    "size_distribution",
]


def peak_p(
    values: ArrayLike,
    stat_type: FieldKind,
    df: Any,
    smoothness: Smoothness,
    *,
    on_z_scale: bool = False,
) -> NDArray[np.float64]:
    """Compute the familywise p of peaks: that noise has any place as high.

    Parameters
    ----------
    values : array_like, shape (n,)
        Heights of peaks of the upper tail. Of a test of both tails, give absolute values, and
        double p.
    stat_type : {"z", "t", "F", "chi2"}
        The statistic.
    df : None, float, array, or pair of these
        Its degrees of freedom: None of z, one number of t and chi-squared, numerator and
        denominator of F. Denominators that differ by place are an array of them all, with
        ``on_z_scale=True``.
    smoothness : Smoothness
        Of the noise, and the size of what was searched.
    on_z_scale : bool, default=False
        Whether the values are z-scores made of the statistic. Such z-scores are no Gaussian field:
        the field of the statistic counts.

    Returns
    -------
    array of float64, shape (n,)
        ``1 - exp(-E)``, where E is the expected number of clusters that high. One below the height
        at which E is largest, where it does not count clusters. NaN of NaN.

    Raises
    ------
    ValueError
        If the degrees of freedom are not those of such a statistic.

    References
    ----------
    Worsley et al. (1996). A unified statistical approach for determining significant signals in
    images of cerebral activation. Human Brain Mapping 4, 58-73.

    Examples
    --------
    >>> from groupglm.inference.random_fields.smoothness import Smoothness
    >>> smooth = Smoothness.of_box((50, 60, 50), fwhm=8.0, voxel_size=2.0)
    >>> peak_p([5.0, 4.0], "z", None, smooth).round(3)
    array([0.025, 0.76 ])
    """
    heights = real_array("values", values, missing=True).astype(np.float64).ravel()
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    found = -np.expm1(-field.expected(heights, smoothness.parts))
    return np.where(np.isnan(heights), np.nan, found)


def cluster_p(
    sizes: ArrayLike,
    threshold: float,
    stat_type: FieldKind,
    df: Any,
    smoothness: Smoothness,
    *,
    parts: ArrayLike | None = None,
    on_z_scale: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the p of clusters by their size: familywise, and not corrected.

    Parameters
    ----------
    sizes : array_like, shape (n,)
        Sizes of clusters of the upper tail, in the unit of their part: voxels or mm2.
    threshold : float
        The height above which places form clusters.
    stat_type, df, smoothness, on_z_scale
        As of `peak_p`; the threshold is on that scale.
    parts : array_like of int, shape (n,), optional
        The number of each cluster's part among ``smoothness.parts``; the first by default.

    Returns
    -------
    fwe : array of float64, shape (n,)
        The probability that noise has any cluster as improbable, in any part.
    uncorrected : array of float64, shape (n,)
        The probability that one cluster of noise is as large.

    Raises
    ------
    ValueError
        If the threshold is so low that noise above it has no separate clusters, or a size is
        negative.

    Notes
    -----
    The size S in resels of a cluster in D dimensions has P(S >= k) = exp(-b k^(2/D)), with b such
    that the mean is that of noise: the expected extent above the threshold over the expected
    number of clusters. The number of clusters is Poisson. For fields of t and F the same is done
    with their own expectations, as SPM does.

    References
    ----------
    Friston, K. J., Worsley, K. J., Frackowiak, R. S. J., Mazziotta, J. C., Evans, A. C. (1994).
    Assessing the significance of focal activations using their spatial extent. Human Brain
    Mapping 1, 210-220.

    Examples
    --------
    >>> from groupglm.inference.random_fields.smoothness import Smoothness
    >>> smooth = Smoothness.of_box((50, 60, 50), fwhm=8.0, voxel_size=2.0)
    >>> fwe, uncorrected = cluster_p([200, 50], 3.09, "z", None, smooth)
    >>> fwe.round(4), uncorrected.round(4)
    (array([0.0005, 0.2602]), array([0.    , 0.0143]))
    """
    extents = real_array("sizes", sizes).astype(np.float64).ravel()
    if (extents < 0).any():
        raise ArgumentError(
            "sizes", f"{extents.min():g}", "zero or more", "give sizes of clusters", verb="holds"
        )
    members = np.zeros(len(extents), np.intp)
    if parts is not None:
        members = real_array("parts", parts).astype(np.intp).ravel()
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    height = checked_threshold(threshold, field, smoothness)
    uncorrected = np.ones(len(extents))
    for number, part in enumerate(smoothness.parts):
        own = members == number
        uncorrected[own] = cluster_tail(extents[own], height, field, part)
    number_expected = field.expected(np.array([height]), smoothness.parts)[0]
    return -np.expm1(-number_expected * uncorrected), uncorrected


def set_p(
    n_clusters: int,
    size: float,
    threshold: float,
    stat_type: FieldKind,
    df: Any,
    smoothness: Smoothness,
    *,
    on_z_scale: bool = False,
) -> float:
    """Compute the p of a set of clusters: that noise has as many of at least a size.

    Parameters
    ----------
    n_clusters : int
        How many clusters of at least that size there are.
    size : float
        The least size, in the unit of each part.
    threshold, stat_type, df, smoothness, on_z_scale
        As of `cluster_p`.

    Returns
    -------
    float
        The upper tail of a Poisson distribution.

    Raises
    ------
    ValueError
        As of `cluster_p`.

    References
    ----------
    Friston, K. J., Holmes, A., Poline, J.-B., Price, C. J., Frith, C. D. (1996). Detecting
    activations in PET and fMRI: levels of inference and power. NeuroImage 4, 223-235.

    Examples
    --------
    >>> from groupglm.inference.random_fields.smoothness import Smoothness
    >>> smooth = Smoothness.of_box((50, 60, 50), fwhm=8.0, voxel_size=2.0)
    >>> round(set_p(4, 50, 3.09, "z", None, smooth), 4)
    0.0003
    """
    count = whole_number("n_clusters", n_clusters, least=0)
    if count == 0:
        return 1.0
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    height = checked_threshold(threshold, field, smoothness)
    least = np.array([real_number("size", size)])
    rate = sum(
        float(field.expected(np.array([height]), [part])[0])
        * float(cluster_tail(least, height, field, part)[0])
        for part in smoothness.parts
    )
    return float(special.pdtrc(count - 1, rate))  # P(N > count - 1)


def cluster_tail(
    sizes: NDArray[np.float64], height: float, field: Field, part: PartSmoothness
) -> NDArray[np.float64]:
    """Return the probability that one cluster of noise is as large, of one part.

    Shapes: `sizes` (n,); returns (n,).
    """
    rate, power = size_distribution(height, field, part)
    return np.exp(-rate * (sizes * part.resels_per_unit) ** power)


def size_distribution(height: float, field: Field, part: PartSmoothness) -> tuple[float, float]:
    """Return b and 2/D of P(size >= k resels) = exp(-b k^(2/D))."""
    densities = field.densities(np.array([height]))[:, 0]
    d = part.n_dimensions
    mean = densities[0] / max(densities[d], np.finfo(np.float64).tiny)
    return float((math.gamma(d / 2 + 1) / mean) ** (2 / d)), 2 / d


def checked_threshold(threshold: float, field: Field, smoothness: Smoothness) -> float:
    """Return a height above which noise has separate clusters; refuse a lower one."""
    height = real_number("threshold", threshold)
    least = max(field.turning_point([part]) for part in smoothness.parts)
    if height < least:
        raise ArgumentError(
            "threshold",
            f"{height:g}",
            f"at least {least:.3g}",
            "below it the noise has no separate clusters, whose number random field theory would "
            "know: form clusters at p < 0.001",
        )
    return height
