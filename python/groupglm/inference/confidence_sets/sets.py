# SPDX-License-Identifier: BSD-3-Clause
"""Confidence sets of a contrast: `ConfidenceSets`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.inference.confidence_sets.bootstrap import bootstrap_maxima, critical_value
from groupglm.inference.confidence_sets.boundary import boundary_of, edges_of
from groupglm.inference.confidence_sets.estimates import check_model, deviations_of, estimate_of
from groupglm.inference.permutation.options import seed_of
from groupglm.runtime.arguments import check_choice, real_number, whole_number
from groupglm.spaces.statistic import Statistic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.contrast_result import ContrastResult
    from groupglm.models.equivalence import Units
    from groupglm.runtime.progress import Progress

__all__ = ["SET_NAMES", "ConfidenceSets", "SetOptions", "confidence_sets_of"]

SET_NAMES = ("upper", "estimate", "lower")
"""The sets, each within the next."""

_FEWEST = 100


@dataclass(frozen=True)
class SetOptions:
    """The options of confidence sets, checked.

    Parameters
    ----------
    level : float
        The effect that is asked for.
    units : {"effect", "cohen_d"}
        Its units: those of the data, or standard deviations.
    alpha : float
        The sets hold with a confidence of 1 - alpha.
    n_bootstraps : int
        Number of bootstraps.
    seed : int
        Of the bootstraps.
    """

    level: float
    units: Units
    alpha: float
    n_bootstraps: int
    seed: int

    @classmethod
    def checked(
        cls, level: object, units: object, alpha: object, n_bootstraps: object, random_state: object
    ) -> SetOptions:
        """Return what a caller gave.

        Raises
        ------
        ArgumentError
            If a number is not finite or out of its range, or there are too few bootstraps for
            alpha.
        """
        check_choice("units", units, ("effect", "cohen_d"))
        share = real_number("alpha", alpha)
        if not 0 < share < 1:
            raise ArgumentError("alpha", f"{share:g}", "above 0 and below 1", "give 0.05 for 95%")
        count = whole_number("n_bootstraps", n_bootstraps, least=_FEWEST)
        if count * share < 1 or count > 2**24:
            raise ArgumentError(
                "n_bootstraps",
                f"{count:,} with an alpha of {share:g}",
                "at least 1 / alpha, and at most 2**24",
            )
        seed = seed_of(random_state)
        seed = secrets.randbits(31) if seed is None else seed
        return cls(real_number("level", level), units, share, count, seed)  # type: ignore[arg-type]

    def facts(self) -> dict[str, Any]:
        """Return what sidecars say of them."""
        return {
            "Level": self.level,
            "Units": self.units,
            "Alpha": self.alpha,
            "NumberOfBootstraps": self.n_bootstraps,
            "Seed": self.seed,
        }


class ConfidenceSets(dict[str, Any]):
    """Images of the confidence sets by name, and what they were made with.

    Attributes
    ----------
    critical_value : float
        How many standard errors the estimate is above the level in the upper set at least, and
        below it outside the lower set.
    options : SetOptions
        Level, units, alpha, number of bootstraps and their seed.
    n_boundary_points : int
        Number of points between neighbours at which the estimate equals the level.
    n_places : dict of str to int
        Number of places in each set.
    """

    def __init__(
        self,
        images: Mapping[str, Any],
        critical_value: float,
        options: SetOptions,
        n_boundary_points: int,
        n_places: dict[str, int],
    ) -> None:
        super().__init__(images)
        self.critical_value = critical_value
        self.options = options
        self.n_boundary_points = n_boundary_points
        self.n_places = n_places

    def facts(self) -> dict[str, Any]:
        """Return what sidecars say of them.

        Returns
        -------
        dict
            Of numbers and texts.
        """
        return {
            **self.options.facts(),
            "CriticalValue": self.critical_value,
            "NumberOfBoundaryPoints": self.n_boundary_points,
        }


def confidence_sets_of(
    group: FittedGroup,
    result: ContrastResult,
    options: SetOptions,
    label: object,
    progress: Progress,
) -> ConfidenceSets:
    """Make the confidence sets of a contrast; the images are read once.

    Parameters
    ----------
    group : FittedGroup
        The fit.
    result : ContrastResult
        Its test of the contrast.
    options : SetOptions
        What is asked for.
    label : object
        What the user calls the contrast.
    progress : Progress
        Shows the bootstraps.
    """
    if result.stat_type == "F":
        raise ArgumentError.about(
            "second_level_contrast",
            "confidence sets are not defined for an F contrast, whose effects are several",
            "give each row by itself",
        )
    if result.null_value:
        raise ArgumentError.about(
            "second_level_contrast",
            f"the contrast is compared with {result.null_value:g}, but it is `level` that a "
            "confidence set compares it with",
            "give the contrast without the constant",
        )
    check_model(group, options.units)
    edges = edges_of(group.space)
    estimate = estimate_of(group, result, options.units)
    excess = estimate - options.level
    boundary = boundary_of(excess, edges)
    if not len(boundary):
        raise _beyond(estimate, options, group.space.place_words[1])
    found = deviations_of(group, result, options.units, boundary.places)
    with progress.bar(len(boundary), "points of the boundary") as advance:
        maxima = bootstrap_maxima(
            found.residuals,
            boundary,
            options.n_bootstraps,
            options.seed,
            group.result.n_threads,
            advance,
        )
    critical = critical_value(maxima, options.alpha)
    with np.errstate(invalid="ignore"):
        margin = np.where(found.error > 0, critical * found.error, 0.0)
        inside = {
            "upper": excess >= margin,
            "estimate": excess >= 0,
            "lower": excess >= -margin,
        }
    images = {
        name: group.space.to_image(
            own.astype(np.uint8),
            f"confidence set ({name}) of contrast {label}",
            dtype=np.uint8,
            statistic=Statistic("confidenceSet"),
        )
        for name, own in inside.items()
    }
    counts = {name: int(np.count_nonzero(own)) for name, own in inside.items()}
    return ConfidenceSets(images, critical, options, len(boundary), counts)


def _beyond(estimate: Any, options: SetOptions, many: str) -> ArgumentError:
    """Return the error of a level that no two neighbours have between them."""
    what = "effect" if options.units == "effect" else "Hedges' g (Cohen's d without its bias)"
    known = estimate[np.isfinite(estimate)]
    if not known.size:
        return ArgumentError.about(
            "second_level_contrast",
            f"the {what} is not known anywhere, so that it has no confidence sets",
            "give more images, or another contrast",
        )
    least, most = known.min().item(), known.max().item()
    if least < options.level <= most:
        return ArgumentError.about(
            "level",
            f"no two neighbouring {many} have an {what} on both sides of {options.level:g}, so "
            "that there is no boundary",
            "give a mask of connected places",
        )
    where = "no place" if options.level > most else "every place"
    return ArgumentError(
        "level",
        f"{options.level:g}, which the {what} reaches at {where}, so that there is no boundary",
        f"within the range of the {what}, from {least:.4g} to {most:.4g}",
    )
