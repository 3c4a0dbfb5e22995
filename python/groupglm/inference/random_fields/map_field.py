# SPDX-License-Identifier: BSD-3-Clause
"""The random field that a map is of: its smoothness, its statistic, its degrees of freedom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.inference.arguments import one_place_a_part
from groupglm.inference.map_scale import DegreesMap
from groupglm.inference.random_fields.densities import LEAST_DF
from groupglm.inference.random_fields.estimation import check_cells
from groupglm.inference.random_fields.limits import peak_threshold, size_thresholds, turning_height
from groupglm.inference.random_fields.smoothness import Smoothness
from groupglm.messages import arguments, either
from groupglm.runtime.naming import counted
from groupglm.runtime.sidecars import read_json
from groupglm.spaces.files import sidecar
from groupglm.spaces.registry import kind_of
from groupglm.spaces.statistic import number_of, valid_df

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.inference.random_fields.densities import FieldKind
    from groupglm.inference.stat_map import StatMap
    from groupglm.models.contrast_result import ContrastResult
    from groupglm.spaces.base import Space

__all__ = [
    "MapField",
    "check_smoothness",
    "cluster_sizes",
    "field_of_map",
    "field_of_result",
    "left_out_in_words",
    "refuse_places_apart",
    "rft_threshold",
    "smoothness_of_facts",
    "smoothness_of_map",
]

_SAME_SIZE = 0.02
"""The share by which searched places may differ from those of the smoothness, without a warning."""


@dataclass(frozen=True)
class MapField:
    """The field of a map.

    Attributes
    ----------
    stat_type : {"z", "t", "F", "chi2"}
        The statistic.
    df : float, array, pair of these or None
        Its degrees of freedom, as `peak_p` takes them. Where they differ by place, those of all
        searched places.
    smoothness : Smoothness
        Of the noise.
    too_few : array of bool, shape (n_values,), or None
        The places of the map with a statistic of so few degrees of freedom that no random field has
        it; None if there is none. They are not searched.
    """

    stat_type: FieldKind
    df: Any
    smoothness: Smoothness
    too_few: NDArray[np.bool_] | None = None

    @property
    def n_left_out(self) -> int:
        """Number of places that are not searched."""
        return 0 if self.too_few is None else int(np.count_nonzero(self.too_few))

    def searched(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a row of the map, NaN where it is not searched; shape (n_values,)."""
        return values if self.too_few is None else np.where(self.too_few, np.nan, values)


def field_of_map(stat_img: Any, stat_map: StatMap, smoothness: Any) -> MapField:
    """Return the field of a map, whose heights are z-scores; `stat_map` is as it was read.

    The smoothness is that of the user, or of the map's sidecar. Degrees of freedom are those of
    the sidecar or the header; else the residual ones of the smoothness, as of a t.
    """
    refuse_places_apart(stat_map.space)
    facts = _facts_of(stat_img)
    smooth = _smoothness(smoothness, facts, stat_map.name)
    given = facts.get("DegreesOfFreedom")
    degrees = given if isinstance(given, dict) else {}
    statistic = None if stat_map.scale is None else stat_map.scale.statistic
    kind, df = ("z", ()) if statistic is None else (statistic.kind, statistic.df)
    is_f = kind == "F" or (statistic is not None and statistic.of_f)
    by_place = None if df else _degrees_beside(stat_img, stat_map, facts, of_f=is_f)
    if by_place is not None:
        numerator = number_of(degrees.get("Numerator")) if is_f else None
        tested = ~np.isnan(stat_map.values)
        return _of_places(by_place, numerator, tested, smooth, stat_map.space.place_words)
    if not df:
        keys = ("Numerator", "Residual") if is_f else ("Residual",)
        # Where they differ by place and their map is gone, the fewest: never too few clusters are
        # expected.
        least = degrees.get("ResidualMinimum")
        numbers = [number_of(degrees.get(key)) for key in keys]
        if least is not None:
            numbers[-1] = number_of(least)
        df = valid_df("F" if is_f else "t", numbers)
    if is_f and not df:
        raise ArgumentError.about(
            "height_control",
            f"{stat_map.name}: the degrees of freedom of this F are not known, and a random field "
            "of z made of F is not Gaussian",
            "give a map of F with its degrees of freedom, or the map that groupglm fit wrote with "
            "its sidecar",
        )
    if is_f:
        return MapField("F", (df[0], df[1]), smooth)
    freedom = df[0] if df else smooth.df
    if math.isinf(freedom):
        return MapField("z", None, smooth)
    return MapField("t", freedom, smooth)


