# SPDX-License-Identifier: BSD-3-Clause
"""The options for effect sizes, Bayes factors and equivalence: `EffectOptions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from groupglm.models.equivalence import Bounds

__all__ = ["EFFECT_OPTIONS", "EffectOptions"]

FAMILIES = ("ci", "cohen_d", "hedges_g", "partial_r", "partial_r2")
"""What --effect-sizes takes; "ci" is the interval of the effect itself."""


class _Families(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Names with commas between them."""

    name = "NAME[,NAME...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names, each once."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
        wrong = [name for name in names if name not in FAMILIES]
        if wrong:
            self.fail(f"{wrong[0]!r} is none of {', '.join(FAMILIES)}", param, ctx)
        return names


class _Bounds(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Two numbers around zero, and their units."""

    name = "LOW:HIGH[:d]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Bounds:
        """Return the bounds, checked."""
        from groupglm.models.equivalence import Bounds

        if isinstance(value, Bounds):
            return value
        low, *rest = value.split(":")
        if len(rest) not in (1, 2) or rest[1:] not in ([], ["d"]):
            self.fail(
                f"{value!r} must be two numbers around zero with a colon between them, such as "
                "-0.5:0.5 in units of the maps, or -0.3:0.3:d in standard deviations",
                param,
                ctx,
            )
        try:
            bounds = float(low), float(rest[0])
            return Bounds.checked(bounds, "cohen_d" if rest[1:] else "effect", 0.05)
        except ValueError as error:
            told = str(error).removeprefix("bounds is ")
            self.fail(f"{value!r}: {told}", param, ctx)


EFFECT_OPTIONS = (
    click.option(
        "--effect-sizes",
        type=_Families(),
        help="Maps of these too, with bounds of 95%: ci (of the effect), cohen_d, hedges_g, "
        "partial_r, partial_r2. Of F contrasts, partial_r2 alone.",
    ),
    click.option(
        "--bayes-factor",
        is_flag=True,
        help="Maps of the natural logarithm of the Bayes factor of an effect against none too.",
    ),
    click.option(
        "--equivalence",
        type=_Bounds(),
        help="Test by two one-sided tests (0.05) whether the effect lies within these bounds, in "
        "units of the maps, or of Cohen's d with :d.",
    ),
)


@dataclass(frozen=True)
class EffectOptions:
    """What is wanted besides the statistics of contrasts.

    Parameters
    ----------
    families : tuple of str
        Of `FAMILIES`.
    bayes_factor : bool
        Whether Bayes factors are wanted.
    equivalence : Bounds or None
        The bounds of equivalence tests.
    """

    families: tuple[str, ...] = ()
    bayes_factor: bool = False
    equivalence: Bounds | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> EffectOptions:
        """Take these options out of a command's arguments."""
        return cls(
            given.pop("effect_sizes") or (),
            given.pop("bayes_factor"),
            given.pop("equivalence"),
        )

    def outputs_of(self, stat_type: str) -> tuple[str, ...]:
        """Return the outputs, as `compute_contrast` names them, that the statistic defines."""
        names: list[str] = []
        for family in self.families:
            if stat_type == "F" and family != "partial_r2":
                continue
            ends = ("ci_low", "ci_high") if family == "ci" else ("", "_ci_low", "_ci_high")
            names += ends if family == "ci" else [family + end for end in ends]
        return (*names, *(["log_bayes_factor"] if self.bayes_factor else []))

    def tests_equivalence_of(self, stat_type: str) -> bool:
        """Return whether equivalence is wanted and the statistic defines it."""
        return self.equivalence is not None and stat_type == "t"

    def left_out_of(self, stat_type: str) -> list[str]:
        """Return the options that an F contrast does not define."""
        if stat_type == "t":
            return []
        left = [family for family in self.families if family != "partial_r2"]
        return left + (["equivalence"] if self.equivalence else [])
