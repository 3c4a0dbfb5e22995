# SPDX-License-Identifier: BSD-3-Clause
"""The models by their names: those that a user may name, and those that a saved file may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.models.base import Model
from groupglm.models.fixed import FixedEffects
from groupglm.models.mixed import MixedEffects
from groupglm.models.ols import OLS, Ols
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.robust import Robust
from groupglm.models.unequal import UnequalVariances
from groupglm.models.weighted import Weighted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "check_kind",
    "check_model",
    "given_model",
    "model_of_kind",
    "with_beside",
]

DEFAULT_MODEL: Model = OLS
"""The model of the doors where a user cannot choose one."""

MODELS: dict[str, type[Model]] = {
    model.kind: model
    for model in (
        Ols,
        Weighted,
        FixedEffects,
        MixedEffects,
        UnequalVariances,
        RepeatedMeasures,
        Robust,
    )
}
"""The classes by their kinds."""

_NAMED = (
    Ols.kind,
    FixedEffects.kind,
    MixedEffects.kind,
    UnequalVariances.kind,
    RepeatedMeasures.kind,
    Robust.kind,
)
"""The kinds that a user may name; the model then has the settings of its class by default."""


def check_model(given: object) -> Model:
    """Return the model that a user names or gives as an object."""
    if isinstance(given, str) and given in _NAMED:
        return MODELS[given]()
    names = " or ".join(map(repr, _NAMED))
    if isinstance(given, Model) and not isinstance(given, type):
        return given
    if isinstance(given, str):
        raise ArgumentError("model", shown(given), f"{names}, or a model with its options")
    raise ArgumentTypeError(
        "model", f"a {type(given).__name__}", f"{names}, or a model with its options"
    )


def with_beside(model: Model, *, weights: bool, covariates: tuple[str, ...]) -> Model:
    """Return the model that takes weights and covariates of these names too."""
    if not weights and not covariates:
        return model
    if model == OLS:
        return Weighted(weights, covariates)
    given = "weights" if weights else "covariates"
    raise ArgumentError(
        given,
        f"given, but the model {model.kind!r} takes none",
        remedy=f"leave {given} out, or take the model {OLS.kind!r}",
    )


def given_model(fitted: Model) -> str | Model:
    """Return what a user gives as the model to fit this one again, the inverse of `check_model`.

    What lies beside the images, such as weights, is given to the fit.
    """
    if "variance" not in fitted.beside and fitted.beside:
        return DEFAULT_MODEL.kind
    if fitted.kind in _NAMED and MODELS[fitted.kind]().settings() == fitted.settings():
        return fitted.kind
    return fitted


def check_kind(kind: str) -> None:
    """Refuse a kind that a saved file names if this version does not know it."""
    if kind not in MODELS:
        known = ", ".join(map(repr, MODELS))
        raise ValueError(f"model {kind!r}; this groupglm knows {known}")


def model_of_kind(kind: str, settings: Mapping[str, Any]) -> Model:
    """Return the model that a saved file names; ValueError if there is none."""
    check_kind(kind)
    try:
        return MODELS[kind](**settings)
    except TypeError as error:
        raise ValueError(f"model {kind!r} has no such settings: {error}") from error
