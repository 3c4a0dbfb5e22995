# SPDX-License-Identifier: BSD-3-Clause
"""How a fitted model introduces itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from groupglm.group.fitted_group import FittedGroup

__all__ = ["FactsInRepr"]


class FactsInRepr(BaseEstimator):  # type: ignore[misc]
    """The part of the estimator that says what it is fitted to, after scikit-learn's `repr`."""

    _group: FittedGroup

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the parameters that are not the default and, once fitted, the fit in numbers."""
        # scikit-learn breaks the lines of those objects only whose __repr__ is its own.
        plain = type(type(self).__name__, (type(self),), {"__repr__": BaseEstimator.__repr__})
        shown: Any = object.__new__(plain)
        vars(shown).update(self.get_params(deep=False))
        parameters = BaseEstimator.__repr__(shown, N_CHAR_MAX)
        if not hasattr(self, "_group"):
            return str(parameters)
        return f"{parameters} fitted to {self._group.result.facts}"