def _degrees_beside(
    stat_img: Any, stat_map: StatMap, facts: Mapping[str, Any], *, of_f: bool
) -> NDArray[np.float64] | None:
    """Return the degrees of freedom of each place, of the map that a sidecar names; None without.

    Returns (n_values,).
    """
    file = kind_of(stat_img).file_of(stat_img)
    if file is None:
        return None
    beside = DegreesMap.of_sidecar(Path(file), "F" if of_f else "t", facts)
    return None if beside is None else beside.read(stat_map.space)


def field_of_result(
    result: ContrastResult, smoothness: Smoothness, words: tuple[str, str]
) -> MapField:
    """Return the field of a contrast's z-scores, the same as of its map in a file."""
    numerator = float(result.df_numerator) if result.stat_type == "F" else None
    residual = np.asarray(result.df[1] if isinstance(result.df, tuple) else result.df, np.float64)
    tested = ~np.isnan(result.z_score)
    return _of_places(np.broadcast_to(residual, tested.shape), numerator, tested, smoothness, words)


def _of_places(
    residual: NDArray[np.float64],
    numerator: float | None,
    tested: NDArray[np.bool_],
    smoothness: Smoothness,
    words: tuple[str, str],
) -> MapField:
    """Return the field of a t or F whose residual degrees of freedom may differ by place.

    Places with so few that no field has them are left out, with a warning, unless all are such.
    Shapes: `residual`, `tested` (n_values,).
    """
    few = tested & (residual <= LEAST_DF)
    searched = tested & ~few
    own: Any = residual[searched if searched.any() else tested]
    if own.min() == own.max():
        own = float(own[0])
    stat_type: FieldKind = "t" if numerator is None else "F"
    if numerator is None and isinstance(own, float) and math.isinf(own):
        stat_type, df = "z", None
    else:
        df = own if numerator is None else (numerator, own)
    if not few.any() or not searched.any():
        return MapField(stat_type, df, smoothness)
    found = MapField(stat_type, df, smoothness, few)
    warn_caller(left_out_in_words(found.n_left_out, words) + "; permutation tests them too")
    return found


def left_out_in_words(n_left_out: int, words: tuple[str, str]) -> str:
    """Return a sentence about places that random field theory does not search."""
    have = "has" if n_left_out == 1 else "have"
    return (
        f"{counted(n_left_out, *words)} {have} a statistic of {LEAST_DF:g} or fewer residual "
        "degrees of freedom, which no random field has: noise is then infinite somewhere; random "
        "field theory leaves them out"
    )


def check_smoothness(given: Any) -> Smoothness | None:
    """Return the smoothness that a caller gave; refuse anything else, also where it is not used."""
    if given is not None and not isinstance(given, Smoothness):
        raise ArgumentTypeError(
            "smoothness",
            f"a {type(given).__name__}",
            "a Smoothness",
            "give model.smoothness_, or groupglm.estimate_smoothness(residuals)",
        )
    return given


def smoothness_of_map(stat_img: Any, given: Smoothness | None, name: str) -> Smoothness:
    """Return the smoothness that a caller gave, or else that of the map's sidecar."""
    return _smoothness(given, {} if given is not None else _facts_of(stat_img), name)


def refuse_places_apart(space: Space) -> None:
    """Refuse regions: a smoothness that was given would be that of something else."""
    try:
        check_cells(one_place_a_part(space))
    except ArgumentError as error:
        if error.argument != "surfaces":  # a smoothness that is known needs no mesh
            raise


def _facts_of(stat_img: Any) -> dict[str, Any]:
    file = kind_of(stat_img).file_of(stat_img)
    return {} if file is None else read_json(sidecar(Path(file))) or {}


