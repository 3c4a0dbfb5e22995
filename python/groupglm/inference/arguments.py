# SPDX-License-Identifier: BSD-3-Clause
"""Checks of numbers that the caller gives, and of their fit to the scale of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, ImageError, warn_caller
from groupglm.messages import Text, argument, either
from groupglm.runtime.arguments import real_number
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from groupglm.inference.stat_map import StatMap
    from groupglm.spaces.base import Space

__all__ = [
    "below_infinity",
    "check_cluster_threshold",
    "check_distance",
    "check_probability",
    "check_z_scale",
    "one_place_a_part",
    "refuse_clusters",
    "signed_threshold",
    "warn_of_scale",
]

_LARGEST_LIKELY_P = 0.1


def check_probability(name: str, value: Any) -> float:
    """Return a number strictly between zero and one."""
    number = real_number(name, value)
    if 0 < number < 1:
        return number
    remedy = f"give a level such as {name}=0.05"
    if number >= 1:
        remedy += (
            f"; to threshold a map at {number:g} on its own scale, use "
            f"threshold_stats_img(..., threshold={number:g}, height_control=None)"
        )
    raise ArgumentError.about(
        name, f"{name}={number:g} is not a level of error: {name} should be between 0 and 1", remedy
    )


def check_cluster_threshold(value: Any, stat_img: Any) -> float:
    """Return the least extent of a cluster of an image's kind of data."""
    number = real_number("cluster_threshold", value)
    if number < 0:
        unit = "places" if stat_img is None else kind_of(stat_img).unit
        raise ArgumentError(
            "cluster_threshold",
            f"{number:g}",
            f"> 0, a number of {unit}, or 0 to keep every cluster",
            "clusters that are smaller are removed",
        )
    return number


def check_distance(value: Any) -> float:
    """Return the least distance of two peaks in mm."""
    number = real_number("min_distance", value)
    if number < 0:
        raise ArgumentError(
            "min_distance",
            f"{number:g}",
            "positive, a distance in mm of zero or more",
            "peaks of a cluster that are nearer than that to the one before are left out",
        )
    return number


def refuse_clusters(space: Space, name: str, asked: str) -> None:
    """Refuse an argument that asks for clusters of places whose neighbours are not known.

    A surface without its mesh says so itself, also where no place would be in a cluster.

    Parameters
    ----------
    space : Space
        The places.
    name : str
        The argument.
    asked : str
        What it is, as a sentence.
    """
    try:
        one_place_a_part(space).neighbours(6)
    except ArgumentError as error:
        if error.argument == "surfaces":
            raise
    else:
        return
    _, many = space.place_words
    raise ArgumentError.about(
        name,
        argument(name) + f" {asked}, but {many} have no neighbours, and so no clusters",
        f"each of the {many} is tested by itself: the largest statistic of a permutation test "
        "(max-t), the false discovery rate and Bonferroni's correction need no clusters",
    )


def one_place_a_part(space: Space) -> Space:
    """Return the space of one place of each part, of which it is quick to ask what it knows."""
    keep = np.zeros(space.n_values, np.bool_)
    keep[[part.first for part in space.parts]] = True
    return space.restrict(keep)


def signed_threshold(name: str, value: Any, *, two_sided: bool) -> float:
    """Return a threshold; it may be negative if only the negative tail is tested.

    It may be infinite: the threshold of a false discovery rate is, if there is no discovery.
    """
    number = real_number(name, value, infinite=True)
    if two_sided and number < 0:
        raise ArgumentError.about(
            name,
            argument(name, shown=f"{number:g}")
            + " is negative, but "
            + either(
                'a "threshold" should not be a negative value when two_sided=True, which looks at '
                "both tails",
                "both tails are looked at",
            )
            + ": give "
            + argument(name, shown=f"{-number:g}")
            + ", or "
            + argument("two_sided", False)
            + " for the negative tail alone",
        )
    return number


def below_infinity(threshold: float) -> float:
    """Return the threshold; for infinity the largest number, so that infinite values exceed it."""
    return min(threshold, float(np.finfo(np.float64).max))


def check_z_scale(stat_map: StatMap) -> None:
    """Refuse a map of which only survivors are left; warn of one that is probably not of z."""
    by = None if stat_map.scale is None else stat_map.scale.thresholded_by
    if by is not None:
        raise ImageError(
            f"{stat_map.name}: its sidecar {by} says that it is thresholded already, so that its "
            "tests and the sizes of its clusters are no longer those of the whole map; give the "
            "map before the threshold"
        )
    if stat_map.looks_like_p:
        warn_caller(
            f"{stat_map.name}: all {stat_map.n_tested} values lie between 0 and 1, as p-values do, "
            "but are taken for z-values; if they are p-values, give the map of z-scores"
            + either(" (output_type='z_score')", "")
        )


def warn_of_scale(
    name: str, threshold: float, stat_map: StatMap, *, remedy: Callable[[float, float], Text]
) -> None:
    """Warn of a threshold that is probably not on the scale of the map."""
    if not 0 < abs(threshold) <= _LARGEST_LIKELY_P:
        return
    if stat_map.scale is not None and stat_map.scale.statistic.kind not in ("z", "t", "F"):
        return  # for a map of effects such a threshold is plausible
    if stat_map.looks_like_p and stat_map.largest > 0.5 and stat_map.n_distinct > 2:
        warn_caller(
            f"{stat_map.name}: all values lie between 0 and 1, as p-values do; what is above "
            + argument(name, shown=f"{threshold:g}")
            + " would then be what is *not* significant; give the map of z-scores"
        )
    elif stat_map.largest > 1:
        p = abs(threshold)
        z = float(np.copysign(special.ndtri(p), threshold))
        warn_caller(
            argument(name, shown=f"{threshold:g}")
            + f" is compared with the map's own values, which reach "
            f"{stat_map.largest:.3g}; if it is a p-value, the z of that (one-sided) is "
            f"{z:.3g}: give " + remedy(p, z)
        )
