# SPDX-License-Identifier: BSD-3-Clause
"""What a page is to be about: `Request`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from groupglm.messages import Wording
from groupglm.report.further_results import FurtherResults

if TYPE_CHECKING:
    from groupglm.design.hypotheses import Hypothesis
    from groupglm.inference.confidence_sets.sets import ConfidenceSets
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.report.options import ReportOptions
    from groupglm.report.permutation_test import PermutationTest

__all__ = ["Request"]


@dataclass(frozen=True, eq=False)
class Request:
    """The subjects of a page.

    Parameters
    ----------
    corrections : tuple of ReportOptions
        Thresholds and options of pictures, one for each correction; only the thresholds differ.
    contrasts : dict of str to Hypothesis
        The contrasts by name.
    permutations : dict of str to PermutationTest
        Permutation tests of contrasts, by the contrast's name.
    model_parameters, report_parameters : mapping
        The user's parameters that are not the default.
    command, command_note : str
        The shell command that makes the page again, and a note on it; empty if there is none.
    wording : callable
        Returns a message in the words of the caller who asked for the page.
    smoothness : Smoothness, optional
        The smoothness of the residuals, where it is known. Random field theory needs it.
    confidence_sets : mapping of str to tuple of ConfidenceSets
        Confidence sets of contrasts, by the contrast's name.
    further : FurtherResults
        Results in files beside the page.
    """

    corrections: tuple[ReportOptions, ...]
    contrasts: dict[str, Hypothesis]
    permutations: dict[str, PermutationTest]
    model_parameters: Mapping[str, Any]
    report_parameters: Mapping[str, Any]
    command: str = ""
    command_note: str = ""
    wording: Wording = str
    smoothness: Smoothness | None = None
    confidence_sets: Mapping[str, tuple[ConfidenceSets, ...]] = field(default_factory=dict)
    further: FurtherResults = field(default_factory=FurtherResults)
