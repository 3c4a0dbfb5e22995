# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of the images at the peaks of a contrast: by the design, and as forest plots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.models.image_weights import image_weights, why_absent
from groupglm.plotting.adjusted import Adjusted, adjust
from groupglm.plotting.forest_data import Forest, PlaceData, forest_of
from groupglm.plotting.forest_drawing import draw_forest
from groupglm.plotting.peak import draw_peak
from groupglm.plotting.place_fit import ModelPlace
from groupglm.plotting.spaghetti import draw_spaghetti
from groupglm.plotting.subject_lines import SubjectLines, subject_lines
from groupglm.report import words
from groupglm.report.figures import Picture, chart
from groupglm.report.small_forests import small_forest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.models.base import Fit
    from groupglm.models.subject_rows import SubjectRows
    from groupglm.plotting.terms import Terms
    from groupglm.report.data_quality import DataQuality
    from groupglm.report.findings import Finding, Peak

__all__ = ["AtPlace", "peak_pictures", "places_of"]

_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class AtPlace:
    """All images at one place.

    Parameters
    ----------
    names : sequence of str
        Names of the images.
    values : array, shape (n_images,)
        Their values; NaN where missing.
    beside : array, shape (n_roles, n_images)
        What the model takes with each image.
    """

    names: Sequence[str]
    values: NDArray[np.float64]
    beside: NDArray[np.float64]


def places_of(quality: DataQuality, some: slice, names: Sequence[str]) -> list[AtPlace] | None:
    """Return the images at some of the places that were read; None if they were not."""
    if quality.at_places is None or quality.beside is None:
        return None
    values, beside = quality.at_places[:, some], quality.beside[..., some]
    return [
        AtPlace(names, values[:, place], beside[..., place]) for place in range(values.shape[1])
    ]


def peak_pictures(
    finding: Finding,
    peaks: Sequence[Peak],
    listed: Sequence[Peak],
    at_peaks: Sequence[AtPlace] | None,
    result: Fit,
    terms: Terms,
) -> dict[str, Any]:
    """Return the pictures of the images at the peaks.

    These are ``peaks``; with several images a subject, ``subjects``; and with variances,
    ``forests``, and ``small_forests`` of the listed peaks.
    `at_peaks` has the images at each peak, and then at each listed one; None if they cannot be
    read.
    """
    pictures, forests, subjects = [], [], []
    rows: SubjectRows | None = getattr(result, "subjects", None)
    at_peaks = at_peaks or ()
    for peak, data in zip(peaks, at_peaks[: len(peaks)], strict=bool(at_peaks)):
        if not result.model.beside and result.model.kind == "ols":
            pictures.append(_by_design(finding, peak, data.values, terms, None))
            continue
        fit = result.select(np.array([peak.place], dtype=np.int64))
        own = _terms_at(terms, fit, data)
        weights = _weights(fit, data)
        values = np.where(weights > 0, data.values, np.nan)
        place = ModelPlace(fit, own.X, values, weights, _LEVEL)
        pictures.append(_by_design(finding, peak, values, own, place))
        if rows is not None:
            lines = subject_lines(rows, own, finding.weights)
            subjects.append(_spaghetti_picture(finding, peak, lines, data.values, fit))
        if fit.model.beside == ("variance",):
            forests.append(_forest_picture(finding, peak, _forest(fit, own, finding, data)))
    small = [
        small_forest(
            _forest(result.select(np.array([peak.place], dtype=np.int64)), terms, finding, data),
            peak,
        )
        for peak, data in zip(listed, at_peaks[len(peaks) :], strict=bool(at_peaks))
    ]
    return {"peaks": pictures, "subjects": subjects, "forests": forests, "small_forests": small}


def _weights(fit: Fit, data: AtPlace) -> NDArray[np.float64]:
    """Return the weights of the images at one place."""
    return image_weights(fit, data.values[:, np.newaxis], *data.beside[..., np.newaxis])[:, 0]


def _forest(fit: Fit, terms: Terms, finding: Finding, data: AtPlace) -> Forest:
    """Return the content of a forest plot; `fit` is that of the place alone."""
    reasons = why_absent(data.values, data.beside[0])
    place = PlaceData(data.names, data.values, data.beside[0], _weights(fit, data), reasons)
    return forest_of(fit, terms, finding.weights, place, _LEVEL)


