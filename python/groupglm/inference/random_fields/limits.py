# SPDX-License-Identifier: BSD-3-Clause
"""Heights and sizes that random field theory asks for, so that an error rate is kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.inference.random_fields.expected import Field
from groupglm.inference.random_fields.p_values import checked_threshold, size_distribution

if TYPE_CHECKING:
    from groupglm.inference.random_fields.densities import FieldKind
    from groupglm.inference.random_fields.smoothness import Smoothness

__all__ = ["peak_threshold", "size_thresholds", "turning_height"]

_HIGHEST_Z = 20.0
"""Its p is 3e-89: any search region and any error rate have their threshold below."""


def peak_threshold(
    alpha: float,
    stat_type: FieldKind,
    df: Any,
    smoothness: Smoothness,
    *,
    on_z_scale: bool = False,
) -> float:
    """Return the height that noise reaches anywhere with a probability of alpha.

    Parameters
    ----------
    alpha : float
        The familywise error rate of one tail.
    stat_type, df, smoothness, on_z_scale
        As of `groupglm.inference.random_fields.p_values.peak_p`, of which this is the inverse.

    Returns
    -------
    float
        The height; infinite if it would be above a z of 20.

    Examples
    --------
    >>> from groupglm.inference.random_fields.smoothness import Smoothness
    >>> smooth = Smoothness.of_box((50, 60, 50), fwhm=8.0, voxel_size=2.0)
    >>> round(peak_threshold(0.05, "z", None, smooth), 3)
    4.84
    """
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    wanted = -math.log1p(-alpha)

    def excess(z: float) -> float:
        height = field.height_at(np.array([z]))
        # No more than a large number: the search needs finite ones.
        return float(np.minimum(field.expected(height, smoothness.parts), 1e300)[0]) - wanted

    if excess(_HIGHEST_Z) > 0:
        return math.inf
    if excess(0.0) <= 0:
        return float(field.height_at(np.zeros(1))[0])
    # It falls from there on; below the turning point it counts as infinite.
    from scipy import optimize

    z = optimize.brentq(excess, 0.0, _HIGHEST_Z, xtol=1e-12)
    return float(field.height_at(np.array([z]))[0])


def size_thresholds(
    alpha: float,
    threshold: float,
    stat_type: FieldKind,
    df: Any,
    smoothness: Smoothness,
    *,
    on_z_scale: bool = False,
) -> tuple[float, ...]:
    """Return the size that a cluster of noise reaches anywhere with a probability of alpha.

    Parameters
    ----------
    alpha : float
        The familywise error rate of one tail.
    threshold : float
        The height above which places form clusters.
    stat_type, df, smoothness, on_z_scale
        As of `groupglm.inference.random_fields.p_values.cluster_p`, of which this is the inverse.

    Returns
    -------
    tuple of float
        A size for each part, in its unit; a cluster of that size or more is significant.

    Examples
    --------
    >>> from groupglm.inference.random_fields.smoothness import Smoothness
    >>> smooth = Smoothness.of_box((50, 60, 50), fwhm=8.0, voxel_size=2.0)
    >>> [round(size, 1) for size in size_thresholds(0.05, 3.09, "z", None, smooth)]
    [84.3]
    """
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    height = checked_threshold(threshold, field, smoothness)
    number = float(field.expected(np.array([height]), smoothness.parts)[0])
    wanted = min(-math.log1p(-alpha) / number, 1.0) if number > 0 else 1.0  # p of one cluster
    sizes = []
    for part in smoothness.parts:
        rate, power = size_distribution(height, field, part)
        sizes.append((-math.log(wanted) / rate) ** (1 / power) / part.resels_per_unit)
    return tuple(sizes)


def turning_height(
    stat_type: FieldKind, df: Any, smoothness: Smoothness, *, on_z_scale: bool = False
) -> float:
    """Return the least height above which noise has separate clusters, in every part."""
    field = Field.of(stat_type, df, on_z_scale=on_z_scale)
    return max(field.turning_point([part]) for part in smoothness.parts)
