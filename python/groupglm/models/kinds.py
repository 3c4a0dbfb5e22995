# SPDX-License-Identifier: BSD-3-Clause
"""The models that a saved file may hold, by their names in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.models.ols import OLS

if TYPE_CHECKING:
    from groupglm.models.base import Model

__all__ = ["DEFAULT_MODEL", "MODELS", "model_of_kind"]

DEFAULT_MODEL: Model = OLS
"""The model of the doors where a user cannot choose one."""


MODELS: dict[str, Model] = {model.kind: model for model in (OLS,)}


def model_of_kind(kind: str) -> Model:
    """Return the model that a saved file names; ValueError if there is none."""
    if kind not in MODELS:
        known = ", ".join(map(repr, MODELS))
        raise ValueError(f"model {kind!r}; this groupglm knows {known}")
    return MODELS[kind]
