# SPDX-License-Identifier: BSD-3-Clause
"""The page of the estimator: its parameters, and the code that makes it again."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from groupglm.errors import ArgumentTypeError, warn_caller
from groupglm.messages import Wording
from groupglm.report.generating import report_on, report_without_results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from groupglm.estimator.model_fits import ModelFits
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.report import HTMLReport
    from groupglm.report.further_results import FurtherResults
    from groupglm.report.options import HeightControl, PlotType
    from groupglm.spaces.images import ImageLike

__all__ = ["make_glm_report", "make_report"]

_UNFITTED = "This estimator has not been fit yet: run `fit` before the page can have results."
_NOT_ENABLED = "Report generation not enabled: set reports=True for a page with results."


class Reported(Protocol):
    """What a page asks of a model."""

    _fits: ModelFits
    reports: bool

    def __sklearn_is_fitted__(self) -> bool:
        """Whether it is fitted."""
        ...

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
    smoothness: Smoothness | None = None,
    further: FurtherResults | None = None,
) -> HTMLReport:
    """Write the page of a model; `given` has parameters of its ``generate_report``.

    `smoothness` is that of its residuals, if a file told it; else the model is asked for it.
    `further` says what is in files beside the page.
    """
    fitted = model.__sklearn_is_fitted__()
    parameters = inspect.signature(model.generate_report).parameters
    given = {**{name: own.default for name, own in parameters.items()}, **given}
    model_parameters = _changed(type(model).__init__, vars(model))
    if not (fitted and model.reports):
        problem = _NOT_ENABLED if fitted else _UNFITTED
        page = report_without_results(given, problem, model_parameters)
        warn_caller(problem)
        return page
    return report_on(
        model._fits,
        given,
        model_parameters=model_parameters,
        report_parameters=_changed(model.generate_report, given),
        command=command,
        command_note=command_note,
        wording=wording,
        smoothness=smoothness,
        further=further,
    )


def make_glm_report(
    model: Reported,
    contrasts: Any = None,
    first_level_contrast: Any = None,
    title: str | None = None,
    bg_img: ImageLike | None = "MNI152TEMPLATE",
    threshold: float | None = 3.09,
    alpha: float = 0.001,
    cluster_threshold: int = 0,
    height_control: HeightControl | None = "fpr",
    two_sided: bool = False,
    min_distance: float = 8.0,
    plot_type: PlotType = "slice",
    cut_coords: Any = None,
    display_mode: str | None = None,
    report_dims: tuple[int, int] = (800, 800),
) -> HTMLReport:
    """Write a page about a fitted model, as its method ``generate_report`` does.

    Parameters
    ----------
    model : groupglm.SecondLevelModel
        The model.
    contrasts, first_level_contrast, title, bg_img, threshold, alpha, cluster_threshold, \
height_control, two_sided, min_distance, plot_type, cut_coords, display_mode, report_dims
        As of `groupglm.SecondLevelModel.generate_report`.

    Returns
    -------
    groupglm.report.HTMLReport
        The page.

    Raises
    ------
    TypeError
        If `model` is another object.
    ValueError
        As `groupglm.SecondLevelModel.generate_report` raises it.

    Notes
    -----
    nilearn deprecates this function from its release 0.15 on: the method is the name to use.

    Examples
    --------
    >>> import nibabel as nib, numpy as np, pandas as pd
    >>> from groupglm import SecondLevelModel
    >>> from groupglm.reporting import make_glm_report
    >>> rng = np.random.default_rng(0)
    >>> brain = np.pad(np.ones((4, 4, 4)), 3)
    >>> images = [nib.Nifti1Image(brain * (rng.standard_normal(brain.shape) + 2), np.eye(4))
    ...           for _ in range(8)]
    >>> model = SecondLevelModel().fit(images, design_matrix=pd.DataFrame({"mean": np.ones(8)}))
    >>> page = make_glm_report(model, "mean", bg_img=None, title="The mean of eight maps")
    >>> "The mean of eight maps" in str(page)
    True
    """
    given = {name: value for name, value in locals().items() if name != "model"}
    if not hasattr(model, "generate_report"):
        raise ArgumentTypeError(
            "model", f"a {type(model).__name__}", "a model", "give a groupglm.SecondLevelModel"
        )
    report: HTMLReport = model.generate_report(**given)
    return report


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
