# SPDX-License-Identifier: BSD-3-Clause
"""Estimates that are compared with a level: how far above it, how precise, and their residuals."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.models.effect_size_rules import Standardises, rules_of
from groupglm.models.effect_sizes import hedges_correction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.contrast_result import ContrastResult
    from groupglm.models.equivalence import Units

    Floats = NDArray[np.float64]

__all__ = ["Deviations", "check_model", "deviations_of", "estimate_of"]


@dataclass(frozen=True, eq=False)
class Deviations:
    """How images deviate from the fit, as an estimate feels it.

    Attributes
    ----------
    residuals : array of float32, shape (n_images, n_places)
        At the places of a boundary, with a mean square of one; NaN where an image has no value.
    error : array, shape (n_values,)
        The standard error of the estimate at every place.
    """

    residuals: NDArray[np.float32]
    error: Floats


def check_model(group: FittedGroup, units: Units) -> None:
    """Refuse a model whose residuals do not tell how its estimate varies."""
    fit = group.result
    rules = rules_of(fit.model)
    if rules.confidence_sets:
        raise ArgumentError.about(
            "model",
            f"confidence sets are not defined for the model {fit.model.kind!r}: "
            + rules.confidence_sets,
        )
    if units != "cohen_d":
        return
    why = rules.cohen_d
    if not why and isinstance(fit, Standardises):
        why = "it divides by a standard deviation of several variances; fit the model 'ols'"
    if why:
        raise ArgumentError.about(
            "units",
            f"confidence sets of Cohen's d are not defined for the model {fit.model.kind!r}: {why}",
            "give the level in units of the data, units='effect'",
        )


def estimate_of(group: FittedGroup, result: ContrastResult, units: Units) -> Floats:
    """Return what is compared with the level at every place: the effect, or Hedges' g.

    Hedges' g is Cohen's d without its bias.
    """
    if units == "effect":
        return result.effect_size
    return hedges_correction(_df(result)) * _cohen_d(group, result)


def deviations_of(
    group: FittedGroup, result: ContrastResult, units: Units, places: NDArray[np.int64]
) -> Deviations:
    r"""Read the images once, and return their deviations.

    Those of an effect are the residuals. Those of Cohen's d are, by the delta method,

    .. math:: R_i = \sqrt{n v}\, e_i - \frac{d}{2} (e_i^2 - 1)

    of the standardised residuals e, with the variance v of the effect in units of that of an image
    (1/n of a mean): equation 12 of Bowring et al. (2021) for one sample. The standard error of d is
    that of the mean of R, also if images are not normal (their algorithm 2).

    Parameters
    ----------
    group : FittedGroup
        The fit.
    result : ContrastResult
        Its test of a t contrast.
    units : {"effect", "cohen_d"}
        Of the estimate.
    places : array of int, shape (n_places,)
        Where residuals are kept; they take 4 bytes an image and place.
    """
    kept = np.empty((len(group.images), len(places)), np.float32)
    sd = group.result.residual_sd
    sums = np.zeros((2, group.space.n_values))
    with closing(group.standardised_residuals()) as rows, np.errstate(all="ignore"):
        standardised: Iterator[Floats] = (row / sd for row in rows)
        if units == "cohen_d":
            standardised = _of_cohen_d(standardised, group, result)
        for image, row in enumerate(standardised):
            kept[image] = row[places]
            if units == "cohen_d":
                known = np.where(np.isfinite(row), row, 0.0)
                sums += known, known**2
    _scale(kept)
    if units == "effect":
        return Deviations(kept, np.sqrt(result.effect_variance))
    n = np.asarray(group.result.n_observations, np.float64)
    with np.errstate(all="ignore"):
        variance = (sums[1] - sums[0] ** 2 / n) / _df(result)
        error = hedges_correction(_df(result)) * np.sqrt(variance / n)
    return Deviations(kept, error)


def _of_cohen_d(
    standardised: Iterator[Floats], group: FittedGroup, result: ContrastResult
) -> Iterator[Floats]:
    d = _cohen_d(group, result)
    n = np.asarray(group.result.n_observations, np.float64)
    root = np.sqrt(n * result.effect_variance) / group.result.residual_sd
    for row in standardised:
        yield root * row - 0.5 * d * (row**2 - 1)


def _cohen_d(group: FittedGroup, result: ContrastResult) -> Floats:
    sd = group.result.residual_sd
    d: Floats = result.effect_size / np.where(sd > 0, sd, np.nan)
    return d


def _df(result: ContrastResult) -> Floats:
    df: Any = result.df  # of t
    return np.asarray(df, np.float64)


def _scale(rows: NDArray[np.float32]) -> None:
    """Scale rows to a mean square of one at each place; NaN where nothing deviates."""
    rows[~np.isfinite(rows)] = np.nan
    present = np.maximum(np.count_nonzero(~np.isnan(rows), axis=0), 1)
    squares = np.einsum("ij,ij->j", *(np.nan_to_num(rows),) * 2, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows *= np.where(squares > 0, np.sqrt(present / squares), np.nan)
