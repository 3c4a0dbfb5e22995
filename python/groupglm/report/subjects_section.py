# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about several images a subject: who has how many, how alike they are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.distribution import draw_distribution
from groupglm.report.figures import Picture, chart
from groupglm.report.words import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.subject_rows import SubjectRows
    from groupglm.report.drawing import Drawing

__all__ = ["subjects_section"]

_MAX_NAMES = 6
_PARTS = {
    "subject_variance": "variance between subjects",
    "family_variance": "variance between families",
    "residual_variance": "variance within a subject",
}


def subjects_section(group: FittedGroup, drawing: Drawing) -> dict[str, Any] | None:
    """Return words, numbers, a map and a chart; None for a model of one image a subject."""
    fit: Any = group.result
    rows: SubjectRows | None = getattr(fit, "subjects", None)
    if rows is None:
        return None
    one, many = group.space.place_words
    how = fit.words().cited
    maps = fit.maps()
    said = [_visits(rows), f"{how[:1].upper()}{how[1:]}."]
    facts = _numbers(rows)
    pictures: list[Picture] = []
    drawn: list[Picture] = []
    if "intraclass_correlation" in maps:
        icc = maps["intraclass_correlation"]()
        known = icc[np.isfinite(icc)]
        if known.size:
            said += _alike(known, fit, one, many)
            pictures.append(_chart(icc, many))
            what = "Intraclass correlation: how alike the images of a subject are"
            drawn_map = drawing.fit_map(icc, 1.0, "ICC", f"{what}, from 0 to 1.")
            drawn += [] if drawn_map is None else [drawn_map]
    for name, title in _PARTS.items():
        if name in maps:
            values = maps[name]()
            if np.isfinite(values).any():
                low, middle, high = np.nanpercentile(values, [25, 50, 75])
                spread = f"half of the {many}: {low:.3g} to {high:.3g}"
                facts.append((f"{title}, median", f"{middle:.3g} ({spread})"))
    return {
        "title": "Several images of a subject",
        "findings": said,
        "facts": facts,
        "maps": drawn,
        "pictures": pictures,
    }


def _visits(rows: SubjectRows) -> str:
    sizes = rows.sizes
    said = f"{len(rows.subjects):,} images are of {rows.n_subjects:,} subjects"
    if rows.families is not None:
        said += f" in {len(set(rows.families)):,} families"
    if sizes.min() == sizes.max():
        return f"{said}: each has {sizes[0]}."
    counts = sorted(Counter(sizes.tolist()).items())
    how_many = [f"{n} {'has' if n == 1 else 'have'} {size}" for size, n in counts]
    alone = [name for name, size in zip(rows.names, sizes, strict=True) if size == 1]
    said = f"{said}: {listed(how_many, len(how_many))}."
    if alone:
        who = listed(alone, _MAX_NAMES)
        said += (
            f" With one image only ({who}), a subject tells of differences between subjects, not "
            "of changes within one."
        )
    return said


def _numbers(rows: SubjectRows) -> list[tuple[str, str]]:
    facts = [
        (f"subjects with {size} image{'' if size == 1 else 's'}", f"{n:,}")
        for size, n in sorted(Counter(rows.sizes.tolist()).items())
    ]
    if rows.visits is not None:
        counts = Counter(rows.visits)
        facts += [(f"images of visit {name}", f"{n:,}") for name, n in list(counts.items())[:20]]
    return facts


def _alike(known: NDArray[np.float64], fit: Any, one: str, many: str) -> list[str]:
    said = [
        f"At the median {one}, the intraclass correlation is {np.median(known):.2f}: of the "
        "variance that the design leaves, this share is between subjects, and two images of a "
        "subject correlate so much."
    ]
    boundary = np.asarray(fit.at_boundary)
    share = 100 * float(np.count_nonzero(boundary)) / known.size
    if share:
        percent = f"{share:.0f}%" if share >= 10 else f"{share:.2g}%"
        said.append(
            f"At {percent} of the {many}, a variance between subjects or families is estimated as "
            "0. The tests there are those of this estimate, by the same formulas; an estimate of 0 "
            "is no proof that subjects are alike."
        )
    return said


def _chart(icc: NDArray[np.float64], many: str) -> Picture:
    low, middle, high = np.nanpercentile(icc, [25, 50, 75])
    text = (
        f"intraclass correlation over {many}: median {middle:.2f}, quartiles {low:.2f} and "
        f"{high:.2f}."
    )
    figure = draw_distribution(icc, "intraclass correlation", many, highest=1.0)
    return chart(figure, f"Histogram of the {text}", f"I{text[1:]}")
