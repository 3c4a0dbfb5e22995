# SPDX-License-Identifier: BSD-3-Clause
"""A page about a fitted model: `report_on`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from groupglm.errors import ArgumentError, renamed
from groupglm.messages import Wording
from groupglm.report.html_report import HTMLReport, check_dims

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.report.further_results import FurtherResults

__all__ = ["report_on", "report_without_results"]

_ASIDE = ("contrasts", "report_dims", "first_level_contrast", "permutations", "confidence_sets")


class Fits(Protocol):
    """The fits of a model, as a page needs them."""

    @property
    def design(self) -> pd.DataFrame:
        """The design of the last fit asked for; before any, that of the first kind of maps."""
        ...

    @property
    def tag(self) -> str:
        """The kind of data, by the tag of its spaces."""
        ...

    @property
    def files(self) -> list[str]:
        """The names of the files that the model was fitted to."""
        ...

    def of(self, first_level_contrast: Any) -> FittedGroup:
        """Return the fit of a kind of maps, and make it the current one."""
        ...

    def smoothness(self) -> Smoothness:
        """Return the smoothness of the current fit's residuals; it may read the images."""
        ...

    def smoothness_if_known(self) -> Smoothness | None:
        """Return the smoothness of the current fit's residuals, if it has been estimated."""
        ...


def report_without_results(
    given: Mapping[str, Any], problem: str, model_parameters: Mapping[str, Any]
) -> HTMLReport:
    """Write a page that says why it has no results, and the parameters of the model."""
    from groupglm.report.options import check_corrections
    from groupglm.report.page import build_page_without_results

    dims = check_dims(given["report_dims"])
    options = check_corrections({k: v for k, v in given.items() if k not in _ASIDE})
    return HTMLReport(build_page_without_results(options[0], problem, model_parameters), dims)


def report_on(
    fits: Fits,
    given: Mapping[str, Any],
    *,
    model_parameters: dict[str, Any],
    report_parameters: dict[str, Any],
    command: str,
    command_note: str,
    wording: Wording,
    smoothness: Smoothness | None = None,
    further: FurtherResults | None = None,
) -> HTMLReport:
    """Write the page of a model, with every parameter of ``generate_report`` given.

    `model_parameters` and `report_parameters` are shown on the page, to make it again. `command` is
    the shell command that does so, if there is one, and `command_note` a note on it. `wording`
    returns a message in the words of the caller who asks for the page. `smoothness` is that of the
    residuals, where the caller knows it, and `further` what is in files beside the page.
    """
    from groupglm.report.drawing import checked_views
    from groupglm.report.further_results import FurtherResults
    from groupglm.report.options import check_corrections, named_contrasts
    from groupglm.report.page import build_page
    from groupglm.report.permutation_test import check_permutations
    from groupglm.report.request import Request
    from groupglm.report.sets_section import check_sets

    dims = check_dims(given["report_dims"])
    given = {**given, **checked_views(fits.tag, given)}
    options = check_corrections({k: v for k, v in given.items() if k not in _ASIDE})
    named = named_contrasts(given["contrasts"], [str(name) for name in fits.design.columns])
    permutations = check_permutations(given["permutations"], list(named))
    sets = check_sets(given["confidence_sets"], list(named))
    group = fits.of(given["first_level_contrast"])
    smoothness = smoothness or fits.smoothness_if_known()
    if smoothness is None and named and any(own.by_fields for own in options):
        if group.saved_in is not None:
            raise ArgumentError.about(
                "height_control",
                "random field theory needs the smoothness of the noise, which the saved model does "
                "not hold, and which only the images tell",
                "ask a fitted model for its smoothness_ before you save it, as the command fit "
                "does with a correction by rft",
            )
        with renamed(images="height_control"):
            smoothness = fits.smoothness()
    request = Request(
        corrections=options,
        contrasts=named,
        permutations=permutations,
        model_parameters=model_parameters,
        report_parameters=report_parameters,
        command=command,
        command_note=command_note,
        wording=wording,
        smoothness=smoothness,
        confidence_sets=sets,
        further=further or FurtherResults(),
    )
    page, methods = build_page(group, fits.design, request)
    return HTMLReport(page, dims, inputs=fits.files, methods=methods)
