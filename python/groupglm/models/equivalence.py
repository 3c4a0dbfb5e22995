# SPDX-License-Identifier: BSD-3-Clause
"""Equivalence of an effect with none: two one-sided tests against bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.models.effect_size_rules import refuse_units_of_d
from groupglm.models.effect_sizes import EffectSizes
from groupglm.runtime.arguments import check_choice, real_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["EQUIVALENCE_REFERENCES", "Bounds", "Equivalence", "Units", "equivalence_of"]

Units = Literal["effect", "cohen_d"]

EQUIVALENCE_REFERENCES = (
    "Schuirmann DJ. A comparison of the two one-sided tests procedure and the power approach for "
    "assessing the equivalence of average bioavailability. Journal of Pharmacokinetics and "
    "Biopharmaceutics. 1987;15(6):657-680.",
    "Lakens D. Equivalence tests: a practical primer for t tests, correlations, and meta-analyses. "
    "Social Psychological and Personality Science. 2017;8(4):355-362.",
)


@dataclass(frozen=True)
class Bounds:
    """The bounds within which an effect does not matter.

    Parameters
    ----------
    low, high : float
        Below and above zero.
    units : {"effect", "cohen_d"}
        The units of both: those of the data, or standard deviations.
    alpha : float
        Level of each test.
    """

    low: float
    high: float
    units: Units
    alpha: float

    @classmethod
    def checked(cls, bounds: object, units: object, alpha: object) -> Bounds:
        """Return bounds that a caller gave.

        Raises
        ------
        ArgumentError
            If they are not two finite numbers around zero, the lower first, or units or level are
            unknown.
        """
        check_choice("units", units, ("effect", "cohen_d"))
        given: Any = bounds
        try:
            first, last = given
        except (TypeError, ValueError):
            raise ArgumentTypeError("bounds", shown(bounds), "two numbers, (low, high)") from None
        low, high = real_number("bounds", first), real_number("bounds", last)
        found = f"({low:g}, {high:g})"
        if low > high:
            raise ArgumentError(
                "bounds", found, "the lower bound first", f"give ({high:g}, {low:g})"
            )
        if not low < 0 < high:
            raise ArgumentError(
                "bounds",
                found,
                "a number below 0 and one above, between which an effect does not matter",
                f"for bounds of equal size give (-{abs(high) or 1:g}, {abs(high) or 1:g})",
            )
        level = real_number("alpha", alpha)
        if not 0 < level < 0.5:
            raise ArgumentError("alpha", f"{level:g}", "above 0 and below 0.5", "give 0.05")
        return cls(low, high, units, level)  # type: ignore[arg-type]

    def facts(self) -> dict[str, Any]:
        """Return what sidecars say of them."""
        return {"Bounds": [self.low, self.high], "Units": self.units, "Alpha": self.alpha}


@dataclass(frozen=True, eq=False)
class Equivalence:
    """What two one-sided tests say at every place.

    Parameters
    ----------
    p_value : array, shape (n_values,)
        The larger p-value of the two tests; NaN where nothing varies.
    decision : array of int8, shape (n_values,)
        1 an effect, -1 equivalent to none, 2 both: an effect smaller than matters; 0 neither, so
        that the data do not suffice.
    """

    p_value: Floats
    decision: NDArray[np.int8]


def equivalence_of(sizes: EffectSizes, bounds: Bounds) -> Equivalence:
    """Test the effect of a t contrast against bounds, and against none, two-sided.

    The p-value is the larger one of P(T > t) at the lower bound and P(T < t) at the upper one
    (Schuirmann 1987). With bounds of Cohen's d the distributions are noncentral t, so that the
    p-value is below alpha where the interval of d of confidence 1 - 2 alpha lies within the bounds.
    """
    result, fit = sizes.result, sizes.fit
    if result.stat_type == "F":
        raise ArgumentError.about(
            "second_level_contrast",
            "equivalence is not defined for an F contrast, whose effects are several",
            "test each row by itself",
        )
    if bounds.units == "effect":
        above, below = (
            _core.t_statistics(
                sign * (sizes.difference - bound), result.effect_variance, sizes.df, fit.n_threads
            )[1]
            for sign, bound in ((1.0, bounds.low), (-1.0, bounds.high))
        )
    else:
        refuse_units_of_d(fit.model)
        above, below = (
            np.maximum(0.0, tail)
            for tail in (
                1.0 - sizes.tail(bounds.low),
                sizes.tail(bounds.high),
            )
        )
    p_value: Floats = np.where(sizes.varies, np.maximum(above, below), np.nan)
    known = ~np.isnan(p_value)
    # One-sided p-values of a two-sided test: half of alpha in each tail.
    one_sided = np.minimum(result.p_value, 1.0 - result.p_value)
    is_effect = known & (one_sided < 0.5 * bounds.alpha)
    is_equivalent = known & (p_value < bounds.alpha)
    decision = np.select(
        [is_effect & is_equivalent, is_effect, is_equivalent], [2, 1, -1], default=0
    )
    return Equivalence(p_value, decision.astype(np.int8))
