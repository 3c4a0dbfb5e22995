# SPDX-License-Identifier: BSD-3-Clause
"""The page of the estimator: its parameters, and the code that makes it again."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from groupglm.estimator.model_fits import check_fitted
from groupglm.messages import Wording
from groupglm.report.generating import report_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from groupglm.estimator.model_fits import ModelFits
    from groupglm.report import HTMLReport

__all__ = ["make_report"]


class Reported(Protocol):
    """What a page asks of a fitted model."""

    _fits: ModelFits

    @property
    def generate_report(self) -> Callable[..., HTMLReport]:
        """The method that writes the page."""
        ...


def make_report(
    model: Reported,
    given: Mapping[str, Any],
    *,
    command: str = "",
    command_note: str = "",
    wording: Wording = str,
) -> HTMLReport:
    """Write the page of a model; `given` has parameters of its ``generate_report``."""
    check_fitted(model)
    parameters = inspect.signature(model.generate_report).parameters
    given = {**{name: own.default for name, own in parameters.items()}, **given}
    return report_on(
        model._fits,
        given,
        model_parameters=_changed(type(model).__init__, vars(model)),
        report_parameters=_changed(model.generate_report, given),
        command=command,
        command_note=command_note,
        wording=wording,
    )


def _changed(function: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that differ from the function's defaults, in its order."""
    parameters = inspect.signature(function).parameters
    return {
        name: given[name]
        for name, parameter in parameters.items()
        if name in given and given[name] is not parameter.default
        and not _equal(given[name], parameter.default)
    }  # fmt: skip


def _equal(first: Any, second: Any) -> bool:
    simple = (str, int, float, bool, tuple)
    return isinstance(first, simple) and isinstance(second, simple) and first == second
