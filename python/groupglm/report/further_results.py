# SPDX-License-Identifier: BSD-3-Clause
"""Results in files beside a page, which its paragraph on methods tells: `FurtherResults`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupglm.models.effect_size_rules import rules_of
from groupglm.models.effect_sizes import PRIOR_SCALES
from groupglm.models.equivalence import EQUIVALENCE_REFERENCES, Bounds
from groupglm.report.methods import cited
from groupglm.report.words import MINUS, listed

if TYPE_CHECKING:
    from collections.abc import Collection

    from groupglm.models.base import Model

__all__ = ["FurtherResults"]

_WORDS = {
    "cohen_d": "Cohen's d",
    "hedges_g": "Hedges' g",
    "partial_r": "partial correlations",
    "partial_r2": "partial R2",
}


@dataclass(frozen=True)
class FurtherResults:
    """Results in files beside a page.

    Parameters
    ----------
    families : tuple of str
        Effect sizes that were mapped with their intervals: "ci" of the effect itself, "cohen_d",
        "hedges_g", "partial_r", "partial_r2".
    bayes_factor : bool
        Whether Bayes factors were mapped.
    equivalence : Bounds or None
        The bounds of tests of equivalence.
    small_volume : str
        Words for the small volume to which corrections of the files were restricted; may be empty.
    """

    families: tuple[str, ...] = ()
    bayes_factor: bool = False
    equivalence: Bounds | None = None
    small_volume: str = ""

    def for_paper(self, model: Model, stat_types: Collection[str]) -> tuple[str, list[str]]:
        """Return sentences of a paper, and their sources; of F, only what it defines counts.

        `stat_types` are the statistics of the contrasts.
        """
        found = [
            self._effect_sizes(model, stat_types),
            self._bayes_factor(model, stat_types),
            self._equivalence(stat_types),
        ]
        texts = [text for text, _ in found]
        if self.small_volume:
            texts.append(
                f"Thresholded maps in files were corrected within {self.small_volume}; the "
                "thresholds above are those of the whole mask."
            )
        return " ".join(filter(None, texts)), [own for _, sources in found for own in sources]

    def _effect_sizes(self, model: Model, stat_types: Collection[str]) -> tuple[str, list[str]]:
        families = [own for own in self.families if "t" in stat_types or own == "partial_r2"]
        references = rules_of(model).references
        sources: list[str] = []
        named = []
        for family in families:
            if family == "ci":
                continue
            own = references.get(family.replace("partial_r2", "partial_r"), ())
            named.append(_WORDS[family])
            sources += own
        texts = []
        if "ci" in families:
            texts.append("95% intervals of effects at each place by itself")
        if named:
            how = "with 95% intervals by the noncentral t and F"
            texts.append(f"{listed(named)} {how} ({cited(list(dict.fromkeys(sources)))})")
        return (f"We mapped {listed(texts)}." if texts else ""), sources

    def _bayes_factor(self, model: Model, stat_types: Collection[str]) -> tuple[str, list[str]]:
        if not self.bayes_factor:
            return "", []
        priors = {
            "t": f"a Cauchy prior of Cohen's d of scale {PRIOR_SCALES['t']:.4g} for t",
            "F": f"the prior of regression of scale {PRIOR_SCALES['F']:.4g} for F",
        }
        sources = list(rules_of(model).references.get("log_bayes_factor", ()))
        own = listed([text for kind, text in priors.items() if kind in stat_types])
        return (
            f"We mapped Bayes factors of an effect against none, with {own} ({cited(sources)}).",
            sources,
        )

    def _equivalence(self, stat_types: Collection[str]) -> tuple[str, list[str]]:
        bounds = self.equivalence
        if bounds is None or "t" not in stat_types:
            return "", []
        units = "of Cohen's d" if bounds.units == "cohen_d" else "in units of the maps"
        low, high = (f"{own:g}".replace("-", MINUS) for own in (bounds.low, bounds.high))
        sources = list(EQUIVALENCE_REFERENCES)
        return (
            f"Effects were tested for equivalence with none by two one-sided tests at "
            f"{bounds.alpha:g} against bounds of {low} and {high} {units} ({cited(sources)})."
        ), sources
