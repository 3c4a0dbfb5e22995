# SPDX-License-Identifier: BSD-3-Clause
"""The text that a model shows in a console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from groupglm.estimator.model_fits import ModelFits

__all__ = ["describe"]


def describe(model: BaseEstimator, fits: ModelFits | None, max_characters: int) -> str:
    """Return the parameters that are not the default, and the facts of a fit, as text."""
    # scikit-learn breaks lines only for objects with its own __repr__.
    plain = type(type(model).__name__, (type(model),), {"__repr__": BaseEstimator.__repr__})
    shown: Any = object.__new__(plain)
    vars(shown).update(model.get_params(deep=False))
    parameters = str(BaseEstimator.__repr__(shown, max_characters))
    if fits is None or not fits.is_made:
        return parameters
    group = fits.current
    return f"{parameters} fitted to {group.result.described(group.space.place_words[1])}"
