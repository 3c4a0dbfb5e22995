# SPDX-License-Identifier: BSD-3-Clause
"""The estimator's ``generate_report``: `ReportingMixin`."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groupglm.report.html_report import HTMLReport, check_dims

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.options import HeightControl, PlotType
    from groupglm.report.permutation_test import PermutationTest
    from groupglm.spaces.images import ImageLike

__all__ = ["ReportingMixin", "make_report"]


class ReportingMixin(ABC):
    """The part of the estimator that reports on a fit."""

    design_matrix_: pd.DataFrame

    @abstractmethod
    def _fitted_for(self, first_level_contrast: Any) -> FittedGroup:
        """Return the fit of a kind of maps, and make it the current one."""

    @abstractmethod
    def _inputs(self) -> list[str]:
        """Return the names of the files that the model was fitted to."""

    def generate_report(
        self,
        contrasts: Any = None,
        title: str | None = None,
        bg_img: ImageLike | None = "MNI152TEMPLATE",
        threshold: float = 3.09,
        alpha: float | Sequence[float] = 0.001,
        cluster_threshold: int = 0,
        height_control: HeightControl | Sequence[HeightControl | None] | None = "fpr",
        min_distance: float = 8.0,
        plot_type: PlotType = "slice",
        display_mode: str | None = None,
        report_dims: tuple[int, int] = (1600, 800),
        *,
        first_level_contrast: Any = None,
        two_sided: bool = True,
        cut_coords: Any = None,
        permutations: Mapping[str, PermutationTest] | None = None,
    ) -> HTMLReport:
        """Write a page about the fit: data, design, and for each contrast map, clusters and peaks.

        The page is one file that loads nothing. The images are read once more, in batches, to
        compare them with each other and to show the data behind the peaks.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return make_report(self, given)


def make_report(
    model: ReportingMixin, given: Mapping[str, Any], *, command: str = ""
) -> HTMLReport:
    """Write the page of a model."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    from groupglm.report.options import check_corrections, named_contrasts
    from groupglm.report.page import Request, build_page
    from groupglm.report.permutation_test import check_permutations

    parameters = inspect.signature(ReportingMixin.generate_report).parameters
    defaults = {name: own.default for name, own in parameters.items() if name != "self"}
    given = {**defaults, **given}
    dims = check_dims(given["report_dims"])
    aside = ("contrasts", "report_dims", "first_level_contrast", "permutations")
    options = check_corrections({k: v for k, v in given.items() if k not in aside})
    named = named_contrasts(
        given["contrasts"], [str(name) for name in model.design_matrix_.columns]
    )
    permutations = check_permutations(given["permutations"], list(named))
    group = model._fitted_for(given["first_level_contrast"])
    request = Request(
        corrections=options,
        contrasts=named,
        permutations=permutations,
        model_parameters=_changed(type(model).__init__, vars(model)),
        report_parameters=_changed(ReportingMixin.generate_report, given),
        command=command,
    )
    page = build_page(group, model.design_matrix_, request)
    return HTMLReport(page, dims, inputs=model._inputs())


def _changed(function: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are not the function's defaults, in its order."""
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
