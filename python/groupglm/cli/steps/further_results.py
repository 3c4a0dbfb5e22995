# SPDX-License-Identifier: BSD-3-Clause
"""What is in files beside a page, for its paragraph on methods: as asked for, or in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.cli.options.atlases import small_volume_facts
from groupglm.spaces.statistic import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from groupglm.cli.options.study import FitOptions
    from groupglm.report.further_results import FurtherResults

__all__ = ["facts_of_further", "further_in_sidecars", "further_of_fit"]

_FAMILIES = {
    OUTPUTS[output]: family
    for output, family in (
        ("ci_low", "ci"),
        ("cohen_d", "cohen_d"),
        ("hedges_g", "hedges_g"),
        ("partial_r", "partial_r"),
        ("partial_r2", "partial_r2"),
    )
}


def facts_of_further(how: FitOptions) -> dict[str, Any]:
    """Return the facts of what a fit writes besides, for the sidecar of its page."""
    effects, facts = how.effects, dict[str, Any]()
    if effects.families:
        facts["EffectSizes"] = list(effects.families)
    if effects.bayes_factor:
        facts["BayesFactor"] = True
    if effects.equivalence is not None:
        facts["Equivalence"] = effects.equivalence.facts()
    if how.small_volume is not None and how.corrections:
        facts["SmallVolume"] = small_volume_facts(how.small_volume)
    return facts


def further_of_fit(how: FitOptions) -> FurtherResults:
    """Return what a fit writes besides."""
    from groupglm.report.further_results import FurtherResults

    facts, effects = facts_of_further(how), how.effects
    return FurtherResults(
        tuple(effects.families),
        effects.bayes_factor,
        effects.equivalence,
        _volume_in_words(facts.get("SmallVolume")),
    )


def further_in_sidecars(sidecars: Iterable[Mapping[str, Any]]) -> FurtherResults:
    """Return what the sidecars of a folder tell."""
    from groupglm.models.equivalence import Bounds
    from groupglm.report.further_results import FurtherResults

    families: dict[str, None] = {}
    has_bayes, bounds, volume = False, None, ""
    for facts in sidecars:
        kind = str(facts.get("Values"))
        if kind in _FAMILIES:
            families[_FAMILIES[kind]] = None
        has_bayes |= kind == OUTPUTS["log_bayes_factor"]
        own = facts.get("Equivalence")
        if isinstance(own, dict):
            bounds = Bounds.checked(own["Bounds"], own["Units"], own["Alpha"])
        correction = facts.get("Correction")
        if isinstance(correction, dict) and correction.get("SmallVolume"):
            volume = _volume_in_words(correction["SmallVolume"])
    order = [own for own in _FAMILIES.values() if own in families]
    return FurtherResults(tuple(order), has_bayes, bounds, volume)


def _volume_in_words(facts: Any) -> str:
    """Return the words for a small volume: a sphere, or the mask of a file; empty without one."""
    if not facts:
        return ""
    if isinstance(facts, list):
        x, y, z, radius = (f"{own:g}" for own in facts)
        return f"a sphere of {radius} mm around ({x}, {y}, {z}) mm"
    return f"the mask {facts['Name']}"