def _smoothness(given: Smoothness | None, facts: dict[str, Any], name: str) -> Smoothness:
    found = given if given is not None else smoothness_of_facts(facts, name)
    if found is None:
        raise ArgumentError.about(
            "smoothness",
            f"{name}: random field theory needs the smoothness of the noise, which the map's "
            "sidecar does not tell",
            "give "
            + either(
                "smoothness=model.smoothness_, of the model that the map is of",
                "a map of groupglm fit with a correction by rft, whose sidecar tells it",
            ),
        )
    return found


def smoothness_of_facts(facts: Mapping[str, Any], name: str) -> Smoothness | None:
    """Return the smoothness that a sidecar tells; None if it tells none."""
    own = facts.get("Smoothness")
    if own is None:
        return None
    try:
        return Smoothness.of_facts(own)
    except (TypeError, ValueError) as error:
        raise ArgumentError.about(
            "smoothness", f"{name}: its sidecar has a wrong smoothness: {error}", "fit again"
        ) from error


def rft_threshold(
    field: MapField, stat_map: StatMap, alpha: float, *, two_sided: bool, bonferroni: float
) -> float:
    """Return the z that noise reaches anywhere with a probability of alpha, in both tails.

    Bonferroni's threshold is not taken in its place where it is lower, but named.
    """
    kind, df, smooth = field.stat_type, field.df, field.smoothness
    _check_searched(stat_map, smooth)
    used = peak_threshold(alpha / 2 if two_sided else alpha, kind, df, smooth, on_z_scale=True)
    if bonferroni < used:
        warn_caller(
            f"{stat_map.name}: random field theory's threshold, z = {used:.4g}, is above that of "
            f"Bonferroni's correction, {bonferroni:.4g}, because the noise is rough or the degrees "
            "of freedom are few; both control the same error: "
            + arguments(alpha=f"{alpha:g}", height_control="'bonferroni'")
            + " has more power here"
        )
    return used


def cluster_sizes(
    field: MapField, stat_map: StatMap, alpha: float, forming_z: float, *, two_sided: bool
) -> dict[str, float]:
    """Return the size that a cluster of noise reaches anywhere with a probability of alpha.

    Returns
    -------
    dict of str to float
        Of each part of the smoothness, in its unit.
    """
    kind, df, smooth = field.stat_type, field.df, field.smoothness
    _check_searched(stat_map, smooth)
    units = {part.name: part.unit for part in smooth.parts}
    for part in stat_map.space.parts:
        if units.get(part.name) != part.unit:
            counted = units.get(part.name)
            raise ArgumentError.about(
                "smoothness",
                f"{stat_map.name}: clusters of this map ({part.name}) are counted in {part.unit}, "
                + (
                    f"but the smoothness has no part {part.name!r}"
                    if counted is None
                    else f"but those of the smoothness in {counted}"
                ),
                "give the smoothness of the model that the map is of, and the same surfaces and "
                "areas",
            )
    turning = turning_height(kind, df, smooth, on_z_scale=True)
    if forming_z < turning:
        tails = 2 if two_sided else 1
        raise ArgumentError(
            "cluster_forming_p",
            f"{tails * float(special.ndtr(-forming_z)):.3g}",
            f"at most {tails * float(special.ndtr(-turning)):.3g}",
            "at a lower height the noise has no separate clusters, whose number random field "
            "theory would know: form clusters at p < 0.001",
        )
    sizes = size_thresholds(
        alpha / 2 if two_sided else alpha, forming_z, kind, df, smooth, on_z_scale=True
    )
    return dict(zip(units, sizes, strict=True))


def _check_searched(stat_map: StatMap, smooth: Smoothness) -> None:
    """Warn if other places are tested than the smoothness counts."""
    _, many = stat_map.space.place_words
    if abs(stat_map.n_tested - smooth.n_places) > _SAME_SIZE * smooth.n_places:
        warn_caller(
            f"{stat_map.name}: {stat_map.n_tested} {many} are tested, but the smoothness is of "
            f"{smooth.n_places}, whose size counts; give the mask of the model"
        )
