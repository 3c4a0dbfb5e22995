# SPDX-License-Identifier: BSD-3-Clause
"""All results of a contrast, with their words: `ContrastResults`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from groupglm.report import correction_words, permuted_words, words
from groupglm.report.findings import listed_peaks

if TYPE_CHECKING:
    from groupglm.report.findings import Finding, Peak
    from groupglm.report.options import ReportOptions
    from groupglm.report.permuted_findings import PermutedFinding

__all__ = ["ContrastResults", "Result"]


@dataclass(frozen=True, eq=False)
class Result:
    """One map of a contrast on the page, with its words.

    Parameters
    ----------
    finding : Finding
        The finding of the map.
    options : ReportOptions
        The options of its pictures.
    title, headline, shown_where, explanation : str
        The page's words about it; the explanation may be empty.
    """

    finding: Finding
    options: ReportOptions
    title: str
    headline: str
    shown_where: str
    explanation: str = ""


@dataclass(frozen=True, eq=False)
class ContrastResults:
    """All results of a contrast.

    Parameters
    ----------
    findings : list of Finding
        One finding for each correction.
    corrections : tuple of ReportOptions
        The corrections.
    permuted : list of PermutedFinding
        The findings of permutation tests; may be empty.
    """

    findings: list[Finding]
    corrections: tuple[ReportOptions, ...]
    permuted: list[PermutedFinding]

    @property
    def name(self) -> str:
        """The user's name of the contrast."""
        return self.findings[0].name

    @cached_property
    def results(self) -> list[Result]:
        """Every map of the contrast: corrections in their order, then permutations."""
        found = [
            Result(
                own,
                options,
                correction_words.title(options, two_sided=own.two_sided),
                words.headline(own),
                correction_words.shown_where(own),
                correction_words.explanation(own),
            )
            for own, options in zip(self.findings, self.corrections, strict=True)
        ]
        for one in self.permuted:
            said = permuted_words
            found.append(
                Result(
                    one,
                    self.corrections[0],
                    said.title(one),
                    said.headline(one),
                    said.shown_where(one),
                    said.explanation(one),
                )
            )
        return found

    @property
    def leading(self) -> Result:
        """The result whose peaks are shown: the first one with peaks."""
        return next((one for one in self.results if one.finding.survived), self.results[0])

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The peaks whose data are shown."""
        return self.leading.finding.peaks

    @property
    def listed(self) -> tuple[Peak, ...]:
        """The peaks of all rows of the table of that result; none if `peaks` has them all."""
        found = listed_peaks(self.leading.finding)
        return found if len(found) > len(self.peaks) else ()
