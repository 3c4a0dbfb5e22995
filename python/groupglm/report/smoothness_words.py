# SPDX-License-Identifier: BSD-3-Clause
"""The report's words about the smoothness of the noise: facts, a caution, and for a paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from groupglm.inference.random_fields.smoothness import LEAST_FWHM
from groupglm.report.words import TIMES, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.inference.random_fields.smoothness import PartSmoothness, Smoothness

__all__ = ["caution", "facts", "for_paper", "references"]

_KIEBEL = (
    "Kiebel SJ, Poline JB, Friston KJ, Holmes AP, Worsley KJ. Robust smoothness estimation in "
    "statistical parametric maps using standardized residuals from the general linear model. "
    "NeuroImage. 1999;10(6):756-766."
)
_FORMAN = (
    "Forman SD, Cohen JD, Fitzgerald M, Eddy WF, Mintun MA, Noll DC. Improved assessment of "
    "significant activation in functional magnetic resonance imaging (fMRI): use of a cluster-size "
    "threshold. Magn Reson Med. 1995;33(5):636-647."
)
_MESHES = (
    "Worsley KJ, Andermann M, Koulis T, MacDonald D, Evans AC. Detecting changes in nonisotropic "
    "images. Hum Brain Mapp. 1999;8(2-3):98-101.",
    "Taylor JE, Worsley KJ. Detecting sparse signals in random fields, with an application to "
    "brain mapping. J Am Stat Assoc. 2007;102(479):913-928.",
)


def facts(smoothness: Smoothness | None) -> list[tuple[str, str]]:
    """Return facts about the smoothness by name; none if it is not known."""
    if smoothness is None:
        return []
    several = len(smoothness.parts) > 1
    found = []
    for part in smoothness.parts:
        of_part = f" of {part.name}" if several else ""
        steps = "edges of the mesh" if _is_mesh(part) else part.unit
        found += [
            (
                f"smoothness{of_part}",
                f"FWHM {_widths(part.fwhm_mm)} mm ({_widths(part.fwhm_steps)} {steps})",
            ),
            (
                f"resels{of_part}",
                f"{part.resels[part.n_dimensions]:,.4g}; one has "
                f"{1 / part.resels_per_unit:,.4g} {part.unit}",
            ),
            (
                f"search volume{of_part}",
                f"{part.n_places:,} {'vertices' if _is_mesh(part) else part.unit}; resels of 0 to "
                f"{part.n_dimensions} dimensions: "
                + ", ".join(f"{own:.4g}" for own in part.resels[: part.n_dimensions + 1]),
            ),
        ]
    return found


def caution(smoothness: Smoothness | None) -> str:
    """Return a caution about rough noise; empty if it is smooth enough, or not known."""
    rough = [] if smoothness is None else [own for own in smoothness.parts if _is_rough(own)]
    if not rough:
        return ""
    return (
        f"The noise is less than {LEAST_FWHM:g} {'edges' if _is_mesh(rough[0]) else rough[0].unit} "
        "wide (FWHM), rougher than random field theory assumes: its p-values are too large. "
        "Smooth more, or use permutation."
    )


def for_paper(smoothness: Smoothness) -> str:
    """Return the smoothness as a sentence of a paper."""
    several = len(smoothness.parts) > 1
    widths = listed(
        [
            f"{_widths(part.fwhm_mm)} mm{f' ({part.name})' if several else ''}"
            for part in smoothness.parts
        ]
    )
    cited = ["Kiebel and others, 1999"] if any(not _is_mesh(p) for p in smoothness.parts) else []
    cited += ["Forman and others, 1995"] if cited else []
    if any(_is_mesh(part) for part in smoothness.parts):
        cited += ["Worsley and others, 1999", "Taylor and Worsley, 2007"]
    highest = max(part.n_dimensions for part in smoothness.parts)
    return (
        f"The smoothness of the noise was estimated from standardised residuals "
        f"({'; '.join(cited)}): full width at half maximum {widths}, "
        f"{_resels(smoothness.parts, highest)} resels in the search volume."
    )


def references(smoothness: Smoothness) -> list[str]:
    """Return the references of the estimate."""
    found = [_KIEBEL, _FORMAN] if any(not _is_mesh(part) for part in smoothness.parts) else []
    return [*found, *(_MESHES if any(map(_is_mesh, smoothness.parts)) else ())]


def _resels(parts: Sequence[PartSmoothness], highest: int) -> str:
    dimensions = sorted({part.n_dimensions for part in parts}, reverse=True)
    if len(dimensions) == 1:
        return f"{sum(part.resels[highest] for part in parts):,.4g}"
    return listed(
        [
            f"{sum(p.resels[n] for p in parts if p.n_dimensions == n):,.4g} ({n}-D)"
            for n in dimensions
        ]
    )


def _is_mesh(part: PartSmoothness) -> bool:
    return len(part.fwhm_mm) == 1


def _is_rough(part: PartSmoothness) -> bool:
    return min(width for width in part.fwhm_steps if not math.isnan(width)) < LEAST_FWHM


def _widths(widths: Sequence[float]) -> str:
    """Return widths along axes; a dash where no two places are neighbours."""
    return f" {TIMES} ".join("-" if math.isnan(own) else f"{own:.3g}" for own in widths)
