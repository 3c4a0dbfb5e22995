# SPDX-License-Identifier: BSD-3-Clause
"""The options of a model of several maps a subject: ``--model repeated``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from groupglm.bids.estimators import NodeEstimator
    from groupglm.design.formula.random_part import RandomPart

__all__ = ["ADJUSTMENTS", "COVARIANCES", "RepeatedOptions", "of_repeated"]

# Those of groupglm.models.repeated, whose import takes longer than the help of a command.
_VARIANCES = ("kenward-roger", "satterthwaite")
_SANDWICH = ("satterthwaite", "naive", "approximate-1", "approximate-2", "approximate-3")
_OF_SUBJECTS = ("satterthwaite", "naive", "approximate-1")
_OF_GROUPS = ("approximate-3", "approximate-2", "approximate-1", "naive")
COVARIANCES = {"random intercept": _VARIANCES, "nested": _VARIANCES, "sandwich": _SANDWICH}
"""The methods for degrees of freedom by covariance; the first is the default."""
ADJUSTMENTS = ("0", "1", "2", "3", "C2", "C3")

of_repeated = (
    click.option(
        "--covariance",
        type=click.Choice([name.replace(" ", "-") for name in COVARIANCES]),
        help="Of a subject's maps, for --model repeated; by default random-intercept, or nested if "
        "there are families.",
    ),
    click.option(
        "--df",
        type=click.Choice(list(dict.fromkeys((*_VARIANCES, *_SANDWICH)))),
        help="Degrees of freedom of --model repeated; by default kenward-roger; satterthwaite "
        "for the sandwich, or approximate-3 with --groups.",
    ),
    click.option(
        "--adjustment",
        type=click.Choice(ADJUSTMENTS),
        help="Of residuals, for --covariance sandwich; by default C2.",
    ),
    click.option(
        "--families",
        metavar="COLUMN",
        help="Column of what subjects lie in (families, sites), for --covariance nested.",
    ),
    click.option(
        "--visits",
        metavar="COLUMN",
        help="Column of visits; by default ses- and run- in the names of the maps.",
    ),
    click.option(
        "--groups",
        metavar="COLUMN",
        help="Column of groups with a covariance of their own, for --covariance sandwich.",
    ),
)


@dataclass(frozen=True)
class RepeatedOptions:
    """The covariance of a subject's maps, and the columns that group the maps.

    Parameters
    ----------
    covariance, df, adjustment : str or None
        As in `groupglm.RepeatedMeasures`; None: as by default.
    families, visits, groups : str or None
        The columns with these labels.
    random : RandomPart or None
        The random part of the formula.
    """

    covariance: str | None = None
    df: str | None = None
    adjustment: str | None = None
    families: str | None = None
    visits: str | None = None
    groups: str | None = None
    random: RandomPart | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> RepeatedOptions:
        """Take these options out of a command's arguments; the formula stays among them."""
        own = {each.name: given.pop(each.name) for each in fields(cls) if each.name in given}
        if own.get("covariance") is not None:
            own["covariance"] = own["covariance"].replace("-", " ")
        return cls(**own, random=_random_part(given.get("formula")))

    @classmethod
    def of_node(cls, node: NodeEstimator) -> RepeatedOptions:
        """Return the options that a node of a Stats Model stands for."""
        return cls(**{each.name: getattr(node, each.name) for each in fields(cls)})

    def given(self) -> list[str]:
        """Return the options that are given, without the formula's."""
        own = (each.name for each in fields(self) if each.name != "random")
        return [name for name in own if getattr(self, name) is not None]

    @property
    def chosen(self) -> str:
        """The covariance that is fitted."""
        if self.covariance is not None:
            return self.covariance
        return "random intercept" if self._families is None else "nested"

    @property
    def _methods(self) -> tuple[str, ...]:
        """The methods for degrees of freedom, the default first."""
        if self.chosen == "sandwich":
            return _OF_SUBJECTS if self.groups is None else _OF_GROUPS
        return COVARIANCES[self.chosen]

    @property
    def _families(self) -> str | None:
        return self.families or (None if self.random is None else self.random.family)

    def conflicts(self) -> Iterator[str]:
        """Yield what has no effect with the covariance, or contradicts it."""
        chosen = self.chosen
        shown = f"--covariance {chosen.replace(' ', '-')}"
        if self.random is not None and self.random.family is not None:
            if self.families is not None:
                yield (
                    f"the formula's random part {self.random} names families, and --families is "
                    "given too; give one of the two."
                )
            if chosen != "nested":
                yield (
                    f"the formula's random part {self.random} names families, and {shown} has "
                    f"none; write (1 | {self.random.subject}), or leave --covariance out."
                )
        own = (("families", "nested"), ("adjustment", "sandwich"), ("groups", "sandwich"))
        for option, wanted in own:
            if getattr(self, option) is not None and chosen != wanted:
                yield (
                    f"--{option} has no effect with {shown}; give --covariance {wanted}, or leave "
                    f"--{option} out."
                )
        if chosen == "nested" and self._families is None:
            yield (
                f"{shown} needs the column of families; give it by --families, or write "
                "(1 | family/subject) in the formula."
            )
        if self.df is not None and self.df not in self._methods:
            beside = ""
            if chosen == "sandwich":
                beside = " without --groups" if self.groups is None else " with --groups"
            yield (
                f"--df {self.df} is no method of {shown}{beside}, which has "
                f"{', '.join(self._methods)}."
            )

    def without_permutations(self) -> str | None:
        """Return why there is no permutation test with the covariance; None if there is one."""
        if self.chosen == "nested":
            return (
                "--covariance nested has no permutation test, because its variances would have to "
                "be estimated from all maps for each permutation. Leave families out of the model "
                "and give them by --exchangeability-blocks, with --block-permutation whole."
            )
        if self.groups is not None:
            return "--covariance sandwich has no permutation test with --groups; leave it out."
        return None

    def facts(self) -> dict[str, Any]:
        """Return the facts for sidecars."""
        facts: dict[str, Any] = {"Covariance": self.chosen}
        facts["DF"] = self.df or self._methods[0]
        if self.chosen == "sandwich":
            facts["Adjustment"] = self.adjustment or "C2"
        columns = self.columns().items()
        return facts | {f"{name.capitalize()}Column": column for name, column in columns}

    def words(self) -> str:
        """Return the covariance in words."""
        facts = self.facts()
        adjusted = f", adjustment {facts['Adjustment']}" if "Adjustment" in facts else ""
        return f"{facts['Covariance']}{adjusted}; degrees of freedom by {facts['DF']}"

    def columns(self) -> dict[str, str]:
        """Return the columns that hold labels of the maps."""
        named = {
            "subjects": None if self.random is None else self.random.subject,
            "families": self._families,
            "visits": self.visits,
            "groups": self.groups,
        }
        return {name: column for name, column in named.items() if column is not None}

    def what(self, name: str) -> str:
        """Return what names a column of labels, for messages."""
        if self.random is not None and (name == "subjects" or not getattr(self, name)):
            return f"the column of {name} in the random part {self.random}"
        return f"--{name}"


def _random_part(formula: str | None) -> RandomPart | None:
    """Return the random part of a formula; None of one that cannot be read, which is told later."""
    from groupglm.design.formula.building import random_part

    try:
        return None if formula is None else random_part(formula)
    except ValueError:
        return None
