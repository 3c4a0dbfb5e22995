# SPDX-License-Identifier: BSD-3-Clause
"""The part of a contrast's section about its confidence sets, and their words in the methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, printable
from groupglm.inference.confidence_sets.sets import SET_NAMES, ConfidenceSets
from groupglm.inference.corrected_p.permuted import read_permuted_row
from groupglm.report.words import listed, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.report.drawing import Drawing
    from groupglm.spaces.base import Space

__all__ = ["check_sets", "references_of_sets", "sets_for_paper", "sets_section"]

Sets = Mapping[str, "tuple[ConfidenceSets, ...]"]

_EFFECTS = (
    "Bowring A, Telschow F, Schwartzman A, Nichols TE. Spatial confidence sets for raw effect size "
    "images. NeuroImage. 2019;203:116187."
)
_COHEN_D = (
    "Bowring A, Telschow FJE, Schwartzman A, Nichols TE. Confidence Sets for Cohen's d effect size "
    "images. NeuroImage. 2021;226:117477."
)


def check_sets(given: Any, contrasts: Sequence[str]) -> dict[str, tuple[ConfidenceSets, ...]]:
    """Return the confidence sets by contrast, several of one contrast as a tuple."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or isinstance(given, ConfidenceSets):
        raise ArgumentTypeError(
            "confidence_sets",
            f"a {type(given).__name__}",
            remedy="give a mapping of each contrast's name to what compute_confidence_sets "
            "returned",
        )
    found = {}
    for name, own in given.items():
        if name not in contrasts:
            raise ArgumentError(
                "confidence_sets",
                f"sets of {name!r}, which is none of the contrasts: "
                f"{', '.join(map(repr, contrasts)) or 'there are none'}",
                verb="has",
            )
        several = tuple(own) if isinstance(own, list | tuple) else (own,)
        wrong = [one for one in several if not isinstance(one, ConfidenceSets)]
        if wrong:
            raise ArgumentTypeError.about(
                "confidence_sets",
                f"confidence_sets[{name!r}] is or holds a {type(wrong[0]).__name__}",
                wanted="what compute_confidence_sets returned, which knows its level",
            )
        found[str(name)] = several
    return found


def sets_section(
    name: str, several: Sequence[ConfidenceSets], drawing: Drawing
) -> list[dict[str, Any]]:
    """Return, for each of the confidence sets of a contrast, a title, words and a picture."""
    return [_section(name, own, drawing) for own in several]


def _section(name: str, sets: ConfidenceSets, drawing: Drawing) -> dict[str, Any]:
    space, options = drawing.group.space, sets.options
    inside = {
        own: read_permuted_row(sets[own], space, f"the confidence set ({own}) of {printable(name)}")
        > 0
        for own in SET_NAMES
    }
    counts = {own: int(np.count_nonzero(row)) for own, row in inside.items()}
    _, many = space.place_words
    upper, lower = (_counted(counts[own], space) for own in ("upper", "lower"))
    level = _level(sets)
    between = counts["lower"] - counts["upper"]
    words = (
        f"With a confidence of {100 * (1 - options.alpha):.4g}%, of all {many} at once: the effect "
        f"is at least {level} at {upper} (upper set), and smaller everywhere outside of {lower} "
        f"(lower set). Its estimate is at least that at {counts['estimate']:,}. Where the two sets "
        f"differ, at {between:,}, the data do not suffice to say."
    )
    year = 2021 if options.units == "cohen_d" else 2019
    how = (
        f"{options.n_bootstraps:,} samples of a wild bootstrap on the boundary of the estimate "
        f"({sets.n_boundary_points:,} points), critical value {number(sets.critical_value, 3)} "
        f"(Bowring and others, {year})."
    )
    depth = np.sum([inside[own] for own in SET_NAMES], axis=0)
    caption = "Upper set (within), estimate and lower set (outermost)"
    return {
        "title": f"Where the effect is at least {level}",
        "words": words,
        "how": how,
        "picture": drawing.sets_picture(depth, f"{caption}. {words}", caption),
    }


def _counted(count: int, space: Space) -> str:
    one, many = space.place_words
    return f"{count:,} {one if count == 1 else many}"


def _level(sets: ConfidenceSets) -> str:
    level = f"{sets.options.level:g}".replace("-", "\N{MINUS SIGN}")
    return f"{level} (Cohen's d)" if sets.options.units == "cohen_d" else level


def sets_for_paper(sets: Sets) -> str:
    """Return the sentence of a paper about confidence sets; empty without any."""
    if not any(sets.values()):
        return ""
    said: dict[str, list[str]] = {}
    for name, several in sets.items():
        for own in several:
            options = own.options
            cited = "Bowring and others, 2019"
            cited += "; Bowring and others, 2021" if options.units == "cohen_d" else ""
            how = (
                f"with a confidence of {100 * (1 - options.alpha):.4g}% by "
                f"{options.n_bootstraps:,} samples of a wild bootstrap ({cited})"
            )
            critical = number(own.critical_value, 3)
            said.setdefault(how, []).append(
                f"{name} at a level of {_level(own)} (critical value {critical})"
            )
    parts = [f"of {listed(which, 40)}, {how}" for how, which in said.items()]
    return f"We made spatial confidence sets {'; '.join(parts)}."


def references_of_sets(sets: Sets) -> list[str]:
    """Return the references of confidence sets."""
    units = {own.options.units for several in sets.values() for own in several}
    return [*([_EFFECTS] if units else []), *([_COHEN_D] if "cohen_d" in units else [])]
