# SPDX-License-Identifier: BSD-3-Clause
"""A map of what survives a threshold: from arguments to the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from groupglm.inference.error_rates import PlacewiseControl, threshold_of
from groupglm.inference.random_fields.map_field import (
    check_smoothness,
    cluster_sizes,
    field_of_map,
    rft_threshold,
)
from groupglm.inference.random_fields.search_volume import within_small_volume
from groupglm.inference.stat_map import StatMap, read_stat_map
from groupglm.inference.survivors import Survivors, survivors, warn_nothing_survives
from groupglm.messages import argument, arguments
from groupglm.runtime.arguments import check_choice, check_truth
from groupglm.runtime.naming import counted
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.wording import extent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.random_fields.map_field import MapField
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image, ImageLike

__all__ = [
    "BY_FIELDS",
    "FORMING_P",
    "FieldControl",
    "HeightControl",
    "ThresholdedMap",
    "least_sizes",
    "searched",
    "threshold_by_fields",
    "threshold_map",
]

FieldControl = Literal["rft", "cluster-rft"]
HeightControl = PlacewiseControl | FieldControl

_CONTROLS = ("fpr", "fdr", "bonferroni", "rft", "cluster-rft", None)
BY_FIELDS = ("rft", "cluster-rft")
"""The controls of error by random field theory."""
_DEFAULT_THRESHOLD = 3.0
FORMING_P = 0.001
"""The p-value at which places form the clusters of "cluster-rft", unless another is given."""


@dataclass(frozen=True, eq=False)
class ThresholdedMap:
    """A map of what survives.

    Attributes
    ----------
    image : image or None
        The values that survive, zero elsewhere; None without a map.
    threshold : float
        The threshold that was used.
    cluster_sizes : dict of str to float
        Of "cluster-rft", the size from which on a cluster is significant, of each part.
    tested : StatMap or None
        The map as it was thresholded; None without a map.
    field : MapField or None
        The random field of "rft" and "cluster-rft".
    """

    image: Image | None
    threshold: float
    cluster_sizes: dict[str, float]
    tested: StatMap | None = None
    field: MapField | None = None


@dataclass(frozen=True)
class _Rule:
    """How a map is thresholded: the arguments, checked."""

    control: HeightControl | None
    alpha: float
    given: float
    smallest: float
    forming_p: float
    smoothness: Smoothness | None
    small_volume: Any


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
    cluster_forming_p: float | None = None,
) -> ThresholdedMap:
    """Keep the significant voxels of a map, as `threshold_stats_img` does.

    `described`: whether the map's sidecar is known to describe this very file.
    """
    check_choice("height_control", height_control, _CONTROLS)
    two_sided = check_truth("two_sided", two_sided)
    smallest = check_cluster_threshold(cluster_threshold, stat_img)
    alpha, given = _checked_level(alpha, threshold, height_control, two_sided=two_sided)
    forming_p = _checked_forming_p(cluster_forming_p, height_control)
    if check_smoothness(smoothness) is not None and height_control not in BY_FIELDS:
        warn_caller(
            argument("smoothness")
            + " has no effect: only "
            + argument("height_control", "rft")
            + " uses it"
        )
    if stat_img is None:
        used = _threshold_without_map(alpha, given, height_control, two_sided)
        return ThresholdedMap(None, used, {})
    stat_map = read_stat_map(
        stat_img, mask_img, geometry=geometry, described=described, small_volume=small_volume
    )
    if smallest > 0:
        refuse_clusters(stat_map.space, "cluster_threshold", f"is {smallest:g}")
    rule = _Rule(height_control, alpha, given, smallest, forming_p, smoothness, small_volume)
    return _apply(rule, stat_map, stat_img, two_sided=two_sided)


def _checked_level(
    alpha: float, threshold: float | None, control: HeightControl | None, *, two_sided: bool
) -> tuple[float, float]:
    """Return the level of error, and the threshold that counts without one."""
    given = None if threshold is None else signed_threshold("threshold", threshold, two_sided=False)
    default = _DEFAULT_THRESHOLD if given is None else given
    if control is None:
        return alpha, signed_threshold("threshold", default, two_sided=two_sided)
    alpha = check_probability("alpha", alpha)
    if given is not None:
        warn_caller(
            argument("threshold", shown=f"{given:g}")
            + f" is ignored: it is not used with height_control={control!r}, which "
            "computes the threshold from alpha; give height_control=None to use it"
        )
    return alpha, default


def _apply(rule: _Rule, stat_map: StatMap, stat_img: Any, *, two_sided: bool) -> ThresholdedMap:
    """Threshold a map that was read."""
    sizes: dict[str, float] = {}
    field = None
    if rule.control is None:
        stat_map.refuse_p()
        two_sided = stat_map.has_two_tails(two_sided=two_sided)
        used = rule.given
        warn_of_scale(
            "threshold",
            used,
            stat_map,
            remedy=lambda p, _: arguments(alpha=f"{p:g}", height_control="'fpr'"),
        )
    elif rule.control == "rft" or rule.control == "cluster-rft":  # noqa: PLR1714  (for the types)
        field = _field(rule, stat_map, stat_img)
        stat_map, two_sided = _as_tested(stat_map, two_sided=two_sided)
        stat_map = searched(stat_map, field)
        used, sizes = threshold_by_fields(
            rule.control, stat_map, field, rule.alpha, rule.forming_p, two_sided=two_sided
        )
    else:
        stat_map, two_sided = _as_tested(stat_map, two_sided=two_sided)
        used = threshold_of(stat_map.tests, rule.alpha, rule.control, two_sided=two_sided)
    kept = survivors(
        stat_map.space,
        stat_map.values,
        used,
        least_sizes(stat_map.space, rule.smallest, sizes),
        two_sided=two_sided,
    )
    if kept.n_passed == 0:
        warn_nothing_survives(stat_map, used, two_sided=two_sided)
    elif not kept.row.any():
        _warn_no_cluster(stat_map, kept, used, sizes, rule.smallest)
    control = "given" if rule.control is None else f"{rule.control}, alpha {rule.alpha:g}"
    about = f"thresholded at {used:.6g} ({control})"
    if stat_map.scale is not None and stat_map.scale.contrast is not None:
        about += f": {stat_map.scale.statistic.kind} of contrast {stat_map.scale.contrast}"
    return ThresholdedMap(stat_map.image(kept.row, about), used, sizes, stat_map, field)


def _field(rule: _Rule, stat_map: StatMap, stat_img: Any) -> MapField:
    """Return the random field of a map, in the small volume if there is one."""
    field = field_of_map(stat_img, stat_map, rule.smoothness)
    if rule.small_volume is None:
        return field
    small = within_small_volume(field.smoothness, stat_map, rule.small_volume)
    return replace(field, smoothness=small)


def searched(stat_map: StatMap, field: MapField) -> StatMap:
    """Return a map of z that is not tested where random field theory does not search."""
    if field.too_few is None:
        return stat_map
    values = field.searched(stat_map.values)
    return replace(stat_map, values=values, tested=stat_map.tested & ~field.too_few)


def threshold_by_fields(
    control: FieldControl,
    stat_map: StatMap,
    field: MapField,
    alpha: float,
    forming_p: float,
    *,
    two_sided: bool,
) -> tuple[float, dict[str, float]]:
    """Return the height of a map of z, and by "cluster-rft" the sizes of clusters of each part."""
    if control == "rft":
        other = threshold_of(stat_map.tests, alpha, "bonferroni", two_sided=two_sided)
        used = rft_threshold(field, stat_map, alpha, two_sided=two_sided, bonferroni=other)
        return used, {}
    refuse_clusters(stat_map.space, "height_control", "is 'cluster-rft'")
    used = -float(special.ndtri(forming_p / 2 if two_sided else forming_p))
    return used, cluster_sizes(field, stat_map, alpha, used, two_sided=two_sided)


def least_sizes(
    space: Space, smallest: float, sizes: dict[str, float]
) -> float | NDArray[np.float64]:
    """Return the size that a cluster needs, at each place if it differs between parts."""
    if not sizes:
        return smallest
    least = np.empty(space.n_values)
    for part in space.parts:
        least[part.places] = max(smallest, sizes[part.name])
    return least


def _as_tested(stat_map: StatMap, *, two_sided: bool) -> tuple[StatMap, bool]:
    """Return the map as z, and whether both tails are tested, for the threshold of an error."""
    stat_map = stat_map.as_z()
    check_z_scale(stat_map)
    return stat_map, stat_map.has_two_tails(two_sided=two_sided)


def _checked_forming_p(given: Any, height_control: HeightControl | None) -> float:
    if given is None:
        return FORMING_P
    p = check_probability("cluster_forming_p", given)
    if height_control != "cluster-rft":
        warn_caller(
            argument("cluster_forming_p")
            + " has no effect: only "
            + argument("height_control", "cluster-rft")
            + " uses it"
        )
    return p


def _warn_no_cluster(
    stat_map: StatMap, kept: Survivors, threshold: float, sizes: dict[str, float], smallest: float
) -> None:
    """Warn that what reaches the threshold is in clusters that are too small."""
    words, space = stat_map.space.place_words, stat_map.space
    found = (
        f"{stat_map.name}: nothing survives: {counted(kept.n_passed, *words)} at {threshold:.4g} "
        f"or beyond, but the largest cluster has {extent(kept.largest, space)}, "
    )
    if not sizes:
        warn_caller(
            found
            + "fewer than "
            + argument("cluster_threshold", shown=f"{smallest:g}")
            + "; the image is all zero"
        )
        return
    needed = ", ".join(
        f"{max(smallest, sizes[part.name]):.4g} {part.unit}"
        + (f" ({part.name})" if len(space.parts) > 1 else "")
        for part in space.parts
    )
    warn_caller(f"{found}and one is significant from {needed} on; the image is all zero")


def _threshold_without_map(
    alpha: float, given: float, height_control: HeightControl | None, two_sided: bool
) -> float:
    if height_control is None:
        return given
    if height_control == "fpr":
        return threshold_of(np.empty(0), alpha, "fpr", two_sided=two_sided)
    raise ArgumentError(
        "stat_img",
        "None",
        remedy=f"'stat_img' cannot be None for height_control={height_control!r}, which depends on "
        "the map: give stat_img, or height_control='fpr' or None",
    )
