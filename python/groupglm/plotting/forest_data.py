# SPDX-License-Identifier: BSD-3-Clause
"""What a forest plot shows of one place: the subjects' effects, and the estimates of the group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.design.weights_in_words import describe_weights
from groupglm.models.fit_maps import maps_by_group
from groupglm.plotting.adjusted import adjust
from groupglm.plotting.place_fit import ModelPlace, half_width
from groupglm.runtime import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.models.base import Fit
    from groupglm.plotting.adjusted import Adjusted
    from groupglm.plotting.terms import Terms

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["Estimate", "Forest", "ForestGroup", "PlaceData", "forest_of"]

_MOST_ESTIMATES = 8  # rows of an F contrast


@dataclass(frozen=True, eq=False)
class PlaceData:
    """The images of a group at one place.

    Parameters
    ----------
    labels : sequence of str
        The names of the images.
    effects, variances : array, shape (n_images,)
        The effects and their sampling variances; NaN where missing.
    weights : array, shape (n_images,)
        The weights of the images in the fit, in any unit; zero where an image does not count.
    reasons : sequence of str
        Why an image does not count; empty for one that does.
    """

    labels: Sequence[str]
    effects: FloatArray
    variances: FloatArray
    weights: FloatArray
    reasons: Sequence[str]


@dataclass(frozen=True)
class Estimate:
    """An estimate of the group and its interval.

    Parameters
    ----------
    name : str
        What is estimated.
    value, half_width : float
        The estimate, and half of its confidence interval; NaN where there is none.
    """

    name: str
    value: float
    half_width: float


@dataclass(frozen=True, eq=False)
class ForestGroup:
    """Subjects under one heading.

    Parameters
    ----------
    name : str
        The heading; empty if there is only one group.
    rows : array of int
        The subjects, in the order in which they are listed.
    estimate : Estimate or None
        What the model fits to them, if it is the same for all.
    """

    name: str
    rows: NDArray[np.intp]
    estimate: Estimate | None


@dataclass(frozen=True, eq=False)
class Forest:
    """The content of a forest plot.

    Parameters
    ----------
    labels : tuple of str
        The subjects' names.
    effects, half_widths : array, shape (n,)
        Their effects, and half of the normal confidence intervals that their variances give.
    percent : array, shape (n,)
        Their weights in percent; zero for one that does not count.
    fitted : array, shape (n,), or None
        The fitted value of each, where it is not that of a group.
    groups : tuple of ForestGroup
        Those that count.
    absent : tuple of (str, str)
        Names of the others, and why they do not count.
    estimates : tuple of Estimate
        The contrast, row by row, if it is none of the groups' estimates.
    is_adjusted : bool
        Whether what other columns explain was taken off the effects.
    test : str
        The test of the contrast, in numbers.
    spread : str
        How much the effects differ beyond their variances, in numbers; may be empty.
    """

    labels: tuple[str, ...]
    effects: FloatArray
    half_widths: FloatArray
    percent: FloatArray
    fitted: FloatArray | None
    groups: tuple[ForestGroup, ...]
    absent: tuple[tuple[str, str], ...]
    estimates: tuple[Estimate, ...]
    is_adjusted: bool
    test: str
    spread: str


def forest_of(
    fit: Fit, terms: Terms, contrast: FloatArray, data: PlaceData, level: float
) -> Forest:
    """Return what a forest plot of a contrast shows; `fit` is that of the place alone.

    Subjects that the contrast treats alike are one group, with the value that the model fits to
    them. What the columns that are not tested explain is taken off their effects. Where there are
    no such groups, as for a slope, the effects are as they are, in the order of what the tested
    columns fit to them.
    """
    from scipy.stats import norm

    rows = np.atleast_2d(contrast)
    counts = np.isfinite(data.effects) & (data.weights > 0)
    effects = np.where(counts, data.effects, np.nan)
    present = np.flatnonzero(counts)
    place = ModelPlace(fit, terms.X, effects, data.weights, level)
    adjusted = adjust(effects, terms, contrast, level, place)
    own = [
        Estimate(
            describe_weights(row, list(terms.names)),
            float(row @ place.beta),
            half_width(fit.contrast(row, stat_type="t"), level),
        )
        for row in rows[:_MOST_ESTIMATES]
        if row.any()
    ]
    fitted = None
    if adjusted.kind == "groups":
        groups = _groups(adjusted, present)
        for group, shown in zip(groups, adjusted.groups, strict=False):
            effects[group.rows] = shown.y
        if len(groups) == 1 and len(own) == 1 and _agree(groups[0].estimate, own[0]):
            groups, own = (ForestGroup("", groups[0].rows, own[0]),), []
    else:
        involved = np.flatnonzero(rows.any(axis=0))
        tested = place.X[:, involved] @ place.beta[involved]
        groups = (ForestGroup("", present[np.argsort(tested, kind="stable")], None),)
        fitted = np.full(len(effects), np.nan)
        fitted[present] = place.X @ place.beta
    weights = np.where(counts, data.weights, 0.0)
    return Forest(
        labels=tuple(data.labels),
        effects=effects,
        half_widths=norm.ppf(0.5 + level / 2) * np.sqrt(data.variances),
        percent=100 * weights / weights.sum(),
        fitted=fitted,
        groups=groups,
        absent=tuple(
            (data.labels[row], data.reasons[row] or "missing")
            for row in np.flatnonzero(~counts).tolist()
        ),
        estimates=tuple(own),
        is_adjusted=not np.allclose(effects[present], data.effects[present], rtol=1e-9, atol=0.0),
        test=_test(fit, contrast),
        spread=_spread(fit),
    )


def _groups(adjusted: Adjusted, present: NDArray[np.intp]) -> tuple[ForestGroup, ...]:
    """Return the groups of a contrast, and those that it says nothing of after them."""
    found = [
        ForestGroup(
            group.name,
            present[group.members],
            Estimate(f"mean, {group.name}", group.fitted, group.half_width),
        )
        for group in adjusted.groups
    ]
    inside = np.logical_or.reduce([group.members for group in adjusted.groups])
    if not inside.all():
        found.append(ForestGroup("images that are not in the contrast", present[~inside], None))
    return tuple(found)


def _agree(first: Estimate | None, second: Estimate) -> bool:
    return first is not None and bool(
        np.allclose(
            [first.value, first.half_width],
            [second.value, second.half_width],
            rtol=1e-6,
            equal_nan=True,
        )
    )


def _test(fit: Fit, contrast: FloatArray) -> str:
    """Return the statistic and its p-value; two-sided for t, as its interval is."""
    from scipy.stats import t

    result = fit.contrast(contrast)
    stat, p = (float(np.ravel(one)[0]) for one in (result.stat, result.p_value))
    name, sides = result.degrees, ""
    if result.stat_type == "t":
        df: Any = result.df
        degrees = float(np.ravel(df)[0])
        p, sides = float(2 * t.sf(abs(stat), degrees)), "two-sided "
    number = rounding.statistic(stat).replace("-", "\N{MINUS SIGN}")
    return f"{name} = {number}, {sides}p = {rounding.p_value(p)}"


def _spread(fit: Fit) -> str:
    """Return tau2, I2 and Q of the place, as far as the model has them."""
    facts = []
    for name, (symbol, written) in _SPREAD.items():
        for group, compute in maps_by_group(fit, name).items():
            of = f" of {group}" if group else ""
            facts.append(f"{symbol}{of} = {written(float(compute()[0]))}")
    return ", ".join(facts)


def _three(value: float) -> str:
    return f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{value:.0f}%"


# The maps of a fit that a plot has in numbers: their symbols, and how they are written.
_SPREAD: dict[str, tuple[str, Callable[[float], str]]] = {
    "tau2": ("τ²", _three),
    "i_squared": ("I²", _percent),
    "q": ("Q", rounding.statistic),
    "q_p_value": ("its p", rounding.p_value),
}