def _terms_at(terms: Terms, fit: Fit, data: AtPlace) -> Terms:
    """Return the terms of the design with the covariates' values at one place."""
    n_covariates = fit.model.beside.count("covariate")
    if not n_covariates:
        return terms
    X = terms.X.copy()
    own = data.beside[-n_covariates:]
    X[:, -n_covariates:] = np.nan_to_num(own.T)  # an image without a value does not count
    numbers = {
        **terms.numbers,
        **{
            name: values
            for name, values in zip(terms.names[-n_covariates:], own, strict=True)
            if name in terms.numbers
        },
    }
    return replace(terms, X=X, numbers=numbers)


def _by_design(
    finding: Finding,
    peak: Peak,
    values: NDArray[np.float64],
    terms: Terms,
    place: ModelPlace | None,
) -> Picture:
    adjusted = adjust(values, terms, finding.weights, _LEVEL, place)
    figure = draw_peak(adjusted, _LEVEL, None, "value")
    what = words.rank(finding, peak)
    caption = f"{what[:1].upper()}{what[1:]}: {words.peak(peak)}."
    detail = _fitted(adjusted)
    return chart(figure, f"Data at the {what}, {words.peak(peak)}. {detail}", f"{caption} {detail}")


def _forest_picture(finding: Finding, peak: Peak, forest: Forest) -> Picture:
    what, where = words.rank(finding, peak), words.peak(peak)
    text = f"Effects and weights at the {what}, {where}."
    facts = "; ".join(fact for fact in (forest.test, forest.spread) if fact)
    return chart(
        draw_forest(forest, _LEVEL, None, "effect"),
        f"Forest plot. {text} {len(forest.labels) - len(forest.absent)} lines with the effect of "
        f"an image, its interval and weight, and a diamond for the group. {facts}.",
        text,
    )


def _spaghetti_picture(
    finding: Finding, peak: Peak, lines: SubjectLines, values: NDArray[np.float64], fit: Fit
) -> Picture:
    what, where = words.rank(finding, peak), words.peak(peak)
    text = f"Each subject's values at the {what}, {where}."
    n_subjects = len(np.unique(lines.subject[np.isfinite(values)]))
    return chart(
        draw_spaghetti(lines, values, fit.predicted()[:, 0], None, "value"),
        f"Spaghetti plot. {text} {n_subjects} thin lines over {lines.label}, one a subject, and "
        "the mean of the fitted values as a thick line for each group.",
        text,
    )


def _fitted(adjusted: Adjusted) -> str:
    """Return, in numbers, what the picture of a peak shows."""
    if adjusted.kind == "groups":
        facts = [
            f"{level.name}: {words.number(level.fitted)} ± {level.half_width:.2f}"
            for level in adjusted.groups
        ]
        return f"Fitted: {'; '.join(facts)} ({_LEVEL:.0%} interval)."
    if adjusted.kind == "lines":
        if len(adjusted.lines) == 1:
            return f"The fit goes {_curve(adjusted.lines[0].line)} over {adjusted.label}."
        facts = [
            f"{f'{one.panel}, ' if one.panel else ''}{one.name}: {_curve(one.line)}"
            for one in adjusted.lines
        ]
        return f"The fit over {adjusted.label} goes {'; '.join(facts)}."
    return f"The fit goes {_from_to(adjusted.line[1])} over {adjusted.label}."


def _curve(line: NDArray[np.float64]) -> str:
    """Return, in words, the ends of a line, and its turn farthest beyond both of them."""
    places, fitted = line[:2]
    beyond = [fitted - max(fitted[0], fitted[-1]), min(fitted[0], fitted[-1]) - fitted]
    way = int(beyond[1].max() > beyond[0].max())
    turn = int(beyond[way].argmax())
    if beyond[way][turn] <= 1e-9 * np.abs(fitted).max():
        return _from_to(fitted)
    top = words.number(float(fitted[turn]))
    ends = [words.number(float(fitted[end])) for end in (0, -1)]
    return f"from {ends[0]} through {top} at {places[turn]:.4g} to {ends[1]}"


def _from_to(fitted: NDArray[np.float64]) -> str:
    return f"from {words.number(float(fitted[0]))} to {words.number(float(fitted[-1]))}"
