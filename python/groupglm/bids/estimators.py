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
    from groupglm.models.base import Model

__all__ = ["NodeEstimator", "read_estimator"]

_OWN = "groupglm"  # the name of this package in Model.Software
_SETTINGS = {
    "ols": (),
    "fixed effects": (),
    "mixed effects": ("tau2", "test", "variance_groups"),
    "unequal variances": ("variance_groups",),
}
_OF_TYPE = {"glm": ("ols", "unequal variances"), "meta": ("fixed effects", "mixed effects")}


@dataclass(frozen=True)
class NodeEstimator:
    """The kind of model of a node, with its settings.

    Parameters
    ----------
    model : {"ols", "fixed effects", "mixed effects", "unequal variances"}
        The model, as ``SecondLevelModel(model=...)`` takes it.
    tau2 : str, float or None
        How mixed effects estimate the variance between subjects; None for the default.
    test : str or None
        The test of mixed effects; None for the default.
    variance_groups : str or None
        The column of the participants table with groups that have variances of their own.
    """

    model: str = "ols"
    tau2: str | float | None = None
    test: str | None = None
    variance_groups: str | None = None

    def group_model(self, groups: Sequence[str] | None = None) -> Model | str:
        """Return the model with its settings, as ``SecondLevelModel(model=...)`` takes it.

        Parameters
        ----------
        groups : sequence of str, optional
            The label of each subject's group, from the column `variance_groups`.

        Returns
        -------
        str or model
            The model's name, if it has the settings that are its default.
        """
        given = {"tau2": self.tau2, "test": self.test}
        settings: dict[str, Any] = {key: own for key, own in given.items() if own is not None}
        if groups is not None:
            settings["groups" if self.model == "unequal variances" else "variance_groups"] = groups
        if not settings:
            return self.model
        from groupglm.models.kinds import model_of_kind

        return model_of_kind(self.model, settings)

    @property
    def needs_variances(self) -> bool:
        """Whether the model takes the variance of each effect."""
        return self.model in _OF_TYPE["meta"]


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
    where = f"{where}: Model.Software.{_OWN}"
    given = own.get("model", _OF_TYPE[known][0])
    if given not in _OF_TYPE[known]:
        raise ValueError(
            f"{where} has model {given!r}, which is not of Model.Type {kind!r}; it has "
            f"{' and '.join(map(repr, _OF_TYPE[known]))}"
        )
    if known == "meta" and "model" not in own:
        warn_caller(
            f"{where} is absent, so Type 'meta' is fixed effects, as in FitLins: its tests are "
            "about these subjects, not about a population. For a population write "
            f'"Software": {{"{_OWN}": {{"model": "mixed effects"}}}}'
        )
    other = [key for key in own if key != "model" and key not in _SETTINGS[given]]
    if other:
        raise ValueError(f"{where} has {quoted(other)}, which the model {given!r} does not take")
    settings = {key: value for key, value in own.items() if key != "model"}
    _check_settings(given, settings, where)
    return NodeEstimator(given, **settings)


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
    check_keys(own, ("model", *_SETTINGS["mixed effects"]), f"{where}: Model.Software.{_OWN}")
    return own


def _check_settings(model: str, settings: Mapping[str, Any], where: str) -> None:
    column = settings.get("variance_groups")
    if column is not None and (not isinstance(column, str) or not column):
        raise ValueError(f"{where} has variance_groups {column!r}; it must be the name of a column")
    if model == "mixed effects":
        try:
            NodeEstimator(model, settings.get("tau2"), settings.get("test")).group_model()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
