# SPDX-License-Identifier: BSD-3-Clause
"""The kind of model of a node of a Stats Model: `NodeEstimator`.

The specification knows the types "glm" and "meta" and says no more of them than "general linear
model" and "meta-analysis". FitLins, for which such files are written, runs "meta" as fixed effects:
effects and their variances in, effects weighted by their precision out. So does this package.
Random (mixed) effects are a meta-analysis too, and what a group study mostly asks for: the node
asks for them in ``Model.Software``, where the specification has settings of one package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.bids.json_objects import check_keys, object_of, quoted
from groupglm.errors import warn_caller

if TYPE_CHECKING:
    from groupglm.design.formula.random_part import RandomPart
    from groupglm.models.base import Model

__all__ = ["NodeEstimator", "read_estimator"]

_OWN = "groupglm"  # the name of this package in Model.Software
_SETTINGS = {
    "ols": (),
    "fixed effects": (),
    "mixed effects": ("tau2", "test", "variance_groups"),
    "unequal variances": ("variance_groups",),
    "repeated measures": ("covariance", "df", "adjustment", "families", "visits", "groups"),
    "robust": ("weights", "tuning"),
}
_OF_TYPE = {
    "glm": ("ols", "unequal variances", "repeated measures", "robust"),
    "meta": ("fixed effects", "mixed effects"),
}
_COLUMNS = ("variance_groups", "families", "visits", "groups")


@dataclass(frozen=True)
class NodeEstimator:
    """The kind of model of a node, with its settings.

    Parameters
    ----------
    model : str
        "ols", "fixed effects", "mixed effects", "unequal variances", "repeated measures", "robust":
        The model, as ``SecondLevelModel(model=...)`` takes it.
    tau2 : str, float or None
        How mixed effects estimate the variance between subjects; None for the default.
    test : str or None
        The test of mixed effects; None for the default.
    variance_groups : str or None
        The column of the participants table with groups that have variances of their own.
    covariance, df, adjustment : str, int or None
        Of repeated measures, as in `groupglm.RepeatedMeasures`; None for the default.
    families, visits, groups : str or None
        The columns of the table with these labels of the maps, of repeated measures.
    random : groupglm.design.formula.random_part.RandomPart or None
        The random part of the formula, which names the columns of subjects and families.
    weights, tuning : str, float or None
        Of robust regression, as in `groupglm.Robust`; None for the default.
    """

    model: str = "ols"
    tau2: str | float | None = None
    test: str | None = None
    variance_groups: str | None = None
    covariance: str | None = None
    df: str | None = None
    adjustment: str | int | None = None
    families: str | None = None
    visits: str | None = None
    groups: str | None = None
    random: RandomPart | None = None
    weights: str | None = None
    tuning: float | None = None

    def group_model(
        self,
        groups: Sequence[str] | None = None,
        labels: Mapping[str, Sequence[str]] | None = None,
    ) -> Model | str:
        """Return the model with its settings, as ``SecondLevelModel(model=...)`` takes it.

        Parameters
        ----------
        groups : sequence of str, optional
            The label of each subject's group, from the column `variance_groups`.
        labels : mapping of str to sequence of str, optional
            For repeated measures: "subjects", and perhaps "families", "visits" and "groups" of the
            maps.

        Returns
        -------
        str or model
            The model's name, if it has the settings that are its default.
        """
        given: dict[str, Any] = {"tau2": self.tau2, "test": self.test}
        given |= {"weights": self.weights, "tuning": self.tuning}
        if self.model == "repeated measures":
            given |= {"covariance": self.covariance_chosen, "df": self.df}
            given |= {"adjustment": _adjustment(self.adjustment), **(labels or {})}
        settings = {key: own for key, own in given.items() if own is not None}
        if groups is not None:
            settings["groups" if self.model == "unequal variances" else "variance_groups"] = groups
        if not settings:
            return self.model
        from groupglm.models.kinds import model_of_kind

        return model_of_kind(self.model, settings)

    def label_columns(self) -> dict[str, str]:
        """Return the columns of a table that hold labels of the maps, of repeated measures.

        Returns
        -------
        dict of str to str
            By argument of `groupglm.RepeatedMeasures`: "subjects", "families", "visits", "groups".
        """
        random = self.random
        named = {
            "subjects": None if random is None else random.subject,
            "families": self.families or (None if random is None else random.family),
            "visits": self.visits,
            "groups": self.groups,
        }
        return {name: column for name, column in named.items() if column is not None}

    @property
    def covariance_chosen(self) -> str:
        """The covariance of repeated measures: nested by default if there are families."""
        families = self.families or (self.random and self.random.family)
        return self.covariance or ("nested" if families else "random intercept")

    @property
    def needs_variances(self) -> bool:
        """Whether the model takes the variance of each effect."""
        return self.model in _OF_TYPE["meta"]


def _adjustment(given: str | int | None) -> str | int | None:
    """Return an adjustment as `RepeatedMeasures` takes it: "2", of a command, is 2."""
    return int(given) if isinstance(given, str) and given.isdecimal() else given


def read_estimator(model: Mapping[str, Any], where: str) -> NodeEstimator:
    """Read ``Type`` and ``Software`` of a node's model; refuse what is not supported."""
    kind = model.get("Type", "glm")
    known = kind.lower() if isinstance(kind, str) else ""
    if known not in _OF_TYPE:
        raise ValueError(
            f"{where}: Model.Type {kind!r} is not supported, only 'glm' (ordinary least squares) "
            "and 'meta' (effects weighted by their variances)"
        )
    own = _software(model.get("Software"), where)
    random = _random_part(model.get("Formula"))
    if random is not None and known != "glm":
        raise ValueError(
            f"{where}: Model.Formula has the random part {random}, which Model.Type {kind!r} does "
            'not have; write "Type": "glm", or leave it out'
        )
    at, where = where, f"{where}: Model.Software.{_OWN}"
    default = _OF_TYPE[known][0] if random is None else "repeated measures"
    given = own.get("model", default)
    if given not in _OF_TYPE[known]:
        raise ValueError(
            f"{where} has model {given!r}, which is not of Model.Type {kind!r}; it has "
            f"{' and '.join(map(repr, _OF_TYPE[known]))}"
        )
    if known == "meta" and "model" not in own:
        warn_caller(
            f"{where} names no model, so Type 'meta' is fixed effects, as in FitLins: its tests "
            "are about these subjects, not about a population. For a population write "
            f'"Software": {{"{_OWN}": {{"model": "mixed effects"}}}}'
        )
    if random is not None and given != "repeated measures":
        raise ValueError(
            f"{at}: Model.Formula has the random part {random}, which the model {given!r} does not "
            'have; write "model": "repeated measures", or leave it out'
        )
    other = [key for key in own if key != "model" and key not in _SETTINGS[given]]
    if other:
        raise ValueError(f"{where} has {quoted(other)}, which the model {given!r} does not take")
    settings = {key: value for key, value in own.items() if key != "model"}
    _check_settings(given, settings, where)
    node = NodeEstimator(given, **settings, random=random)
    if given == "repeated measures":
        _check_repeated(node, where)
    return node


