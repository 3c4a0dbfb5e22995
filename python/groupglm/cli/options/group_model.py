# SPDX-License-Identifier: BSD-3-Clause
"""The options that choose the group's model, and the maps that it takes beside the effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.options.giving import Command, giving
from groupglm.cli.options.repeated_measures import RepeatedOptions, of_repeated

if TYPE_CHECKING:
    from groupglm.bids.estimators import NodeEstimator
    from groupglm.models.base import Model

__all__ = ["MODELS", "TESTS", "GroupModelOptions", "bids_model_options", "model_options"]


MODELS = {
    "ols": "ols",
    "fixed": "fixed effects",
    "mixed": "mixed effects",
    "unequal": "unequal variances",
    "repeated": "repeated measures",
    "robust": "robust",
}
"""The models by the command line's words, and their names in Python."""

METHODS = ("reml", "ml", "dersimonian-laird", "paule-mandel", "hedges")
TESTS = ("knapp-hartung", "knapp-hartung-conservative", "t", "z")
_WEIGHS = ("fixed", "mixed")  # the models that take the variance of each map


class _Tau2(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A method that estimates tau2, or its value."""

    name = "METHOD|NUMBER"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        if text in METHODS:
            return text
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            self.fail(
                f"{value!r} is none of {', '.join(METHODS)}, and no number of at least 0 "
                "(in squared units of the maps)",
                param,
                ctx,
            )
        return number


class _Covariate(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The name of a covariate, and the glob of its maps."""

    name = "NAME=GLOB"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, pattern = value.partition("=")
        if not (name.strip() and equals and pattern):
            self.fail(f"{value!r} must be NAME=GLOB, such as grey_matter='maps/*_gm*'", param, ctx)
        return name.strip(), pattern


def _model(*names: str) -> Callable[[Command], Command]:
    return click.option(
        *names,
        "model_name",
        type=click.Choice(list(MODELS)),
        help="Ordinary least squares (ols, the default); fixed or mixed effects, which weight each "
        "map by its variance; a variance for each group (unequal: Welch); several maps a "
        "subject (repeated, the default if the formula has (1 | subject)); or robust: maps far off "
        "count less, place by place.",
    )


_OF_MIXED = (
    click.option(
        "--tau2",
        type=_Tau2(),
        help=f"Variance between subjects, of --model mixed: {', '.join(METHODS)}, or its value. "
        f"By default {METHODS[0]}.",
    ),
    click.option(
        "--test",
        type=click.Choice(TESTS),
        help=f"Test of --model mixed; by default {TESTS[0]}.",
    ),
    click.option(
        "--variance-groups",
        metavar="COLUMN",
        help="Column of groups with a variance of their own, for mixed or unequal.",
    ),
)
_OF_ROBUST = (
    click.option(
        "--weights-function",
        type=click.Choice(("bisquare", "huber")),
        help="Weights of --model robust; by default bisquare.",
    ),
    click.option(
        "--tuning",
        type=click.FloatRange(min=0, min_open=True),
        help="How far off a map may be, in standard deviations, of --model robust; by default "
        "4.685, or 1.345 with huber.",
    ),
)
_BESIDE = (
    click.option(
        "--variances",
        multiple=True,
        metavar="GLOB",
        help="Variance maps of fixed or mixed effects, matched by subject; or the table's column "
        "variances_map_path. Repeatable.",
    ),
    click.option(
        "--weights",
        multiple=True,
        metavar="GLOB",
        help="Maps of weights for ordinary least squares, matched by subject. Repeatable.",
    ),
    click.option(
        "--covariate",
        "covariates",
        multiple=True,
        type=_Covariate(),
        help="Column whose values are maps, matched by subject; of ordinary least squares. "
        "Repeatable.",
    ),
)


_OF_FIT = (
    "no name of a file in a derivative says that it belongs to an effect map in this way; give the "
    "effect maps of DERIVATIVES to groupglm fit, which has {option} and matches maps by subject"
)
_WITHOUT_EFFECT = {
    "--variances": "with --group-model mixed or fixed the stat-variance map beside each effect map "
    "is found by its name; leave --variances out",
    "--weights": _OF_FIT.format(option="--weights"),
    "--covariate": _OF_FIT.format(option="--covariate"),
}


def _refuse_of_fit(_: click.Context, param: click.Parameter, value: object) -> None:
    """Say what to do with an option of fit that bids has not."""
    if value:
        option = param.opts[0]
        raise click.UsageError(f"bids has no {option}: {_WITHOUT_EFFECT[option]}.")


_NOT_OF_BIDS = tuple(
    click.option(option, hidden=True, expose_value=False, multiple=True, callback=_refuse_of_fit)
    for option in _WITHOUT_EFFECT
)


model_options = giving(
    (_model("--model", "--group-model"), *_BESIDE, *_OF_MIXED, *_OF_ROBUST, *of_repeated)
)
bids_model_options = giving(
    (_model("--group-model"), *_OF_MIXED, *_OF_ROBUST, *of_repeated, *_NOT_OF_BIDS)
)


@dataclass(frozen=True)
class GroupModelOptions:
    """The model of the group, as options give it.

    Parameters
    ----------
    model_name : str
        A key of `MODELS`.
    tau2 : str or float or None
        How mixed effects estimate the variance between subjects; None: as by default.
    test : str or None
        The test of mixed effects; None: as by default.
    variance_groups : str or None
        The column of the participants table that names the groups.
    variances, weights : tuple of str
        Paths and globs.
    covariates : tuple of (str, str)
        Name, and path or glob.
    weights_function : str or None
        The weights of robust regression; None: as by default.
    tuning : float or None
        Their tuning; None: as by default.
    repeated : RepeatedOptions
        The options for several maps a subject.
    option : str
        The option that chooses the model.
    """

    model_name: str = "ols"
    tau2: str | float | None = None
    test: str | None = None
    variance_groups: str | None = None
    variances: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    covariates: tuple[tuple[str, str], ...] = ()
    weights_function: str | None = None
    tuning: float | None = None
    repeated: RepeatedOptions = field(default_factory=RepeatedOptions)
    option: str = "--model"

    @classmethod
    def taken_from(cls, given: dict[str, Any], *, option: str = "--model") -> GroupModelOptions:
        """Take these options out of a command's arguments; refuse those of another model."""
        names = [name for name in cls.__dataclass_fields__ if name in given]
        own = {name: given.pop(name) for name in names}
        repeated = RepeatedOptions.taken_from(given)
        if own["model_name"] is None:
            own["model_name"] = "ols" if repeated.random is None else "repeated"
        options = cls(**own, repeated=repeated, option=option)
        for told in options._conflicts():
            raise click.UsageError(told)
        options.check_smoothing(given.get("fwhm"))
        return options

    def check_smoothing(self, fwhm: float | tuple[float, ...] | None) -> None:
        """Refuse to smooth maps that the variances beside them describe as they are."""
        if self.needs_variances and fwhm and fwhm != (0.0, 0.0, 0.0):
            raise click.UsageError(
                "--fwhm changes the maps, and their variances would no longer be those of "
                f"{self.option} {self.model_name}; smooth the data of the first level, or give "
                f"{self.option} ols."
            )

    def check_permutations(self) -> None:
        """Refuse permutation tests that the model does not have, before maps are read."""
        told = self.repeated.without_permutations() if self.is_repeated else None
        if told is not None:
            raise click.UsageError(told)

    @classmethod
    def of_node(cls, node: NodeEstimator) -> GroupModelOptions:
        """Return the options that a node of a Stats Model stands for."""
        name = next(short for short, name in MODELS.items() if name == node.model)
        return cls(
            name,
            node.tau2,
            node.test,
            node.variance_groups,
            weights_function=node.weights,
            tuning=node.tuning,
            repeated=RepeatedOptions.of_node(node),
            option="Model.Type",
        )

    def _conflicts(self) -> Iterator[str]:
        chosen = f"{self.option} {self.model_name}"
        is_mixed, is_repeated = f"{self.option} mixed", f"{self.option} repeated"
        random = self.repeated.random
        if random is not None and self.model_name != "repeated":
            yield (
                f"the formula has the random part {random}, which {chosen} does not have; give "
                f"{is_repeated}, or leave the random part out."
            )
        given: tuple[tuple[str, object, tuple[str, ...], str], ...] = (
            ("--variances", self.variances, _WEIGHS, f"{is_mixed}, or {self.option} fixed"),
            ("--tau2", self.tau2 is not None, ("mixed",), is_mixed),
            ("--test", self.test is not None, ("mixed",), is_mixed),
            (
                "--variance-groups",
                self.variance_groups is not None,
                ("mixed", "unequal"),
                f"{is_mixed}, or {self.option} unequal",
            ),
            *((f"--{name}", True, ("repeated",), is_repeated) for name in self.repeated.given()),
            *(
                (option, own is not None, ("robust",), f"{self.option} robust")
                for option, own in (
                    ("--weights-function", self.weights_function),
                    ("--tuning", self.tuning),
                )
            ),
            ("--weights", self.weights, ("ols",), f"{self.option} ols"),
            ("--covariate", self.covariates, ("ols",), f"{self.option} ols"),
        )
        for option, is_given, models, need in given:
            if is_given and self.model_name not in models:
                yield (
                    f"{option} has no effect with {chosen}{self._reason(option)}; give {need}, or "
                    f"leave {option} out."
                )
        names = [name for name, _ in self.covariates]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield f"--covariate {name} is given {names.count(name)} times; give each name once."

        if self.is_repeated:
            yield from self.repeated.conflicts()

    def _reason(self, option: str) -> str:
        if option == "--variances":
            return ", which does not take the variances of maps"
        if option == "--weights":
            return ", whose weights are not the user's to choose"
        return ""

    @property
    def needs_variances(self) -> bool:
        """Whether the model takes the variance of each map."""
        return self.model_name in _WEIGHS

    @property
    def is_repeated(self) -> bool:
        """Whether the model is that of several maps a subject."""
        return self.model_name == "repeated"

    @property
    def subject_column(self) -> str | None:
        """The column that the random part of a formula names for the subjects."""
        return self.repeated.columns().get("subjects") if self.is_repeated else None

    @property
    def repeated_columns(self) -> list[str]:
        """The columns of a table with labels of the maps; those of subjects may be their labels."""
        return [*self.repeated.columns().values()] if self.is_repeated else []

    def facts(self) -> dict[str, Any]:
        """Return the facts of the model for sidecars; none for ordinary least squares.

        So the results of earlier versions are those of the same settings.
        """
        if self.model_name == "ols":
            return {}
        facts: dict[str, Any] = {"Model": MODELS[self.model_name]}
        if self.model_name == "mixed":
            facts["Tau2"] = METHODS[0] if self.tau2 is None else self.tau2
            facts["Test"] = self.test or TESTS[0]
        if self.model_name == "robust":
            facts["Weights"] = self.weights_function or "bisquare"
            facts["Tuning"] = self.tuning or {"bisquare": 4.685, "huber": 1.345}[facts["Weights"]]
        if self.variance_groups is not None:
            facts["VarianceGroups"] = self.variance_groups
        return {**facts, **(self.repeated.facts() if self.is_repeated else {})}

    def facts_for_programs(self) -> dict[str, Any]:
        """Return the model for a program; nothing for ordinary least squares."""
        names = {"VarianceGroups": "groups"}
        names |= {f"{own.capitalize()}Column": f"{own}_column" for own in self.repeated.columns()}
        return {names.get(key, key.lower()): value for key, value in self.facts().items()}

    def words(self) -> str:
        """Return the model in words; empty for ordinary least squares."""
        facts = self.facts()
        said = str(facts.get("Model", ""))
        if "Tau2" in facts:
            tau2 = facts["Tau2"]
            how = f"by {tau2}" if isinstance(tau2, str) else f"{tau2:g}, as given"
            said += f" (variance between subjects {how}; test {facts['Test']})"
        if "Tuning" in facts:
            said += f" ({facts['Weights']} weights, tuning {facts['Tuning']:g})"
        return f"{said} ({self.repeated.words()})" if self.is_repeated else said

    def model(
        self,
        groups: Mapping[str, str] | None,
        labels: Mapping[str, Sequence[str]] | None = None,
    ) -> Model | str:
        """Return the model with its settings.

        Parameters
        ----------
        groups : mapping of str to str or None
            The variance group of each subject.
        labels : mapping of str to sequence of str, optional
            Subjects, families, visits and groups of the maps, of repeated measures.
        """
        from groupglm.bids.estimators import NodeEstimator

        node = NodeEstimator(
            MODELS[self.model_name],
            self.tau2,
            self.test,
            self.variance_groups,
            covariance=self.repeated.chosen if self.is_repeated else None,
            df=self.repeated.df,
            adjustment=self.repeated.adjustment,
            weights=self.weights_function,
            tuning=self.tuning,
        )
        return node.group_model(None if groups is None else [*groups.values()], labels)
