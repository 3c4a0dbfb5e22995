# SPDX-License-Identifier: BSD-3-Clause
"""What survives a threshold: the values that reach it, in clusters that are large enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller
from groupglm.inference.labelling import keep_large_clusters, limits_clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.stat_map import StatMap
    from groupglm.spaces.base import Space

__all__ = ["Survivors", "passes_threshold", "survivors", "warn_nothing_survives"]


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
    cluster_threshold: float | NDArray[np.float64] = 0,
    *,
    two_sided: bool,
) -> Survivors:
    """Keep the values that reach a threshold, in clusters that are large enough.

    Shapes: `values` (n_values,); `cluster_threshold` () or (n_values,), the same for all of a part.
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


def warn_nothing_survives(stat_map: StatMap, threshold: float, *, two_sided: bool) -> None:
    """Warn that no value of a map reaches a threshold."""
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
