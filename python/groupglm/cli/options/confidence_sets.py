# SPDX-License-Identifier: BSD-3-Clause
"""The options for confidence sets: `SetsOptions`, `Level`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import click

__all__ = ["SETS_OPTIONS", "Level", "SetsOptions"]


@dataclass(frozen=True)
class Level:
    """The effect that is asked for, and its units."""

    value: float
    units: Literal["effect", "cohen_d"]

    @property
    def label(self) -> str:
        """The level in file names, in letters and digits only: ``CohenD0p5``."""
        number = f"{self.value!r}".replace(".", "p").replace("-", "m").replace("+", "")
        return f"{'CohenD' if self.units == 'cohen_d' else 'Effect'}{number}"

    @property
    def words(self) -> str:
        """The level in a line for the user."""
        return f"{self.value:g}{' standard deviations' if self.units == 'cohen_d' else ''}"


class _Level(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number, and its units."""

    name = "NUMBER[:d]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Level:
        """Return the level, which is finite."""
        if isinstance(value, Level):
            return value
        number, _, unit = value.partition(":")
        try:
            level = float(number)
        except ValueError:
            level = math.nan
        if not math.isfinite(level) or unit not in ("", "d") or value.endswith(":"):
            self.fail(
                f"{value!r} must be a number in units of the maps, such as 0.2, or of Cohen's d, "
                "such as 0.5:d",
                param,
                ctx,
            )
        return Level(level, "cohen_d" if unit else "effect")


SETS_OPTIONS = (
    click.option(
        "--level",
        "levels",
        type=_Level(),
        multiple=True,
        required=True,
        help="The effect that is asked for, in units of the maps, or of Cohen's d with :d. "
        "Repeatable.",
    ),
    click.option(
        "--alpha",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        help="The sets hold with a confidence of 1 - alpha.",
    ),
    click.option(
        "--n-bootstraps",
        type=click.IntRange(min=100),
        default=5000,
        show_default=True,
        help="Number of bootstraps.",
    ),
)


@dataclass(frozen=True)
class SetsOptions:
    """The options for confidence sets of contrasts."""

    levels: tuple[Level, ...]
    alpha: float
    n_bootstraps: int
    seed: int

    def facts(self, level: Level) -> dict[str, Any]:
        """Return the facts of a level for sidecars."""
        return {
            "Level": level.value,
            "Units": level.units,
            "Alpha": self.alpha,
            "NumberOfBootstraps": self.n_bootstraps,
            "Seed": self.seed,
        }