def _software(given: Any, where: str) -> Mapping[str, Any]:
    """Return the settings of this package; warn of those of others."""
    if given is None:
        return {}
    found = object_of(given, f"{where}: Model.Software")
    others = [key for key in found if key != _OWN]
    if others:
        warn_caller(
            f"{where}: Model.Software has no effect here as to {quoted(others)}: it is for other "
            "packages"
        )
    own = object_of(found.get(_OWN, {}), f"{where}: Model.Software.{_OWN}")
    known = dict.fromkeys(key for settings in _SETTINGS.values() for key in settings)
    check_keys(own, ("model", *known), f"{where}: Model.Software.{_OWN}")
    return own


def _check_settings(model: str, settings: Mapping[str, Any], where: str) -> None:
    for key in _COLUMNS:
        column = settings.get(key)
        if column is not None and (not isinstance(column, str) or not column):
            raise ValueError(f"{where} has {key} {column!r}; it must be the name of a column")
    if model in ("mixed effects", "robust"):
        names = ("tau2", "test", "weights", "tuning")
        given = {name: settings[name] for name in names if name in settings}
        try:
            NodeEstimator(model, **given).group_model()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error


def _check_repeated(node: NodeEstimator, where: str) -> None:
    """Refuse settings of another covariance; labels stand for those of the columns."""
    from groupglm.models.repeated import RepeatedMeasures

    family = None if node.random is None else node.random.family
    if family is not None and node.families is not None:
        raise ValueError(
            f"{where} has families {node.families!r}, and the random part {node.random} of "
            "Model.Formula names families too; give one of the two"
        )
    families = node.families or family
    covariance = node.covariance_chosen
    if covariance == "nested" and families is None:
        raise ValueError(
            f"{where} has covariance 'nested', which needs the column of families; give it by "
            '"families", or write (1 | family/subject) in Model.Formula'
        )
    settings: dict[str, Any] = {"covariance": covariance}
    settings |= {"families": None if families is None else ["a"]}
    settings |= {"groups": None if node.groups is None else ["a"]}
    if node.adjustment is not None:
        settings["adjustment"] = node.adjustment
    try:
        RepeatedMeasures(df=node.df, **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _random_part(formula: Any) -> RandomPart | None:
    """Return the random part of a formula; None of one that cannot be read, which is told later."""
    from groupglm.design.formula.building import random_part

    try:
        return random_part(formula) if isinstance(formula, str) else None
    except ValueError:
        return None
